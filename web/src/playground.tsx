/** Playground: a model, pictures, and what it says about them. */

import { useEffect, useState } from "preact/hooks";
import { type Detail, type Model, type Problem, Refusal, getModel, hasKey } from "./api.ts";
import { type Target, useAnswers } from "./answers.ts";
import { AnswerPanel } from "./answer-panel.tsx";
import { Chooser, choices } from "./chooser.tsx";
import { Icon } from "./icons.tsx";
import { type Marks, queryFor, unmoved } from "./marks.ts";
import { type Picture, SAMPLES, type Sample, loadSample, toPicture, useDropAndPaste } from "./pictures.ts";
import { ProblemNote } from "./problem.tsx";
import { AddPictures, Strip, Welcome } from "./strip.tsx";
import { Viewer } from "./viewer.tsx";

interface Props {
    models: Model[];
    shown: boolean;
}

export function Playground({ models, shown }: Props) {
    const [name, setName] = useState<string>();
    const [version, setVersion] = useState<string>();
    const [pictures, setPictures] = useState<Picture[]>([]);
    const [chosen, setChosen] = useState<number>();
    const [over, setOver] = useState(false);
    const [detail, setDetail] = useState<Detail>();
    const [problem, setProblem] = useState<Problem>();
    const [marks, setMarks] = useState<Marks>(unmoved);
    const [point, setPoint] = useState<number>();
    const [names, setNames] = useState<boolean>();

    const usable = models.filter((model) => choices(model).length > 0);
    const fallback = usable.find((model) => model.task !== "points") ?? usable[0];
    const model = usable.find((model) => model.name === name) ?? fallback;
    const answering = model && (version ?? model.version);
    const known = detail?.name === model?.name && detail?.version === answering ? detail : undefined;

    useEffect(() => {
        setMarks(unmoved);
        setPoint(undefined);
        setNames(undefined);
        setProblem(undefined);
        if (!model || !answering) return;
        getModel(model.name, answering).then(setDetail, (error: unknown) => {
            if (error instanceof Refusal) setProblem(error.problem);
        });
    }, [model?.name, answering, model?.digest]);

    // The version's own address, so that a promotion meanwhile cannot mix two versions' answers.
    const target: Target | undefined = known?.task && answering ? { model: known.name, version: answering, task: known.task } : undefined;
    const answers = useAnswers(pictures, target);

    const add = (added: Picture[]) => {
        if (added.length === 0) return;
        setPictures((pictures) => [...pictures, ...added]);
        setChosen(added[0]!.id);
    };
    const addFiles = (files: File[]) => add(files.map((file) => toPicture(file, file.name)));
    const addSample = async (sample: Sample) => {
        const forIt = usable.find((model) => model.name === sample.model);
        if (forIt) {
            setName(forIt.name);
            setVersion(undefined);
        }
        const name = sample.path.replace("/page/", "");
        const there = pictures.find((picture) => picture.name === name);
        if (there) setChosen(there.id);
        else add([await loadSample(sample)]);
    };
    const remove = (picture: Picture) => {
        URL.revokeObjectURL(picture.url);
        const left = pictures.filter((other) => other.id !== picture.id);
        setPictures(left);
        if (chosen === picture.id) setChosen(left.at(-1)?.id);
    };
    useDropAndPaste((files) => shown && addFiles(files), setOver);

    const picture = pictures.find((picture) => picture.id === chosen);
    const result = picture && answers.of(picture);
    const answer = result?.state === "answered" ? result.answer : undefined;
    const drawNames = names ?? (answer?.points?.length ?? 0) <= 12;
    return (
        <main id="playground" hidden={!shown} class={over ? "dropping" : ""}>
            <h1 class="hidden">Playground</h1>
            <div class="toolbar">
                <Chooser
                    {...{ usable, model, version }}
                    choose={(name, version) => {
                        setName(name);
                        setVersion(version);
                    }}
                />
                {pictures.length > 0 && <AddPictures addFiles={addFiles} add={add} />}
            </div>
            {problem && <ProblemNote problem={problem} />}
            {usable.length === 0 && (
                <p class="nothing-ready" role="status">
                    No model takes pictures yet. The page looks again by itself; “Models” says what each is doing.
                </p>
            )}
            {picture && result ? (
                <div class="columns">
                    <div class="left">
                        <Viewer
                            key={picture.id}
                            picture={picture}
                            points={answer?.points}
                            size={answer?.picture}
                            chosen={point}
                            choose={setPoint}
                            names={drawNames}
                            waiting={result.state === "waiting"}
                        />
                        <Strip {...{ pictures, chosen, remove }} choose={setChosen} resultOf={answers.of} />
                        <p class="samples-line">
                            Samples:
                            {SAMPLES.map((sample) => (
                                <button key={sample.path} type="button" class="quiet" onClick={() => addSample(sample)}>
                                    {sample.title}
                                </button>
                            ))}
                        </p>
                    </div>
                    <AnswerPanel
                        {...{ result, marks, setMarks }}
                        detail={known}
                        again={() => answers.again(picture)}
                        point={point}
                        choosePoint={setPoint}
                        names={drawNames}
                        showNames={setNames}
                        call={
                            target && {
                                ...target,
                                version,
                                query: target.task === "multi_label" ? queryFor(marks) : "",
                                files: (result.state === "answered" && result.together > 1 ? pictures : [picture]).map(
                                    ({ name, file }) => ({ name, type: file.type }),
                                ),
                                needsKey: hasKey("predict"),
                            }
                        }
                    />
                </div>
            ) : (
                <Welcome addSample={addSample} addFiles={addFiles} add={add} />
            )}
            {over && (
                <div class="drop-here" aria-hidden="true">
                    <Icon name="upload" />
                    Let go to add
                </div>
            )}
        </main>
    );
}
