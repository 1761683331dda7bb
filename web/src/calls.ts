/** A call to the server as lines of curl, Python and TypeScript. A key is named, never written out. */

import { type Task, predictPath } from "./api.ts";

export interface Call {
    model: string;
    version: string | undefined;
    task: Task;
    /** None where marks were moved one by one. */
    query: string | undefined;
    /** One is sent as it is, several as a form. */
    files: { name: string; type: string }[];
    needsKey: boolean;
}

export const LANGUAGES = ["curl", "Python", "TypeScript"] as const;
export type Language = (typeof LANGUAGES)[number];

const shell = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;
const quoted = (text: string) => JSON.stringify(text);
const typeOf = (file: { type: string }) => (file.type.startsWith("image/") ? file.type : "application/octet-stream");
const only = (call: Call) => (call.files.length === 1 ? call.files[0] : undefined);

function curl(url: string, call: Call): string[] {
    const key = call.needsKey ? [`-H "authorization: Bearer $TAGPOINT_KEY"`] : [];
    const file = only(call);
    const pictures = file
        ? [`-H ${shell(`content-type: ${typeOf(file)}`)}`, `--data-binary ${shell(`@${file.name}`)}`]
        : call.files.map(({ name }) => `-F ${shell(`picture=@"${name.replaceAll('"', '\\"')}"`)}`);
    const parts = [shell(url), ...key, ...pictures];
    return parts.map((part, place) => `${place === 0 ? "curl " : "    "}${part}${place < parts.length - 1 ? " \\" : ""}`);
}

function python(url: string, call: Call): string[] {
    const file = only(call);
    const headers = [
        ...(file ? [`"content-type": ${quoted(typeOf(file))}`] : []),
        ...(call.needsKey ? [`"authorization": f"Bearer {os.environ['TAGPOINT_KEY']}"`] : []),
    ];
    const pictures = file
        ? [`picture = open(${quoted(file.name)}, "rb")`]
        : ["pictures = [", ...call.files.map(({ name }) => `    ("picture", open(${quoted(name)}, "rb")),`), "]"];
    return [
        call.needsKey ? "import os, requests" : "import requests",
        "",
        `url = ${quoted(url)}`,
        `headers = {${headers.join(", ")}}`,
        ...pictures,
        `answer = requests.post(url, headers=headers, ${file ? "data=picture" : "files=pictures"})`,
        "print(answer.json())",
    ];
}

function typescript(url: string, call: Call): string[] {
    const file = only(call);
    const headers = [
        ...(file ? [`"content-type": ${quoted(typeOf(file))}`] : []),
        ...(call.needsKey ? ["authorization: `Bearer ${process.env.TAGPOINT_KEY}`"] : []),
    ];
    const names = call.files.map(({ name }) => quoted(name)).join(", ");
    const body = file
        ? [`const body = await readFile(${quoted(file.name)});`]
        : [
              "const body = new FormData();",
              `for (const name of [${names}]) {`,
              `    body.append("picture", new Blob([await readFile(name)]), name);`,
              "}",
          ];
    return [
        `import { readFile } from "node:fs/promises";`,
        "",
        `const url = ${quoted(url)};`,
        `const headers = {${headers.length > 0 ? ` ${headers.join(", ")} ` : ""}};`,
        ...body,
        `const answer = await fetch(url, { method: "POST", headers, body });`,
        "console.dir(await answer.json(), { depth: null });",
    ];
}

export function linesOf(language: Language, call: Call): string {
    const url = location.origin + predictPath(call.model, call.version, call.query ?? "?all=true");
    return { curl, Python: python, TypeScript: typescript }[language](url, call).join("\n");
}
