/** What is right about a picture, as it is before it is sent: what the model said, until somebody changes it. */

import type { ReviewItem, Truth } from "./api.ts";

export interface PlacedPoint {
    name: string;
    x: number;
    y: number;
    /** Not known, or not to be seen: it is left out of the correction. */
    leftOut: boolean;
}

export interface Draft {
    labels: string[];
    points: PlacedPoint[];
    /** As they are typed. */
    values: { name: string; text: string }[];
}

/** A model of one label has no thresholds. */
export const isSingle = (item: ReviewItem) => item.labels?.every(({ threshold }) => threshold === undefined) ?? false;

/** What the model says, by the thresholds that hold now. */
export function draftOf(item: ReviewItem): Draft {
    const named = isSingle(item) ? item.labels!.slice(0, 1) : item.labels?.filter(({ score, threshold }) => score >= threshold!);
    return {
        labels: named?.map(({ label }) => label) ?? [],
        points: item.points?.map(({ name, x, y }) => ({ name, x, y, leftOut: false })) ?? [],
        values: item.values?.map(({ name, value }) => ({ name, text: String(Number(value.toPrecision(6))) })) ?? [],
    };
}

/** What is sent; none where a value is no number. */
export function truthOf(item: ReviewItem, draft: Draft): Truth | undefined {
    if (item.labels) return { labels: draft.labels };
    if (item.points) {
        const known = draft.points.filter(({ leftOut }) => !leftOut);
        return { points: known.map(({ name, x, y }) => ({ name, x, y })) };
    }
    const given = draft.values.filter(({ text }) => text.trim() !== "").map(({ name, text }) => ({ name, value: Number(text) }));
    return given.every(({ value }) => Number.isFinite(value)) ? { values: given } : undefined;
}

/** With a label named or not named any more; of a model of one label it alone is. */
export function toggled(item: ReviewItem, draft: Draft, label: string): Draft {
    if (isSingle(item)) return { ...draft, labels: [label] };
    const has = draft.labels.includes(label);
    return { ...draft, labels: has ? draft.labels.filter((other) => other !== label) : [...draft.labels, label] };
}

export function changedPoint(draft: Draft, place: number, change: (point: PlacedPoint) => Partial<PlacedPoint>): Draft {
    return { ...draft, points: draft.points.map((point, at) => (at === place ? { ...point, ...change(point) } : point)) };
}

/** Keys for labels, in the order of the keyboard's row. */
export const DIGITS = "1234567890";

/**
 * The labels in the order in which they are shown. Few stand by name, so that each keeps its key from picture to picture; of
 * many the likeliest have the keys.
 */
export function orderOf(item: ReviewItem): { label: string; score: number; threshold?: number }[] {
    const byName = [...(item.labels ?? [])].sort((a, b) => a.label.localeCompare(b.label, "en"));
    if (byName.length <= DIGITS.length) return byName;
    const likeliest = item.labels!.slice(0, DIGITS.length);
    return [...likeliest, ...byName.filter((one) => !likeliest.includes(one))];
}
