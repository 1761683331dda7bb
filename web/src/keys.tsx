/** The question for a key, where the server has keys. */

import { useEffect, useRef, useState } from "preact/hooks";
import { type Problem, type Scope, onKeyNeeded } from "./api.ts";

interface Question {
    scope: Scope;
    why: Problem;
    answer: (key: string | undefined) => void;
}

const TEXTS: Record<Scope, string> = {
    predict: "This server answers those who have a key of scope “predict”.",
    admin: "Changing models and looking at what others have sent needs a key of scope “admin”.",
};

export function KeyQuestion() {
    const [question, setQuestion] = useState<Question>();
    const dialog = useRef<HTMLDialogElement>(null);
    const field = useRef<HTMLInputElement>(null);
    useEffect(() => {
        onKeyNeeded((scope, why) => new Promise((answer) => setQuestion({ scope, why, answer })));
    }, []);
    useEffect(() => {
        if (question) dialog.current?.showModal();
    }, [question]);
    const close = (key?: string) => {
        question?.answer(key);
        setQuestion(undefined);
        dialog.current?.close();
    };
    return (
        <dialog ref={dialog} aria-labelledby="key-heading" onCancel={() => close()}>
            {question && (
                <form
                    onSubmit={(event) => {
                        event.preventDefault();
                        close(field.current?.value.trim() || undefined);
                    }}
                >
                    <h2 id="key-heading">A key, please</h2>
                    <p>{TEXTS[question.scope]}</p>
                    <p class="note">The server said: {question.why.detail}.</p>
                    <label>
                        Key
                        <input ref={field} type="password" autocomplete="off" spellcheck={false} required />
                    </label>
                    <p class="note">It stays in this tab, until you close it.</p>
                    <div class="choices">
                        <button type="button" onClick={() => close()}>
                            Not now
                        </button>
                        <button type="submit" class="primary">
                            Use this key
                        </button>
                    </div>
                </form>
            )}
        </dialog>
    );
}
