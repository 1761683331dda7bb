/** Health: what the server does right now, from /metrics. */

import { useEffect, useState } from "preact/hooks";
import { type Problem, Refusal, metricsText } from "./api.ts";
import { type Look, MEASURES, type Measure } from "./measures.ts";
import { type Page, parse, sum } from "./metrics.ts";
import { ProblemNote } from "./problem.tsx";
import { milliseconds } from "./words.ts";

const EVERY_MS = 2000;
/** Two minutes of looks. */
const LOOKS = 61;
/** Rates and quantiles are over so many looks: single ones jump. */
const WINDOW = 5;

function useLooks(): { looks: Look[]; problem: Problem | undefined } {
    const [looks, setLooks] = useState<Look[]>([]);
    const [problem, setProblem] = useState<Problem>();
    useEffect(() => {
        let timer = 0;
        let over = false;
        const look = async () => {
            try {
                const page = document.hidden ? undefined : parse(await metricsText());
                if (page) setLooks((looks) => [...looks, { at: performance.now(), page }].slice(-LOOKS));
                setProblem(undefined);
            } catch (error) {
                if (error instanceof Refusal) setProblem(error.problem);
                else throw error;
            } finally {
                if (!over) timer = setTimeout(look, EVERY_MS);
            }
        };
        void look();
        return () => {
            over = true;
            clearTimeout(timer);
        };
    }, []);
    return { looks, problem };
}

export function Health() {
    const { looks, problem } = useLooks();
    const last = looks.at(-1);
    return (
        <main>
            <h1>Health</h1>
            <p class="quiet-text">The last two minutes, looked at every two seconds while this view is open.</p>
            {problem && <ProblemNote problem={problem} />}
            <div class="gauges">
                {MEASURES.map((measure) => (
                    <Gauge key={measure.title} measure={measure} looks={looks} />
                ))}
            </div>
            {last && <ByModel page={last.page} />}
        </main>
    );
}

function Gauge({ measure, looks }: { measure: Measure; looks: Look[] }) {
    const values = looks.map((look, place) => (place === 0 ? undefined : measure.of(looks[Math.max(place - WINDOW, 0)]!, look)));
    const now = values.at(-1);
    return (
        <section class="gauge" aria-label={measure.title}>
            <h2>{measure.title}</h2>
            <p>
                <strong>{now === undefined ? "–" : measure.say(now)}</strong> {now !== undefined && measure.unit}
            </p>
            <Line values={values} />
        </section>
    );
}

/** The newest value at the right; the height is that of the largest. */
function Line({ values }: { values: (number | undefined)[] }) {
    const top = Math.max(...values.map((value) => value ?? 0), 1e-9);
    const width = LOOKS - 1;
    const begin = LOOKS - values.length;
    const points = values.flatMap((value, place) => (value === undefined ? [] : [`${begin + place},${29 - (value / top) * 27}`]));
    const first = points[0]?.split(",")[0];
    return (
        <svg class="line" viewBox={`0 0 ${width} 30`} preserveAspectRatio="none" aria-hidden="true">
            {points.length > 1 && <polygon points={`${first},30 ${points.join(" ")} ${width},30`} />}
            {points.length > 1 && <polyline points={points.join(" ")} />}
        </svg>
    );
}

/** What each version has done since the server began. */
function ByModel({ page }: { page: Page }) {
    const versions = (page.get("tagpoint_model_healthy") ?? []).map(({ labels, value }) => {
        const mine = (other: Record<string, string>) => other.model === labels.model && other.version === labels.version;
        const pictures = sum(page, "tagpoint_batch_size_sum", mine);
        const batches = sum(page, "tagpoint_batch_size_count", mine);
        return {
            name: labels.model!,
            version: labels.version!,
            healthy: value === 1,
            pictures,
            waiting: sum(page, "tagpoint_queue_length", mine),
            rejected: sum(page, "tagpoint_pictures_rejected_total", mine),
            batch: batches > 0 ? sum(page, "tagpoint_batch_inference_seconds_sum", mine) / batches : undefined,
        };
    });
    return (
        <section>
            <h2 id="versions-heading">Versions, since the server began</h2>
            <div class="scroll" tabIndex={0} role="region" aria-labelledby="versions-heading">
                <table>
                    <thead>
                        <tr>
                            <th scope="col">model</th>
                            <th scope="col">version</th>
                            <th scope="col">state</th>
                            <th scope="col" class="number">pictures</th>
                            <th scope="col" class="number">waiting</th>
                            <th scope="col" class="number">turned away</th>
                            <th scope="col" class="number">mean time of a batch</th>
                        </tr>
                    </thead>
                    <tbody>
                        {versions.map((one) => (
                            <tr key={`${one.name}/${one.version}`}>
                                <th scope="row">{one.name}</th>
                                <td>{one.version}</td>
                                <td>
                                    <span class={`state ${one.healthy ? "ready" : "failing"}`}>{one.healthy ? "healthy" : "failing"}</span>
                                </td>
                                <td class="number">{one.pictures.toLocaleString("en")}</td>
                                <td class="number">{one.waiting}</td>
                                <td class="number">{one.rejected}</td>
                                <td class="number">{one.batch === undefined ? "–" : milliseconds(one.batch * 1000)}</td>
                            </tr>
                        ))}
                    </tbody>
                </table>
            </div>
        </section>
    );
}
