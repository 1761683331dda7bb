/** A form that starts a job from a ZIP of pictures. */

import { useEffect, useRef, useState } from "preact/hooks";
import { type Detail, type Job, type Model, type Problem, Refusal, getModel, startJob } from "./api.ts";
import { Chooser, choices } from "./chooser.tsx";
import { DEFAULT_POINT, operatingPoints } from "./marks.ts";
import { ProblemNote } from "./problem.tsx";

export function NewJob({ models, started }: { models: Model[]; started: (job: Job) => void }) {
    const [name, setName] = useState<string>();
    const [version, setVersion] = useState<string>();
    const [detail, setDetail] = useState<Detail>();
    const [point, setPoint] = useState(DEFAULT_POINT);
    const [chosen, setChosen] = useState(false);
    const [sending, setSending] = useState(false);
    const [problem, setProblem] = useState<Problem>();
    const files = useRef<HTMLInputElement>(null);
    const usable = models.filter((model) => choices(model).length > 0);
    const model = usable.find((model) => model.name === name) ?? usable[0];
    const answering = model && (version ?? model.version);
    useEffect(() => {
        setPoint(DEFAULT_POINT);
        if (model && answering) void getModel(model.name, answering).then(setDetail, () => setDetail(undefined));
    }, [model?.name, answering]);
    if (!model) return <p class="quiet-text">No model takes pictures yet.</p>;

    const points = detail?.name === model.name ? operatingPoints(detail) : [];
    const start = async (event: Event) => {
        event.preventDefault();
        const zip = files.current?.files?.[0];
        if (!zip || sending) return;
        setSending(true);
        setProblem(undefined);
        const asked = { model: model.name, ...(version && { version }), ...(point !== DEFAULT_POINT && { operating_point: point }) };
        try {
            started(await startJob(asked, zip));
            files.current!.value = "";
            setChosen(false);
        } catch (error) {
            if (!(error instanceof Refusal)) throw error;
            setProblem(error.problem);
        } finally {
            setSending(false);
        }
    };
    return (
        <section aria-labelledby="new-job-heading">
            <h2 id="new-job-heading">Answer many pictures</h2>
            <form class="toolbar new-job" onSubmit={start}>
                <Chooser
                    {...{ usable, model, version }}
                    choose={(name, version) => {
                        setName(name);
                        setVersion(version);
                    }}
                />
                {points.length > 1 && (
                    <label>
                        Operating point
                        <select value={point} onChange={(event) => setPoint(event.currentTarget.value)}>
                            {points.map((point) => (
                                <option key={point}>{point}</option>
                            ))}
                        </select>
                    </label>
                )}
                <label class="file">
                    ZIP of pictures
                    <input type="file" accept=".zip,application/zip" ref={files} onChange={(event) => setChosen(event.currentTarget.files!.length > 0)} />
                </label>
                <button type="submit" class="primary" disabled={!chosen || sending}>
                    {sending ? "Sending …" : "Start"}
                </button>
            </form>
            {problem && <ProblemNote problem={problem} />}
            <p class="note">
                Pictures in a bucket and lists of URLs need no ZIP: <code>POST /v1/jobs</code> takes them, too (<a href="/docs/">API</a>).
            </p>
        </section>
    );
}
