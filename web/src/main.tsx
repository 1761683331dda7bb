/** The page: its head, and the views behind it. Which one is shown stands in the address, after `#`. */

import { render } from "preact";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { type Model, type Problem, Refusal, forgetKeys, hasKey, isReady, listModels } from "./api.ts";
import { Health } from "./health.tsx";
import { Icon } from "./icons.tsx";
import { Jobs } from "./jobs.tsx";
import { KeyQuestion } from "./keys.tsx";
import { Models } from "./models.tsx";
import { Playground } from "./playground.tsx";
import { ProblemNote } from "./problem.tsx";
import { Review } from "./review.tsx";

const VIEWS = { playground: "Playground", models: "Models", review: "Review", jobs: "Jobs", health: "Health" } as const;
type View = keyof typeof VIEWS;

/** How often the server is asked whether it is ready. */
const READY_EVERY_MS = 5000;

function viewOfAddress(): View {
    const name = location.hash.slice(1).split("/")[0]!;
    return name in VIEWS ? (name as View) : "playground";
}

function useView(): View {
    const [view, setView] = useState(viewOfAddress);
    useEffect(() => {
        const changed = () => {
            setView(viewOfAddress());
            scrollTo(0, 0);
        };
        addEventListener("hashchange", changed);
        return () => removeEventListener("hashchange", changed);
    }, []);
    useEffect(() => {
        document.title = `${VIEWS[view]} · tagpoint`;
    }, [view]);
    return view;
}

/** `changed` is called whenever the server has become ready, or no longer is. */
function Status({ changed }: { changed: () => void }) {
    const [ready, setReady] = useState<boolean>();
    useEffect(() => {
        const look = () => document.hidden || isReady().then(setReady);
        look();
        const timer = setInterval(look, READY_EVERY_MS);
        return () => clearInterval(timer);
    }, []);
    useEffect(() => {
        if (ready !== undefined) changed();
    }, [ready]);
    const text = ready === undefined ? "…" : ready ? "ready" : "not ready";
    return (
        <span class={`status ${ready === false ? "bad" : ready ? "good" : ""}`} role="status">
            <span class="hidden">The server is </span>
            {text}
        </span>
    );
}

function Page() {
    const view = useView();
    const [models, setModels] = useState<Model[]>();
    const [problem, setProblem] = useState<Problem>();
    const [, redraw] = useState(0);
    const main = useRef<HTMLDivElement>(null);
    const load = useCallback(async () => {
        try {
            setModels(await listModels());
            setProblem(undefined);
        } catch (error) {
            if (error instanceof Refusal) setProblem(error.problem);
            else throw error;
        }
    }, []);
    const skip = (event: Event) => {
        event.preventDefault();
        main.current?.focus();
    };
    return (
        <>
            <a class="skip" href="#content" onClick={skip}>
                To the content
            </a>
            <header>
                <a class="brand" href="#playground">
                    <img src="/page/icon.svg" alt="" />
                    tagpoint
                </a>
                <nav aria-label="Views">
                    {Object.entries(VIEWS).map(([name, title]) => (
                        <a key={name} href={`#${name}`} aria-current={name === view ? "page" : undefined}>
                            {title}
                        </a>
                    ))}
                </nav>
                <span class="head-end">
                    {(hasKey("predict") || hasKey("admin")) && (
                        <button
                            type="button"
                            class="quiet"
                            onClick={() => {
                                forgetKeys();
                                redraw((count) => count + 1);
                            }}
                        >
                            <Icon name="key" />
                            Forget keys
                        </button>
                    )}
                    <a href="/docs/">API</a>
                    <Status changed={load} />
                </span>
            </header>
            <div id="content" tabIndex={-1} ref={main}>
                {problem && (
                    <main>
                        <ProblemNote problem={problem}>
                            <button type="button" onClick={load}>
                                Try again
                            </button>
                        </ProblemNote>
                    </main>
                )}
                {models && <Playground models={models} shown={view === "playground" && !problem} />}
                {models && view === "models" && !problem && <Models models={models} reload={load} />}
                {models && view === "review" && !problem && <Review models={models} />}
                {models && view === "jobs" && !problem && <Jobs models={models} />}
                {view === "health" && !problem && <Health />}
            </div>
            <KeyQuestion />
        </>
    );
}

render(<Page />, document.getElementById("page")!);
