/** A version's card: what it answers, what it is worth, and where it comes from. */

import type { Detail, Label } from "./api.ts";
import { operatingPoints } from "./marks.ts";
import { plural, score } from "./words.ts";

/** Of each label, where the manifest has it; at the default operating point, but for the first. */
const PER_LABEL: [string, string][] = [
    ["average_precision", "average precision"],
    ["precision", "precision"],
    ["recall", "recall"],
    ["f1", "F1"],
];

/** The metrics that matter most first. */
const TITLES: Record<string, string> = {
    map: "mean average precision",
    accuracy: "accuracy",
    accuracy_multi: "accuracy over all labels",
    nme: "mean error, normalised",
    point_error_px: "mean error in pixels of the frame",
    rmse: "root mean square error",
    mae: "mean absolute error",
    loss: "loss",
};

export function Card({ detail }: { detail: Detail }) {
    if (!detail.metrics) return <p class="quiet-text">The card of a version can be read once it is loaded.</p>;
    return (
        <div class="about">
            {Object.entries(detail.metrics).map(([precision, metrics]) => (
                <Metrics key={precision} precision={precision} metrics={metrics} />
            ))}
            {detail.labels && <LabelTable detail={detail} labels={detail.labels} />}
            {detail.names && (
                <details>
                    <summary>{plural(detail.names.length, detail.task === "points" ? "point" : "value")}</summary>
                    <p class="names">{detail.names.join(", ")}</p>
                </details>
            )}
            <Origin detail={detail} />
        </div>
    );
}

function Metrics({ precision, metrics }: { precision: string; metrics: Record<string, number> }) {
    const known = Object.keys(TITLES);
    const rank = (name: string) => (known.includes(name) ? known.indexOf(name) : known.length);
    const whole = Object.entries(metrics)
        .filter(([name]) => !name.includes("/"))
        .sort(([a], [b]) => rank(a) - rank(b));
    if (whole.length === 0) return null;
    return (
        <dl class="tiles" aria-label={`Measured on validation pictures, in ${precision}`}>
            {whole.map(([name, value]) => (
                <div key={name}>
                    <dt>{TITLES[name] ?? name.replaceAll("_", " ")}</dt>
                    <dd>{value.toPrecision(3)}</dd>
                </div>
            ))}
        </dl>
    );
}

function LabelTable({ detail, labels }: { detail: Detail; labels: Label[] }) {
    const metrics = Object.values(detail.metrics ?? {})[0] ?? {};
    const charts = PER_LABEL.filter(([name]) => labels.some((label) => metrics[`${name}/${label.name}`] !== undefined));
    const points = operatingPoints(detail);
    return (
        <div class="scroll" tabIndex={0} role="region" aria-label={`Labels of ${detail.name}`}>
            <table>
                <thead>
                    <tr>
                        <th scope="col">label</th>
                        {charts.map(([name, title]) => (
                            <th key={name} scope="col">
                                {title}
                            </th>
                        ))}
                        {points.map((point) => (
                            <th key={point} scope="col" class="number">
                                threshold, {point}
                            </th>
                        ))}
                        <th scope="col" class="number">trained on</th>
                        <th scope="col" class="number">validated on</th>
                    </tr>
                </thead>
                <tbody>
                    {labels.map((label) => (
                        <tr key={label.name}>
                            <th scope="row">{label.name}</th>
                            {charts.map(([name]) => (
                                <ChartCell key={name} value={metrics[`${name}/${label.name}`]} />
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
    );
}

/** A number from 0 to 1 with a bar of its length. */
function ChartCell({ value }: { value: number | undefined }) {
    if (value === undefined) return <td class="number">–</td>;
    return (
        <td class="chart">
            <span class="track" aria-hidden="true">
                <span class="fill" style={{ width: `${value * 100}%` }} />
            </span>
            {value.toFixed(3)}
        </td>
    );
}

const RESIZE: Record<string, string> = {
    squish: "squished into the frame",
    crop: "cropped at the centre",
    pad: "with black around it",
};

function Origin({ detail }: { detail: Detail }) {
    const { provenance: made, input } = detail;
    const facts: [string, string | undefined][] = [
        ["architecture", detail.architecture],
        ["sees", input && `${input.width} × ${input.height} pixels, ${RESIZE[input.resize] ?? input.resize}`],
        ["written", detail.created && detail.created.replace("T", " ").replace("Z", " UTC")],
        ["by", made?.tool],
        ["data", made && made.train_pictures > 0 ? `${plural(made.train_pictures, "picture")} to train, ${made.valid_pictures.toLocaleString("en")} to validate` : undefined],
        ["data fingerprint", made?.data],
        ["started from weights", made?.base_weights],
        ["model file", detail.digest],
    ];
    return (
        <dl class="facts origin">
            {facts
                .filter(([, value]) => value)
                .map(([name, value]) => (
                    <div key={name}>
                        <dt>{name}</dt>
                        <dd>{value!.startsWith("sha256:") ? <code>{value}</code> : value}</dd>
                    </div>
                ))}
        </dl>
    );
}
