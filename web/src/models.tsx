/** Models: their versions, which one answers, and changing that. */

import { useEffect, useRef, useState } from "preact/hooks";
import { type Detail, type Model, type Problem, Refusal, type Version, getModel, promote, rollBack } from "./api.ts";
import { Card } from "./card.tsx";
import { Icon } from "./icons.tsx";
import { ProblemNote } from "./problem.tsx";
import { Trial } from "./trial.tsx";
import { TASKS, plural } from "./words.ts";

export function Models({ models, reload }: { models: Model[]; reload: () => Promise<void> }) {
    useEffect(() => void reload(), []);
    return (
        <main>
            <h1>Models</h1>
            {models.length === 0 && <p>The models folder is empty.</p>}
            {models.map((model) => (
                <ModelCard key={model.name} model={model} reload={reload} />
            ))}
        </main>
    );
}

function ModelCard({ model, reload }: { model: Model; reload: () => Promise<void> }) {
    const [version, setVersion] = useState<string>();
    const [detail, setDetail] = useState<Detail>();
    const [problem, setProblem] = useState<Problem>();
    const [asked, setAsked] = useState<string>();
    const [done, setDone] = useState("");
    const shown = version ?? model.version;
    const state = model.versions.find((one) => one.version === shown)?.state;
    const refused = (error: unknown) => {
        if (error instanceof Refusal) setProblem(error.problem);
        else throw error;
    };
    useEffect(() => {
        getModel(model.name, shown).then(setDetail, refused);
    }, [model.name, shown, state]);

    const change = async (act: () => Promise<{ note?: string }>, said: string) => {
        setAsked(undefined);
        setProblem(undefined);
        setDone("");
        try {
            const { note } = await act();
            setDone(note ? `${said} (${note}.)` : said);
            setVersion(undefined);
            await reload();
        } catch (error) {
            refused(error);
        }
    };
    const heading = `model-${model.name}`;
    return (
        <article class="card" aria-labelledby={heading}>
            <div class="card-head">
                <h2 id={heading}>{model.name}</h2>
                <span class="quiet-text">
                    {model.task && `answers ${TASKS[model.task] ?? model.task}, `}
                    {plural(model.versions.length, "version")}
                </span>
                {model.versions.length > 1 && (
                    <button type="button" onClick={() => change(() => rollBack(model.name), `${model.name} is rolled back.`)}>
                        <Icon name="back" />
                        Roll back
                    </button>
                )}
            </div>
            <p class="done" role="status">
                {done}
            </p>
            {problem && <ProblemNote problem={problem} />}
            <ul class="versions" aria-label={`Versions of ${model.name}`}>
                {model.versions.map((one) => (
                    <VersionRow
                        key={one.version}
                        one={one}
                        model={model}
                        shown={one.version === shown}
                        show={() => setVersion(one.version)}
                        promote={() => setAsked(one.version)}
                    />
                ))}
            </ul>
            {detail?.version === shown && <Card detail={detail} />}
            {model.shadow && state === "ready" && <Trial model={model} version={model.shadow.version} share={model.shadow.share} />}
            {asked && (
                <Confirm
                    text={`From now on version ${asked} of ${model.name} answers wherever a request names no version. “Roll back” undoes this.`}
                    action={`Promote version ${asked}`}
                    yes={() => change(() => promote(model.name, asked), `Version ${asked} answers now.`)}
                    no={() => setAsked(undefined)}
                />
            )}
        </article>
    );
}

interface RowProps {
    one: Version;
    model: Model;
    shown: boolean;
    show: () => void;
    promote: () => void;
}

function VersionRow({ one, model, shown, show, promote }: RowProps) {
    const answers = one.version === model.version;
    const onTrial = model.shadow?.version === one.version;
    return (
        <li class={shown ? "shown" : ""}>
            <button type="button" class="version" aria-pressed={shown} onClick={show}>
                Version {one.version}
            </button>
            <span class={`state ${one.state}`}>{one.state}</span>
            {answers && <span class="badge">default</span>}
            {onTrial && <span class="badge trial">on trial: {Math.round(model.shadow!.share * 100)} % of the pictures</span>}
            {one.checked === false && <span class="badge warn">no golden samples: unchecked</span>}
            {one.reason && <span class="reason">{one.reason}</span>}
            {!answers && (
                <button type="button" onClick={promote} aria-label={`Promote version ${one.version} of ${model.name}`}>
                    <Icon name="up" />
                    Promote
                </button>
            )}
        </li>
    );
}

function Confirm({ text, action, yes, no }: { text: string; action: string; yes: () => void; no: () => void }) {
    const dialog = useRef<HTMLDialogElement>(null);
    useEffect(() => dialog.current?.showModal(), []);
    return (
        <dialog ref={dialog} aria-label={action} onClose={no}>
            <p>{text}</p>
            <div class="choices">
                <button type="button" onClick={no}>
                    Leave it
                </button>
                <button type="button" class="primary" onClick={yes}>
                    {action}
                </button>
            </div>
        </dialog>
    );
}
