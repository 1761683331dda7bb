/** A version's card: what it answers, what it is worth, and where it comes from. */

import type { Detail } from "./api.ts";
import { LabelTable } from "./label-table.tsx";
import { plural } from "./words.ts";

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
