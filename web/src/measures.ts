/** What the Health view measures, from two looks at /metrics. */

import { type Page, growth, quantile, sum } from "./metrics.ts";
import { milliseconds } from "./words.ts";

export interface Look {
    at: number;
    page: Page;
}

const PREDICT = (labels: Record<string, string>) => labels.route?.endsWith("/predict") ?? false;
const DURATION = "tagpoint_http_request_duration_seconds";

export interface Measure {
    title: string;
    unit: string;
    /** Over the time between two looks. */
    of: (before: Look, after: Look) => number | undefined;
    say: (value: number) => string;
}

const seconds = (before: Look, after: Look) => Math.max((after.at - before.at) / 1000, 1e-3);
const short = (value: number) => (value >= 100 ? value.toFixed(0) : value.toFixed(1));

export const MEASURES: Measure[] = [
    {
        title: "Pictures answered",
        unit: "a second",
        of: (before, after) => growth(before.page, after.page, "tagpoint_batch_size_sum") / seconds(before, after),
        say: short,
    },
    {
        title: "Pictures that wait",
        unit: "now",
        of: (_, after) => sum(after.page, "tagpoint_queue_length"),
        say: (value) => value.toFixed(0),
    },
    {
        title: "Time of a prediction, half are below",
        unit: "",
        of: (before, after) => quantile(before.page, after.page, DURATION, 0.5, PREDICT),
        say: (value) => milliseconds(value * 1000),
    },
    {
        title: "Time of a prediction, 95 % are below",
        unit: "",
        of: (before, after) => quantile(before.page, after.page, DURATION, 0.95, PREDICT),
        say: (value) => milliseconds(value * 1000),
    },
    {
        title: "Pictures in a batch",
        unit: "on average",
        of: (before, after) => {
            const batches = growth(before.page, after.page, "tagpoint_batch_size_count");
            return batches > 0 ? growth(before.page, after.page, "tagpoint_batch_size_sum") / batches : undefined;
        },
        say: short,
    },
    {
        title: "Requests that failed",
        unit: "a second",
        of: (before, after) =>
            growth(before.page, after.page, "tagpoint_http_requests_total", ({ status }) => Number(status) >= 500) /
            seconds(before, after),
        say: short,
    },
    {
        title: "Pictures turned away",
        unit: "a second",
        of: (before, after) => growth(before.page, after.page, "tagpoint_pictures_rejected_total") / seconds(before, after),
        say: short,
    },
    {
        title: "Memory",
        unit: "",
        of: (_, after) => sum(after.page, "tagpoint_process_resident_memory_bytes") || undefined,
        say: (value) => `${(value / 2 ** 20).toFixed(0)} MiB`,
    },
];
