/** Labels as bars, each with its threshold as a mark that can be moved. */

import { useState } from "preact/hooks";
import type { Answer, Detail } from "./api.ts";
import { Icon } from "./icons.tsx";
import { type Marks, type Row, operatingPoints, rowsOf, unmoved } from "./marks.ts";
import { plural, score } from "./words.ts";

/** More bars than these are shown on request. */
const MANY = 15;

interface Props {
    answer: Answer;
    detail: Detail;
    marks: Marks;
    setMarks: (marks: Marks) => void;
}

export function Labels({ answer, detail, marks, setMarks }: Props) {
    const [all, setAll] = useState(false);
    const rows = rowsOf(answer, detail, marks);
    const named = rows.filter((row) => row.named);
    const shown = all ? rows : rows.slice(0, MANY);
    const move = (name: string, threshold: number) =>
        setMarks({ ...marks, moved: { ...marks.moved, [name]: threshold } });
    return (
        <section aria-labelledby="labels-heading">
            <h2 id="labels-heading">Labels</h2>
            <p class="said" aria-live="polite">
                {named.length > 0 ? (
                    named.map((row) => (
                        <span key={row.name} class="tag">
                            <Icon name="check" />
                            {row.name}
                        </span>
                    ))
                ) : (
                    <span class="none">No label reaches its threshold.</span>
                )}
            </p>
            {answer.task === "multi_label" && <OperatingPoint {...{ detail, marks, setMarks }} />}
            <ul class="bars">
                {shown.map((row) => (
                    <Bar key={row.name} row={row} move={(threshold) => move(row.name, threshold)} />
                ))}
            </ul>
            {rows.length > MANY && (
                <button type="button" class="quiet" onClick={() => setAll(!all)}>
                    {all ? `The ${MANY} best only` : `All ${plural(rows.length, "label")}`}
                </button>
            )}
        </section>
    );
}

function Bar({ row, move }: { row: Row; move: (threshold: number) => void }) {
    const { name, threshold, named } = row;
    const said = named ? `${name} is named` : `${name} is not named`;
    return (
        <li class={named ? "bar named" : "bar"}>
            <span class="label">
                {named && <Icon name="check" />}
                <span title={name}>{name}</span>
                {named && <span class="hidden">, named,</span>}
            </span>
            {threshold !== undefined && <span class="threshold">from {score(threshold)}</span>}
            <span class="number">{score(row.score)}</span>
            <div class="track">
                <div class="fill" style={{ width: `${row.score * 100}%` }} />
                {threshold !== undefined && (
                    <input
                        type="range"
                        min="0"
                        max="1"
                        step="0.005"
                        value={threshold}
                        aria-label={`Threshold of ${name}`}
                        aria-valuetext={`${score(threshold)}; score ${score(row.score)}: ${said}`}
                        onInput={(event) => move(event.currentTarget.valueAsNumber)}
                    />
                )}
            </div>
        </li>
    );
}

function OperatingPoint({ detail, marks, setMarks }: Omit<Props, "answer">) {
    const points = operatingPoints(detail);
    const moved = marks.shared !== undefined || Object.keys(marks.moved).length > 0;
    return (
        <div class="operating">
            {points.length > 1 && (
                <label>
                    Operating point
                    <select
                        value={marks.point}
                        onChange={(event) => setMarks({ ...unmoved, point: event.currentTarget.value })}
                    >
                        {points.map((point) => (
                            <option key={point} value={point}>
                                {point}
                            </option>
                        ))}
                    </select>
                </label>
            )}
            <label>
                All marks
                <input
                    type="range"
                    class="plain"
                    min="0"
                    max="1"
                    step="0.01"
                    value={marks.shared ?? 0.5}
                    aria-valuetext={marks.shared === undefined ? "each at its own place" : score(marks.shared)}
                    onInput={(event) => setMarks({ ...marks, shared: event.currentTarget.valueAsNumber, moved: {} })}
                />
                <output>{marks.shared === undefined ? "each its own" : score(marks.shared)}</output>
            </label>
            <button type="button" class="quiet" disabled={!moved} onClick={() => setMarks({ ...unmoved, point: marks.point })}>
                <Icon name="back" />
                Reset
            </button>
        </div>
    );
}
