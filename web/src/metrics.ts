/** OpenMetrics text, and what can be said of the time between two looks at it. */

/** One line: its labels and its value. */
export interface Sample {
    labels: Record<string, string>;
    value: number;
}

export type Page = Map<string, Sample[]>;

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

export function parse(text: string): Page {
    const page: Page = new Map();
    for (const line of text.split("\n")) {
        const found = line.startsWith("#") ? null : LINE.exec(line);
        if (!found) continue;
        const labels: Record<string, string> = {};
        for (const [, name, value] of (found[2] ?? "").matchAll(LABEL)) labels[name!] = value!.replace(/\\(.)/g, "$1");
        const samples = page.get(found[1]!) ?? [];
        samples.push({ labels, value: Number(found[3]) });
        page.set(found[1]!, samples);
    }
    return page;
}

type Wanted = (labels: Record<string, string>) => boolean;

export function sum(page: Page, name: string, wanted: Wanted = () => true): number {
    return (page.get(name) ?? []).reduce((sum, { labels, value }) => (wanted(labels) ? sum + value : sum), 0);
}

/** By how much a counter grew; one that a restart began anew grew from nothing. */
export function growth(before: Page, after: Page, name: string, wanted?: Wanted): number {
    const grown = sum(after, name, wanted) - sum(before, name, wanted);
    return grown < 0 ? sum(after, name, wanted) : grown;
}

/**
 * The value below which a share of the observations between two looks lies, taken as evenly spread within a bucket; none
 * where there was no observation.
 */
export function quantile(before: Page, after: Page, histogram: string, share: number, wanted: Wanted = () => true): number | undefined {
    const bounds = new Map<string, number>();
    for (const { labels, value } of after.get(`${histogram}_bucket`) ?? []) {
        if (wanted(labels)) bounds.set(labels.le!, (bounds.get(labels.le!) ?? 0) + value);
    }
    for (const { labels, value } of before.get(`${histogram}_bucket`) ?? []) {
        if (wanted(labels)) bounds.set(labels.le!, (bounds.get(labels.le!) ?? 0) - value);
    }
    const buckets = [...bounds]
        .map(([le, count]): [number, number] => [le === "+Inf" ? Infinity : Number(le), count])
        .sort(([a], [b]) => a - b);
    const whole = buckets.at(-1)?.[1] ?? 0;
    if (whole <= 0) return undefined;
    let [low, below] = [0, 0];
    for (const [high, count] of buckets) {
        if (count >= share * whole) {
            if (high === Infinity) return low;
            return low + ((high - low) * (share * whole - below)) / (count - below || 1);
        }
        [low, below] = [high, count];
    }
    return low;
}
