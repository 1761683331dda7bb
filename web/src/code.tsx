/** The same call from a shell, from Python and from TypeScript. */

import { useRef, useState } from "preact/hooks";
import { hasLabels } from "./answers.ts";
import { type Call, LANGUAGES, type Language, linesOf } from "./calls.ts";
import { Icon } from "./icons.tsx";

export function Code({ call }: { call: Call }) {
    const [language, setLanguage] = useState<Language>("curl");
    const [copied, setCopied] = useState(false);
    const tabs = useRef<HTMLDivElement>(null);
    const text = linesOf(language, call);
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
