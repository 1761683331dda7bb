/** The same call from a shell, from Python and from TypeScript. */

import { useRef, useState } from "preact/hooks";
import { type Task, predictPath } from "./api.ts";
import { hasLabels } from "./answers.ts";
import { Icon } from "./icons.tsx";

export interface Call {
    model: string;
    version: string | undefined;
    task: Task;
    /** None where marks were moved one by one. */
    query: string | undefined;
    files: { name: string; type: string }[];
    needsKey: boolean;
}

const LANGUAGES = ["curl", "Python", "TypeScript"] as const;
type Language = (typeof LANGUAGES)[number];

const shell = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;
const quoted = (text: string) => JSON.stringify(text);
const typeOf = (file: { type: string }) => (file.type.startsWith("image/") ? file.type : "application/octet-stream");

function curl(url: string, { files, needsKey }: Call): string {
    const key = needsKey ? ` -H "authorization: Bearer $TAGPOINT_KEY"` : "";
    const [only, ...others] = files;
    if (!only || others.length > 0) {
        const parts = files.map((file) => ` \\\n    -F ${shell(`picture=@"${file.name.replaceAll('"', '\\"')}"`)}`);
        return `curl${key} ${shell(url)}${parts.join("")}`;
    }
    return `curl${key} ${shell(url)} \\\n    -H ${shell(`content-type: ${typeOf(only)}`)} --data-binary ${shell(`@${only.name}`)}`;
}

function python(url: string, { files, needsKey }: Call): string {
    const key = needsKey ? `"authorization": f"Bearer {os.environ['TAGPOINT_KEY']}"` : "";
    const first = needsKey ? "import os, requests" : "import requests";
    const [only, ...others] = files;
    if (!only || others.length > 0) {
        const parts = files.map((file) => `    ("picture", open(${quoted(file.name)}, "rb")),`).join("\n");
        const headers = key && `, headers={${key}}`;
        return `${first}\n\npictures = [\n${parts}\n]\nanswer = requests.post(${quoted(url)}, files=pictures${headers}).json()\nprint(answer)`;
    }
    const headers = [`"content-type": ${quoted(typeOf(only))}`, key].filter(Boolean).join(", ");
    return `${first}\n\npicture = open(${quoted(only.name)}, "rb")\nanswer = requests.post(${quoted(url)}, data=picture, headers={${headers}}).json()\nprint(answer)`;
}

function typescript(url: string, { files, needsKey }: Call): string {
    const key = needsKey ? "authorization: `Bearer ${process.env.TAGPOINT_KEY}`" : "";
    const [only, ...others] = files;
    if (!only || others.length > 0) {
        const names = files.map((file) => quoted(file.name)).join(", ");
        const headers = key && `, headers: { ${key} }`;
        return `import { readFile } from "node:fs/promises";\n\nconst body = new FormData();\nfor (const name of [${names}]) {\n    body.append("picture", new Blob([await readFile(name)]), name);\n}\nconst answer = await fetch(${quoted(url)}, { method: "POST", body${headers} });\nconsole.log(await answer.json());`;
    }
    const headers = [`"content-type": ${quoted(typeOf(only))}`, key].filter(Boolean).join(", ");
    return `import { readFile } from "node:fs/promises";\n\nconst body = await readFile(${quoted(only.name)});\nconst headers = { ${headers} };\nconst answer = await fetch(${quoted(url)}, { method: "POST", headers, body });\nconsole.log(await answer.json());`;
}

function lines(language: Language, call: Call): string {
    const url = location.origin + predictPath(call.model, call.version, call.query ?? "?all=true");
    return { curl, Python: python, TypeScript: typescript }[language](url, call);
}

export function Code({ call }: { call: Call }) {
    const [language, setLanguage] = useState<Language>("curl");
    const [copied, setCopied] = useState(false);
    const tabs = useRef<HTMLDivElement>(null);
    const text = lines(language, call);
    const choose = (next: Language) => {
        setLanguage(next);
        setCopied(false);
    };
    const walk = (event: KeyboardEvent) => {
        const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (!by) return;
        const place = (LANGUAGES.indexOf(language) + by + LANGUAGES.length) % LANGUAGES.length;
        choose(LANGUAGES[place]!);
        tabs.current?.querySelectorAll("button")[place]?.focus();
    };
    const copy = async () => {
        await navigator.clipboard.writeText(text);
        setCopied(true);
    };
    return (
        <section aria-labelledby="code-heading" class="code">
            <h2 id="code-heading">The same call</h2>
            <div class="tabs">
                <div role="tablist" aria-labelledby="code-heading" ref={tabs} onKeyDown={walk}>
                    {LANGUAGES.map((name) => (
                        <button
                            key={name}
                            type="button"
                            role="tab"
                            id={`tab-${name}`}
                            aria-controls="code-lines"
                            aria-selected={name === language}
                            tabIndex={name === language ? 0 : -1}
                            onClick={() => choose(name)}
                        >
                            {name}
                        </button>
                    ))}
                </div>
                {navigator.clipboard && (
                    <button type="button" class="copy" onClick={copy}>
                        <Icon name={copied ? "check" : "copy"} />
                        <span aria-live="polite">{copied ? "Copied" : "Copy"}</span>
                    </button>
                )}
            </div>
            <pre id="code-lines" role="tabpanel" aria-labelledby={`tab-${language}`} tabIndex={0}>
                <code>{text}</code>
            </pre>
            {call.query === undefined && hasLabels(call.task) && (
                <p class="note">Marks that you move one by one hold on this page only, so the call asks for every score.</p>
            )}
        </section>
    );
}
