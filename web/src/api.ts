/** What the page asks of the server, and the shapes of the answers (openapi.yaml has them whole). */

export type Task = "multi_label" | "single_label" | "points" | "values";

export interface Version {
    version: string;
    state: "unloaded" | "loading" | "ready" | "failing" | "refused" | "unloading";
    reason?: string;
    digest?: string;
    task?: Task;
    checked?: boolean;
}

export interface Model extends Version {
    name: string;
    versions: Version[];
    shadow?: { version: string; share: number };
}

export interface Label {
    name: string;
    threshold?: number;
    thresholds?: Record<string, number>;
    train_count: number;
    valid_count: number;
}

export interface Detail extends Model {
    labels?: Label[];
    names?: string[];
    input?: { width: number; height: number; resize: string };
    metrics?: Record<string, Record<string, number>>;
    architecture?: string;
    created?: string;
    provenance?: {
        tool: string;
        data?: string;
        base_weights?: string;
        train_pictures: number;
        valid_pictures: number;
    };
}

export interface ShadowReport {
    against?: string;
    pictures: number;
    dropped: number;
    failed: number;
    outputs: Record<string, { mean: number; max: number; disagreements: number }>;
}

export interface Point {
    name: string;
    x: number;
    y: number;
    in_frame: boolean;
}

/** A prediction that nobody has corrected yet. */
export interface ReviewItem {
    prediction_id: string;
    created: string;
    model: string;
    version: string;
    thresholds_revision?: number;
    picture: { width: number; height: number };
    picture_digest: string;
    picture_file?: string;
    labels?: { label: string; score: number; threshold?: number }[];
    points?: Point[];
    values?: { name: string; value: number }[];
    uncertainty?: number;
    margin?: number;
    shadow_version?: string;
    disagreement?: number;
}

export interface Review {
    predictions: ReviewItem[];
    record_share: number;
    record_pictures: boolean;
}

/** What is right about a picture: one of the three. */
export interface Truth {
    labels?: string[];
    points?: { name: string; x: number; y: number }[];
    values?: { name: string; value: number }[];
}

/** How many corrections there are of a version, and how many a refit of its thresholds lacks. */
export interface Corrections {
    model: string;
    version: string;
    pictures: number;
    labels: { label: string; positives: number; negatives: number; missing_positives: number; missing_negatives: number }[];
}

export interface Refit {
    thresholds_revision?: number;
    pictures: number;
    labels: { label: string; thresholds: Record<string, { threshold: number; low?: number; high?: number }> }[];
}

/** Many pictures that are answered in the background. */
export interface Job {
    id: string;
    state: "queued" | "running" | "completed" | "failed" | "cancelled";
    model: string;
    version: string;
    source: string;
    output?: string;
    author?: string;
    created_at: string;
    started_at?: string;
    finished_at?: string;
    /** `total` is not known while an address is listed; `done` are those with a result, the failed ones included. */
    pictures: { total?: number; done: number; failed: number };
    error?: string;
}

export interface Timings {
    decode: number;
    queue: number;
    inference: number;
    total: number;
}

export interface Answer {
    model: string;
    version: string;
    task: Task;
    picture: { width: number; height: number };
    labels?: { label: string; score: number; threshold?: number }[];
    points?: Point[];
    values?: { name: string; value: number }[];
    batch_size: number;
    timings_ms: Timings;
}

/** A problem document (RFC 9457). */
export interface Problem {
    type: string;
    title: string;
    status: number;
    detail: string;
    instance?: string;
}

/** The server's refusal, or that it was not reached. */
export class Refusal extends Error {
    constructor(readonly problem: Problem) {
        super(problem.detail);
    }
}

export type Scope = "predict" | "admin";
export type Keys = Record<Scope, string>;

/** Asks for a key of a scope, and resolves to it, or to none where the user closes the question. */
export type AskForKey = (scope: Scope, why: Problem) => Promise<string | undefined>;

const stored = (scope: Scope) => `tagpoint-${scope}-key`;
let askForKey: AskForKey = async () => undefined;
const asking = new Map<Scope, Promise<string | undefined>>();

export function onKeyNeeded(ask: AskForKey) {
    askForKey = ask;
}

/** The keys of this tab's session; they are kept nowhere else. */
export function hasKey(scope: Scope): boolean {
    return sessionStorage.getItem(stored(scope)) !== null;
}

export function forgetKeys() {
    sessionStorage.removeItem(stored("predict"));
    sessionStorage.removeItem(stored("admin"));
}

/** Several requests that lack a key ask the user once. */
async function newKey(scope: Scope, why: Problem): Promise<boolean> {
    if (!asking.has(scope)) {
        asking.set(
            scope,
            askForKey(scope, why).finally(() => asking.delete(scope)),
        );
    }
    const key = await asking.get(scope);
    if (key) sessionStorage.setItem(stored(scope), key);
    return Boolean(key);
}

