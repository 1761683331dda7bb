/** Problems in plain words: what happened, and what to do. */

import type { Problem } from "./api.ts";

const KINDS: Record<string, [string, string]> = {
    "picture-format": ["This is not a picture that can be read here.", "JPEG, PNG, WebP, GIF and BMP are. Save it as one of those and try again."],
    "picture-broken": ["The picture is damaged.", "The file begins like a picture, but breaks off or does not fit together. Try the original file."],
    "picture-empty": ["The file is empty.", "Choose another one."],
    "picture-too-large": ["The picture is too large.", "Make it smaller, or raise the server's limits for pictures."],
    "body-too-large": ["That is more than the server takes at once.", "Send fewer or smaller pictures."],
    "too-many-pictures": ["Those are more pictures than the server takes at once.", "Send fewer."],
    "media-type": ["This is not a picture that can be read here.", "Choose a picture file."],
    unauthorized: ["A key is needed.", "Ask whoever runs this server for one, and enter it."],
    forbidden: ["This key may not do that.", "Use a key that has the scope which the server names."],
    "rate-limit": ["Too many requests with this key.", "Wait a moment and try again."],
    "queue-full": ["The server is busy.", "Too many pictures wait already. Try again in a few seconds."],
    "body-budget": ["The server is busy.", "Too many bytes wait already. Try again in a few seconds."],
    "not-ready": ["The model is still loading.", "Try again in a few seconds."],
    "deadline-exceeded": ["The answer took too long.", "The server is busy. Try again."],
    "unknown-model": ["This model is not there any more.", "Reload the page to see which are."],
    "unknown-version": ["This version is not there any more.", "Reload the page to see which are."],
    "not-loaded": ["This version is not loaded.", "Promote it, or choose one that is ready."],
    "version-refused": ["This version does not work here.", "The server checked it before use and refused it."],
    "model-refused": ["This model does not work here.", "The server checked it before use and refused it."],
    unhealthy: ["The model no longer gives right answers on this machine.", "Tell whoever runs this server."],
    "no-picture": ["There is no picture in it.", "Put JPEG, PNG, WebP, GIF or BMP files into the ZIP archive."],
    "no-uploads": ["This server has no place for uploads.", "Start it with --job-files FOLDER, or name an address that the pictures lie below."],
    "unknown-job": ["This job is not there any more.", "It is older than jobs are kept."],
    "unknown-prediction": ["This prediction is not there any more.", "It is older than predictions are kept. Go on with the next one."],
    "no-kept-picture": ["The picture is not kept here.", "Serve with --record-pictures FOLDER, and the pictures of further predictions are."],
    "picture-store": ["The place where pictures are kept does not answer.", "Try again in a few seconds."],
    "no-database": ["This server has no database.", "It remembers neither answers nor jobs. Start it without --database none."],
    database: ["The database does not answer.", "Try again in a few seconds."],
    conflict: ["That is not possible now.", ""],
    internal: ["Something went wrong in the server.", "Its log has the cause under the request's id."],
    unreachable: ["The server did not answer.", "See whether it runs and whether you are connected, then try again."],
};

/** What happened, what to do about it, and the server's own words where they say more. */
export function inWords(problem: Problem): { what: string; advice: string; detail: string } {
    const kind = problem.type.replace("urn:tagpoint:problem:", "");
    const [what, advice] = KINDS[kind] ?? [`${problem.title}.`, ""];
    return { what, advice, detail: kind === "unreachable" ? "" : problem.detail };
}

/** 0.5 → "0.50": scores and thresholds with two decimals, three near 0 and 1; nothing is called 0 or 1 that is not. */
export function score(value: number): string {
    if (value > 0 && value < 0.0005) return "<0.001";
    if (value < 1 && value > 0.9995) return ">0.999";
    const nearAnEnd = (value > 0 && value < 0.005) || (value < 1 && value > 0.995);
    return value.toFixed(nearAnEnd ? 3 : 2);
}

/** Milliseconds for people. */
export function milliseconds(value: number): string {
    if (value >= 1000) return `${(value / 1000).toFixed(2)} s`;
    return `${value >= 100 ? value.toFixed(0) : value.toFixed(1)} ms`;
}

/** A duration for people: 42 s, 3 min 5 s, 2 h 10 min. */
export function inTime(seconds: number): string {
    const whole = Math.round(seconds);
    if (whole < 60) return `${whole} s`;
    if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
    return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

export const TASKS: Record<string, string> = {
    multi_label: "labels",
    single_label: "one label",
    points: "points",
    values: "values",
};

export const plural = (count: number, one: string, several = `${one}s`) => `${count.toLocaleString("en")} ${count === 1 ? one : several}`;
