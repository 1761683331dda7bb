/** How the version on trial differs from the one that answers. */

import { useEffect, useState } from "preact/hooks";
import { type Model, type Problem, Refusal, type ShadowReport, shadowReport } from "./api.ts";
import { ProblemNote } from "./problem.tsx";
import { plural } from "./words.ts";

/** The outputs that differ most are shown; the address below has all. */
const MOST = 12;

export function Trial({ model, version, share }: { model: Model; version: string; share: number }) {
    const [report, setReport] = useState<ShadowReport>();
    const [problem, setProblem] = useState<Problem>();
    useEffect(() => {
        shadowReport(model.name, version).then(setReport, (error: unknown) => {
            if (error instanceof Refusal) setProblem(error.problem);
        });
    }, [model, version]);
    if (problem) return <ProblemNote problem={problem} />;
    if (!report) return null;
    const outputs = Object.entries(report.outputs).sort(([, a], [, b]) => b.mean - a.mean);
    const longest = outputs[0]?.[1].mean ?? 0;
    return (
        <section class="trial-report" aria-label={`Version ${version} on trial`}>
            <h3>
                Version {version} on trial{report.against && ` against version ${report.against}`}
            </h3>
            <p>
                It sees {Math.round(share * 100)} % of the pictures and answers none: {plural(report.pictures, "picture")} so far,{" "}
                {report.dropped} dropped, {report.failed} failed.
            </p>
            {outputs.length > 0 && (
                <div class="scroll" tabIndex={0} role="region" aria-label="Differences by output">
                    <table>
                        <thead>
                            <tr>
                                <th scope="col">output</th>
                                <th scope="col">mean difference</th>
                                <th scope="col" class="number">largest</th>
                                <th scope="col" class="number">disagreements</th>
                            </tr>
                        </thead>
                        <tbody>
                            {outputs.slice(0, MOST).map(([name, { mean, max, disagreements }]) => (
                                <tr key={name}>
                                    <th scope="row">{name}</th>
                                    <td class="chart">
                                        <span class="bar-line">
                                            <span class="track" aria-hidden="true">
                                                <span class="fill series-0" style={{ width: `${longest > 0 ? (mean / longest) * 100 : 0}%` }} />
                                            </span>
                                            <span class="number">{mean.toPrecision(2)}</span>
                                        </span>
                                    </td>
                                    <td class="number">{max.toPrecision(2)}</td>
                                    <td class="number">{disagreements}</td>
                                </tr>
                            ))}
                        </tbody>
                    </table>
                </div>
            )}
        </section>
    );
}