/** A request, sent again with a key where the server wants one. Throws a [Refusal]. */
export async function send(path: string, init: RequestInit = {}, scope: Scope = "predict"): Promise<Response> {
    for (;;) {
        const headers = new Headers(init.headers);
        const key = sessionStorage.getItem(stored(scope));
        if (key) headers.set("authorization", `Bearer ${key}`);
        const response = await fetch(path, { ...init, headers, cache: "no-store" }).catch((error: unknown) => {
            if (init.signal?.aborted) throw error;
            throw new Refusal({
                type: "unreachable",
                title: "No answer",
                status: 0,
                detail: "The server could not be reached.",
            });
        });
        if (response.ok) return response;
        const problem = await problemOf(response);
        const lacksKey = problem.status === 401 || (problem.status === 403 && problem.type.endsWith(":forbidden"));
        // A key that came meanwhile from another request's question is tried first.
        const changed = sessionStorage.getItem(stored(scope)) !== key;
        if (!lacksKey || !(changed || (await newKey(scope, problem)))) throw new Refusal(problem);
    }
}

async function problemOf(response: Response): Promise<Problem> {
    try {
        const body = (await response.json()) as Problem;
        if (typeof body.type === "string" && typeof body.detail === "string") return body;
    } catch {
        // No problem document: a proxy's page, for one.
    }
    const detail = `Something between this page and the server answered ${response.status}.`;
    return { type: "foreign", title: "Unexpected answer", status: response.status, detail };
}

async function json<T>(path: string, init?: RequestInit, scope?: Scope): Promise<T> {
    return (await send(path, init, scope)).json() as Promise<T>;
}

const model = (name: string) => `/v1/models/${encodeURIComponent(name)}`;
const admin = (name: string) => `/v1/admin/models/${encodeURIComponent(name)}`;

export const listModels = async () => (await json<{ models: Model[] }>("/v1/models")).models;
export const getModel = (name: string, version: string) => json<Detail>(`${model(name)}/versions/${version}`);
export const shadowReport = (name: string, version: string) =>
    json<ShadowReport>(`${model(name)}/versions/${version}/shadow`);
export const promote = (name: string, version: string) =>
    json<{ note?: string }>(`${admin(name)}/versions/${version}/promote`, { method: "POST" }, "admin");
export const rollBack = (name: string) => json<{ note?: string }>(`${admin(name)}/rollback`, { method: "POST" }, "admin");
export const review = (name: string, version: string | undefined, by: string, limit: number) => {
    const asked = new URLSearchParams({ model: name, by, limit: String(limit), ...(version && { version }) });
    return json<Review>(`/v1/review?${asked}`, {}, "admin");
};
export const keptPicture = async (prediction: string) => (await send(`/v1/predictions/${prediction}/picture`, {}, "admin")).blob();
export const correct = (prediction: string, truth: Truth) =>
    json<{ truth: Truth }>(`/v1/predictions/${prediction}/feedback`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(truth),
    });
const thresholds = (name: string, below: string, version: string, more: Record<string, string> = {}) =>
    `${admin(name)}/thresholds/${below}?${new URLSearchParams({ version, ...more })}`;
export const corrections = (name: string, version: string) => json<Corrections>(thresholds(name, "corrections", version), {}, "admin");
export const refit = (name: string, version: string, dryRun: boolean) =>
    json<Refit>(thresholds(name, "refit", version, dryRun ? { dry_run: "true" } : {}), { method: "POST" }, "admin");
export const rollBackThresholds = (name: string, version: string) =>
    json<{ thresholds_revision: number }>(thresholds(name, "rollback", version), { method: "POST" }, "admin");
export const listJobs = async () => (await json<{ jobs: Job[] }>("/v1/jobs")).jobs;
export const startJob = (asked: Record<string, string>, zip: Blob) =>
    json<Job>(`/v1/jobs?${new URLSearchParams(asked)}`, { method: "POST", headers: { "content-type": "application/zip" }, body: zip });
export const cancelJob = (id: string) => json<Job>(`/v1/jobs/${id}/cancel`, { method: "POST" });
/** All results, or none: a transfer that breaks off is no answer. */
export const jobResults = async (id: string, format: "jsonl" | "parquet") => {
    const response = await send(`/v1/jobs/${id}/results?format=${format}`);
    return response.blob().catch(() => {
        throw new Refusal({ type: "unreachable", title: "No answer", status: 0, detail: "The results broke off." });
    });
};
export const metricsText = async () => (await send("/metrics")).text();

/** Whether every model answers; this address needs no key. */
export async function isReady(): Promise<boolean> {
    return fetch("/readyz", { cache: "no-store" }).then(
        (response) => response.ok,
        () => false,
    );
}

/** The address that answers pictures: the default version's own where none is named. */
export function predictPath(name: string, version: string | undefined, query: string): string {
    return `${model(name)}${version ? `/versions/${version}` : ""}/predict${query}`;
}
