/** Where an answer's time went. */

import type { Answer } from "./api.ts";
import { milliseconds, plural } from "./words.ts";

const STAGES = ["decode", "queue", "inference"] as const;

export function Timings({ answer, roundTrip, together }: { answer: Answer; roundTrip: number; together: number }) {
    const { timings_ms: times } = answer;
    const rest = Math.max(times.total - times.decode - times.queue - times.inference, 0);
    const parts: [string, number][] = [...STAGES.map((stage): [string, number] => [stage, times[stage]]), ["other", rest]];
    const whole = parts.reduce((sum, [, time]) => sum + time, 0) || 1;
    return (
        <section aria-labelledby="time-heading" class="timings">
            <h2 id="time-heading">Time</h2>
            <p class="big">
                {milliseconds(times.total)} <small>in the server</small>
            </p>
            <div class="stages" aria-hidden="true">
                {parts.map(([stage, time]) => (
                    <div key={stage} class={`stage-${stage}`} style={{ width: `${(time / whole) * 100}%` }} />
                ))}
            </div>
            <dl class="facts">
                {parts.map(([stage, time]) => (
                    <div key={stage}>
                        <dt>
                            <i class={`swatch stage-${stage}`} />
                            {stage}
                        </dt>
                        <dd>{milliseconds(time)}</dd>
                    </div>
                ))}
                <div>
                    <dt>with the way here and back</dt>
                    <dd>{milliseconds(roundTrip)}</dd>
                </div>
                <div>
                    <dt>batch</dt>
                    <dd>{plural(answer.batch_size, "picture")}</dd>
                </div>
                {together > 1 && (
                    <div>
                        <dt>request</dt>
                        <dd>{plural(together, "picture")}</dd>
                    </div>
                )}
                <div>
                    <dt>answered by</dt>
                    <dd>
                        {answer.model}, version {answer.version}
                    </dd>
                </div>
            </dl>
        </section>
    );
}
