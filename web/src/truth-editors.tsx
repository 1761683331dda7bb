/** What is right, to be changed: labels, points, values. */

import { useState } from "preact/hooks";
import type { ReviewItem } from "./api.ts";
import { DIGITS, type Draft, isSingle, orderOf, toggled } from "./truth.ts";
import { score } from "./words.ts";

interface Editing {
    item: ReviewItem;
    draft: Draft;
    keep: (draft: Draft) => void;
}

export function LabelTruth({ item, draft, keep, keys }: Editing & { keys: boolean }) {
    const [sought, setSought] = useState("");
    const order = orderOf(item);
    const many = order.length > DIGITS.length;
    const shown = order.filter(({ label }) => label.toLowerCase().includes(sought.trim().toLowerCase()));
    const single = isSingle(item);
    return (
        <>
            {many && (
                <label class="seek">
                    Find a label
                    <input type="search" value={sought} onInput={(event) => setSought(event.currentTarget.value)} />
                </label>
            )}
            <ul class="truths" role={single ? "radiogroup" : "group"} aria-labelledby="truth-heading">
                {shown.map(({ label, score: found, threshold }) => {
                    const right = draft.labels.includes(label);
                    const key = keys ? DIGITS[order.findIndex((one) => one.label === label)] : undefined;
                    return (
                        <li key={label} class={right ? "right" : ""} role="presentation">
                            <label>
                                <input
                                    type={single ? "radio" : "checkbox"}
                                    name={`truth-${item.prediction_id}`}
                                    checked={right}
                                    aria-keyshortcuts={key}
                                    onChange={() => keep(toggled(item, draft, label))}
                                />
                                <kbd class={key ? "" : "none"} aria-hidden="true">
                                    {key}
                                </kbd>
                                <span class="name">{label}</span>
                                <span class="track" aria-hidden="true">
                                    <span class="fill" style={{ width: `${found * 100}%` }} />
                                    {threshold !== undefined && <span class="mark" style={{ left: `${threshold * 100}%` }} />}
                                </span>
                                <span class="number">
                                    <span class="hidden">score </span>
                                    {score(found)}
                                </span>
                            </label>
                        </li>
                    );
                })}
            </ul>
            {shown.length === 0 && <p class="none">The model has no such label.</p>}
        </>
    );
}

interface Placing {
    draft: Draft;
    keys: boolean;
    chosen: number | undefined;
    choose: (place: number) => void;
    leaveOut: (place: number) => void;
}

/** A point is chosen where the keyboard is; the workbench moves it. */
export function PointTruth({ draft, keys, chosen, choose, leaveOut }: Placing) {
    return (
        <>
            <p class="note" id="placing">
                Choose a point with Tab{keys && " or [ and ]"}, move it with the arrow keys (ten pixels with Shift) or the pointer. Delete leaves
                out one that is not to be seen.
            </p>
            <ul class="placed-list" aria-describedby="placing">
                {draft.points.map(({ name, x, y, leftOut }, place) => (
                    <li key={name} class={leftOut ? "left-out" : ""}>
                        <button
                            type="button"
                            class="placed"
                            id={`placed-${place}`}
                            aria-pressed={place === chosen}
                            onFocus={() => choose(place)}
                            onClick={() => choose(place)}
                        >
                            <span class="point-name">{name}</span>
                            <span class="number">{leftOut ? "left out" : `${x.toFixed(1)}, ${y.toFixed(1)}`}</span>
                        </button>
                        {place === chosen && (
                            <button type="button" class="quiet" onClick={() => leaveOut(place)}>
                                {leftOut ? "Put back" : "Leave out"}
                                <span class="hidden"> {name}</span>
                            </button>
                        )}
                    </li>
                ))}
            </ul>
        </>
    );
}

export function ValueTruth({ draft, keep }: Editing) {
    const change = (place: number, text: string) =>
        keep({ ...draft, values: draft.values.map((value, at) => (at === place ? { ...value, text } : value)) });
    return (
        <div class="value-list">
            {draft.values.map(({ name, text }, place) => (
                <label key={name}>
                    {name}
                    <input
                        type="text"
                        inputMode="decimal"
                        value={text}
                        aria-invalid={!Number.isFinite(Number(text))}
                        onInput={(event) => change(place, event.currentTarget.value)}
                    />
                </label>
            ))}
            <p class="note">A value that is not known stays empty.</p>
        </div>
    );
}
