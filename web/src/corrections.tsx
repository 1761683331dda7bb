/** How far the corrections of a version have come, and new thresholds from them. */

import { useEffect, useRef, useState } from "preact/hooks";
import { type Corrections as Counts, type Model, type Problem, type Refit, Refusal, corrections, refit, rollBackThresholds } from "./api.ts";
import { Icon } from "./icons.tsx";
import { ProblemNote } from "./problem.tsx";
import { plural } from "./words.ts";

interface Props {
    model: Model;
    version: string;
    /** Corrections that were saved here: with each the counts are asked for anew. */
    saved: number;
}

export function Corrections({ model, version, saved }: Props) {
    const [counts, setCounts] = useState<Counts>();
    const [fitted, setFitted] = useState<Refit>();
    const [problem, setProblem] = useState<Problem>();
    const [done, setDone] = useState("");
    const refused = (error: unknown) => {
        if (!(error instanceof Refusal)) throw error;
        setProblem(error.problem);
    };
    useEffect(() => {
        setProblem(undefined);
        corrections(model.name, version).then(setCounts, refused);
    }, [model.name, version, saved]);
    const act = async (what: () => Promise<string>) => {
        setProblem(undefined);
        setFitted(undefined);
        await what().then(setDone, refused);
    };
    const known = counts?.version === version ? counts : undefined;
    const enough = known?.labels.some((label) => label.missing_positives + label.missing_negatives === 0) ?? false;
    return (
        <section aria-labelledby="corrections-heading">
            <h2 id="corrections-heading">Corrections of version {version}</h2>
            {problem && <ProblemNote problem={problem} />}
            <p class="done" role="status">
                {done}
            </p>
            {known?.pictures === 0 && <p>No picture of it is corrected yet.</p>}
            {known && known.pictures > 0 && (
                <p>
                    {plural(known.pictures, "picture")} {known.pictures === 1 ? "is" : "are"} corrected. <code>tagpoint feedback export --model {model.name}</code>{" "}
                    makes a data set of them.
                </p>
            )}
            {known && known.labels.length > 0 && (
                <>
                    <Table counts={known} />
                    <p class="note">
                        New thresholds suit the pictures that they are fitted on: correct them as they come (“the newest first”), not only doubtful
                        ones.
                    </p>
                    <div class="choices begin">
                        <button type="button" class="primary" disabled={!enough} onClick={() => refit(model.name, version, true).then(setFitted, refused)}>
                            Fit thresholds anew
                        </button>
                        <button
                            type="button"
                            onClick={() =>
                                act(async () => {
                                    const { thresholds_revision: revision } = await rollBackThresholds(model.name, version);
                                    return revision === 0 ? "The model file's own thresholds hold again." : `Revision ${revision} of the thresholds holds again.`;
                                })
                            }
                        >
                            <Icon name="back" />
                            Roll back thresholds
                        </button>
                    </div>
                </>
            )}
            {fitted && (
                <Preview
                    fitted={fitted}
                    no={() => setFitted(undefined)}
                    yes={() => act(async () => `Revision ${(await refit(model.name, version, false)).thresholds_revision} of the thresholds holds now.`)}
                />
            )}
        </section>
    );
}

/** What a label still needs before its thresholds can be fitted anew. */
function lacks({ missing_positives: having, missing_negatives: without }: Counts["labels"][number]): string {
    const parts = [having > 0 && `${having} more with it`, without > 0 && `${without} more without it`].filter(Boolean);
    return parts.length > 0 ? parts.join(", ") : "enough";
}

function Table({ counts }: { counts: Counts }) {
    return (
        <div class="scroll" tabIndex={0} role="region" aria-label="Corrections by label">
            <table>
                <thead>
                    <tr>
                        <th scope="col">label</th>
                        <th scope="col">a new threshold needs</th>
                        <th scope="col" class="number">pictures with it</th>
                        <th scope="col" class="number">without it</th>
                    </tr>
                </thead>
                <tbody>
                    {counts.labels.map((label) => (
                        <tr key={label.label}>
                            <th scope="row">{label.label}</th>
                            <td class={lacks(label) === "enough" ? "lacks enough" : "lacks"}>{lacks(label)}</td>
                            <td class="number">{label.positives}</td>
                            <td class="number">{label.negatives}</td>
                        </tr>
                    ))}
                </tbody>
            </table>
        </div>
    );
}

/** The thresholds that would hold, before they do. */
function Preview({ fitted, yes, no }: { fitted: Refit; yes: () => void; no: () => void }) {
    const dialog = useRef<HTMLDialogElement>(null);
    useEffect(() => dialog.current?.showModal(), []);
    const rows = fitted.labels.flatMap(({ label, thresholds }) =>
        Object.entries(thresholds)
            .filter(([, { low }]) => low !== undefined)
            .map(([point, { threshold, low, high }]) => ({ label, point, threshold, low: low!, high: high! })),
    );
    return (
        <dialog ref={dialog} aria-labelledby="preview-heading" onClose={no}>
            <h2 id="preview-heading">New thresholds</h2>
            <p>From {plural(fitted.pictures, "corrected picture")}. Labels with too few keep theirs.</p>
            <div class="scroll" tabIndex={0} role="region" aria-labelledby="preview-heading">
                <table>
                    <thead>
                        <tr>
                            <th scope="col">label</th>
                            <th scope="col">operating point</th>
                            <th scope="col" class="number">threshold</th>
                            <th scope="col" class="number">95 % interval</th>
                        </tr>
                    </thead>
                    <tbody>
                        {rows.map(({ label, point, threshold, low, high }) => (
                            <tr key={`${label} ${point}`}>
                                <th scope="row">{label}</th>
                                <td>{point}</td>
                                <td class="number">{threshold.toFixed(3)}</td>
                                <td class="number">
                                    {low.toFixed(3)}–{high.toFixed(3)}
                                </td>
                            </tr>
                        ))}
                    </tbody>
                </table>
            </div>
            <div class="choices">
                <button type="button" onClick={no}>
                    Leave it
                </button>
                <button type="button" class="primary" onClick={yes}>
                    Put them in force
                </button>
            </div>
        </dialog>
    );
}
