/** Answers to pictures: each is asked once by a model's version, and kept. */

import { useEffect, useRef, useState } from "preact/hooks";
import { type Answer, type Problem, Refusal, type Task, predictPath, send } from "./api.ts";
import type { Picture } from "./pictures.ts";

/** Who answers. */
export interface Target {
    model: string;
    /** None where the default version answers, whichever it is. */
    version: string | undefined;
    task: Task;
}

export type Result =
    | { state: "waiting" }
    | { state: "answered"; answer: Answer; roundTrip: number; together: number }
    | { state: "failed"; problem: Problem };

/** Pictures that go as one form; the server takes more, but the first answers come sooner. */
const TOGETHER = 8;
/** The most bytes of one form; below the server's limit for bodies. */
const FORM_BYTES = 24_000_000;

export const hasLabels = (task: Task) => task === "multi_label" || task === "single_label";
export const queryOf = (task: Task) => (hasLabels(task) ? "?all=true" : "");

/** The results for these pictures by one target; asks for those that are missing. */
export function useAnswers(pictures: Picture[], target: Target | undefined) {
    const results = useRef(new Map<string, Result>());
    const [, redraw] = useState(0);
    const keyOf = (picture: Picture) => `${picture.id}|${target?.model}|${target?.version}`;

    const settle = (picture: string, result: Result) => {
        results.current.set(picture, result);
        redraw((count) => count + 1);
    };
    const ask = (group: Picture[]) => {
        if (!target) return;
        const keys = group.map(keyOf);
        keys.forEach((key) => settle(key, { state: "waiting" }));
        request(group, target).then(
            (found) => found.forEach((result, place) => settle(keys[place]!, result)),
            (error: unknown) => keys.forEach((key) => settle(key, failed(error))),
        );
    };
    useEffect(() => {
        const missing = pictures.filter((picture) => !results.current.has(keyOf(picture)));
        grouped(missing).forEach(ask);
    }, [pictures, target?.model, target?.version]);

    return {
        of: (picture: Picture): Result => results.current.get(keyOf(picture)) ?? { state: "waiting" },
        again: (picture: Picture) => ask([picture]),
    };
}

function grouped(pictures: Picture[]): Picture[][] {
    const groups: Picture[][] = [];
    let bytes = 0;
    for (const picture of pictures) {
        const last = groups.at(-1);
        if (last && last.length < TOGETHER && bytes + picture.file.size <= FORM_BYTES) {
            last.push(picture);
            bytes += picture.file.size;
        } else {
            groups.push([picture]);
            bytes = picture.file.size;
        }
    }
    return groups;
}

function failed(error: unknown): Result {
    if (error instanceof Refusal) return { state: "failed", problem: error.problem };
    return { state: "failed", problem: { type: "page", title: "Unexpected answer", status: 0, detail: String(error) } };
}

/** One picture as it is; several as a form, answered in its order. */
async function request(pictures: Picture[], target: Target): Promise<Result[]> {
    const path = predictPath(target.model, target.version, queryOf(target.task));
    const started = performance.now();
    const post = async (init: RequestInit) => {
        const body = (await (await send(path, { method: "POST", ...init })).json()) as unknown;
        return { body, roundTrip: performance.now() - started };
    };
    const [only, ...others] = pictures;
    if (only && others.length === 0) {
        // The server reads the format from the bytes, whatever a file's name makes the browser think.
        const type = only.file.type.startsWith("image/") ? only.file.type : "application/octet-stream";
        const { body, roundTrip } = await post({ body: only.file, headers: { "content-type": type } });
        return [{ state: "answered", answer: body as Answer, roundTrip, together: 1 }];
    }
    const form = new FormData();
    pictures.forEach((picture) => form.append("picture", picture.file, picture.name));
    try {
        const { body, roundTrip } = await post({ body: form });
        const { results, ...by } = body as Answer & { results: (Answer & { error?: Problem })[] };
        return results.map(({ error, ...answer }) =>
            error
                ? { state: "failed", problem: error }
                : { state: "answered", answer: { ...by, ...answer }, roundTrip, together: pictures.length },
        );
    } catch (error) {
        // Where no picture could be answered, each one's problem is in the whole's.
        const each = error instanceof Refusal && (error.problem as { results?: { error: Problem }[] }).results;
        if (each && each.length === pictures.length) {
            return each.map(({ error: problem }) => ({ state: "failed", problem }));
        }
        throw error;
    }
}
