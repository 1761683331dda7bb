/** A version's labels: what each is worth at every operating point, as charts, its thresholds, and how often it occurs. */

import type { Detail, Label } from "./api.ts";
import { DEFAULT_POINT, operatingPoints } from "./marks.ts";
import { score } from "./words.ts";

/** Of each label, where the manifest has it. The first does not depend on a threshold. */
const AVERAGE = ["average_precision", "average precision"] as const;
const AT_POINTS = [
    ["precision", "precision"],
    ["recall", "recall"],
    ["f1", "F1"],
] as const;
/** Points with a colour of their own; later ones use the colours again. */
const COLOURS = 6;

type Metrics = Record<string, number>;

/** The metric's name in the manifest. */
const nameAt = (metric: string, point: string, label: Label) => `${metric}${point === DEFAULT_POINT ? "" : `@${point}`}/${label.name}`;

export function LabelTable({ detail, labels }: { detail: Detail; labels: Label[] }) {
    const metrics: Metrics = Object.values(detail.metrics ?? {})[0] ?? {};
    // A model of one label has no thresholds, but says its best label at some precision and recall.
    const points = operatingPoints(detail);
    const judged = points.length > 0 ? points : [DEFAULT_POINT];
    const has = (name: (label: Label) => string) => labels.some((label) => metrics[name(label)] !== undefined);
    const shown = judged.filter((point) => AT_POINTS.some(([metric]) => has((label) => nameAt(metric, point, label))));
    const charts = AT_POINTS.filter(([metric]) => shown.some((point) => has((label) => nameAt(metric, point, label))));
    const average = has((label) => `${AVERAGE[0]}/${label.name}`);
    return (
        <>
            {shown.length > 1 && <Legend points={shown} />}
            <div class="scroll" tabIndex={0} role="region" aria-label={`Labels of ${detail.name}`}>
                <table>
                    <thead>
                        <tr>
                            <th scope="col">label</th>
                            {average && <th scope="col">{AVERAGE[1]}</th>}
                            {charts.map(([metric, title]) => (
                                <th key={metric} scope="col">
                                    {title}
                                </th>
                            ))}
                            {points.map((point) => (
                                <th key={point} scope="col" class="number">
                                    threshold, {point}
                                </th>
                            ))}
                            <th scope="col" class="number">
                                trained on
                            </th>
                            <th scope="col" class="number">
                                validated on
                            </th>
                        </tr>
                    </thead>
                    <tbody>
                        {labels.map((label) => (
                            <tr key={label.name}>
                                <th scope="row">{label.name}</th>
                                {average && <Bars values={[[undefined, metrics[`${AVERAGE[0]}/${label.name}`]]]} />}
                                {charts.map(([metric]) => (
                                    <Bars
                                        key={metric}
                                        values={shown.map((point) => [shown.length > 1 ? point : undefined, metrics[nameAt(metric, point, label)]])}
                                    />
                                ))}
                                {points.map((point) => {
                                    const threshold = label.thresholds?.[point];
                                    return (
                                        <td key={point} class="number">
                                            {threshold === undefined ? "–" : score(threshold)}
                                        </td>
                                    );
                                })}
                                <td class="number">{label.train_count.toLocaleString("en")}</td>
                                <td class="number">{label.valid_count.toLocaleString("en")}</td>
                            </tr>
                        ))}
                    </tbody>
                </table>
            </div>
        </>
    );
}

/** Which colour is which operating point. */
function Legend({ points }: { points: string[] }) {
    return (
        <p class="legend">
            Operating points:
            {points.map((point, place) => (
                <span key={point}>
                    <i class={`swatch series-${place % COLOURS}`} />
                    {point}
                </span>
            ))}
        </p>
    );
}

/** Numbers from 0 to 1, each with a bar of its length: one, or one for each operating point. */
function Bars({ values }: { values: [point: string | undefined, value: number | undefined][] }) {
    return (
        <td class="chart">
            {values.map(([point, value], place) => (
                <span key={place} class="bar-line">
                    {point && <span class="hidden">{point}: </span>}
                    <span class={value === undefined ? "" : "track"} aria-hidden="true">
                        {value !== undefined && <span class={`fill series-${place % COLOURS}`} style={{ width: `${value * 100}%` }} />}
                    </span>
                    <span class="number">{value?.toFixed(3) ?? "–"}</span>
                </span>
            ))}
        </td>
    );
}
