/** Where the thresholds stand: at an operating point, all at one place, or each where the user moved it. */

import type { Answer, Detail, Label } from "./api.ts";

export interface Marks {
    point: string;
    /** One threshold for all, in place of the operating point's. */
    shared: number | undefined;
    /** Thresholds that were moved one by one. */
    moved: Record<string, number>;
}

export const DEFAULT_POINT = "balanced";
export const unmoved: Marks = { point: DEFAULT_POINT, shared: undefined, moved: {} };

/** What `0.5` is in the manifest of a label that has no threshold. */
const FALLBACK = 0.5;

export function thresholdOf(label: Label, marks: Marks): number {
    return marks.moved[label.name] ?? marks.shared ?? label.thresholds?.[marks.point] ?? label.threshold ?? FALLBACK;
}

/** The operating points of a model, the default one first. */
export function operatingPoints(detail: Detail): string[] {
    const names = new Set(detail.labels?.flatMap((label) => Object.keys(label.thresholds ?? {})));
    const others = [...names].filter((name) => name !== DEFAULT_POINT).sort();
    return names.has(DEFAULT_POINT) ? [DEFAULT_POINT, ...others] : others;
}

export interface Row {
    name: string;
    score: number;
    /** None for a single-label model, which names its best label. */
    threshold: number | undefined;
    named: boolean;
}

/** The answer's labels, held against the marks as they stand: by the server's own rule, `score >= threshold`. */
export function rowsOf(answer: Answer, detail: Detail, marks: Marks): Row[] {
    const known = new Map(detail.labels?.map((label) => [label.name, label]));
    return (answer.labels ?? []).map(({ label, score }, place) => {
        const about = known.get(label);
        if (answer.task === "single_label" || !about) return { name: label, score, threshold: undefined, named: place === 0 };
        const threshold = thresholdOf(about, marks);
        return { name: label, score, threshold, named: score >= threshold };
    });
}

/** The query that has the server name the same labels; none where marks were moved one by one, which it cannot know. */
export function queryFor(marks: Marks): string | undefined {
    if (Object.keys(marks.moved).length > 0) return undefined;
    if (marks.shared !== undefined) return `?threshold=${marks.shared}`;
    return marks.point === DEFAULT_POINT ? "" : `?operating_point=${encodeURIComponent(marks.point)}`;
}
