/** A problem in plain words. */

import type { ComponentChildren } from "preact";
import type { Problem } from "./api.ts";
import { Icon } from "./icons.tsx";
import { inWords } from "./words.ts";

export function ProblemNote({ problem, children }: { problem: Problem; children?: ComponentChildren }) {
    const { what, advice, detail } = inWords(problem);
    return (
        <div class="problem" role="alert">
            <Icon name="warning" />
            <div>
                <strong>{what}</strong>
                {advice && <p>{advice}</p>}
                {detail && (
                    <details>
                        <summary>What the server said</summary>
                        <p>{detail}</p>
                        {problem.instance && (
                            <p class="quiet-text">
                                {problem.status} · request <code>{problem.instance}</code>
                            </p>
                        )}
                    </details>
                )}
                {children}
            </div>
        </div>
    );
}
