/** Review: predictions that are worth a look, one after the other, and what their corrections are good for. */

import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Model } from "./api.ts";
import { Corrections } from "./corrections.tsx";
import { ProblemNote } from "./problem.tsx";
import { type Queue, useKeptPictures, useQueue } from "./queue.ts";
import type { Draft } from "./truth.ts";
import { plural } from "./words.ts";
import { Workbench } from "./workbench.tsx";

const ORDERS = {
    uncertain: "the least certain first",
    threshold: "the nearest to a threshold first",
    newest: "the newest first",
    shadow: "where a trial disagrees most",
};
type Order = keyof typeof ORDERS;

/** Points and values have neither certainty nor thresholds. */
const ordersOf = (model: Model): Order[] =>
    model.task === "points" || model.task === "values" ? ["newest", "shadow"] : ["uncertain", "threshold", "newest", "shadow"];

export function Review({ models }: { models: Model[] }) {
    const [name, setName] = useState<string>();
    const [version, setVersion] = useState<string>();
    const [chosen, setBy] = useState<Order>();
    const [keys, setKeys] = useState(true);
    /** Whether the keyboard is to be at the next prediction: at the first one, and where it was at the one before. */
    const working = useRef(true);
    const model = models.find((model) => model.name === name) ?? models.find(({ task }) => task !== undefined) ?? models[0];
    const orders = model ? ordersOf(model) : [];
    const by = orders.find((order) => order === chosen) ?? orders[0]!;
    const change = (choice: () => void) => {
        working.current = false;
        choice();
    };
    if (!model) {
        return (
            <main>
                <h1>Review</h1>
                <p>The models folder is empty.</p>
            </main>
        );
    }
    const chooseModel = (name: string) => {
        setName(name);
        setVersion(undefined);
    };
    return (
        <main>
            <h1>Review</h1>
            <div class="toolbar">
                <label>
                    Model
                    <select value={model.name} onChange={(event) => change(() => chooseModel(event.currentTarget.value))}>
                        {models.map(({ name }) => (
                            <option key={name}>{name}</option>
                        ))}
                    </select>
                </label>
                <label>
                    Version
                    <select value={version ?? ""} onChange={(event) => change(() => setVersion(event.currentTarget.value || undefined))}>
                        <option value="">every</option>
                        {model.versions.map(({ version }) => (
                            <option key={version}>{version}</option>
                        ))}
                    </select>
                </label>
                <label>
                    Order
                    <select value={by} onChange={(event) => change(() => setBy(event.currentTarget.value as Order))}>
                        {orders.map((order) => (
                            <option key={order} value={order}>
                                {ORDERS[order]}
                            </option>
                        ))}
                    </select>
                </label>
                <span class="check-line">
                    <label class="check">
                        <input type="checkbox" checked={keys} onChange={(event) => setKeys(event.currentTarget.checked)} />
                        Single keys
                    </label>
                </span>
            </div>
            <OneByOne key={`${model.name} ${version} ${by}`} {...{ model, version, by, keys, working }} />
        </main>
    );
}

interface Props {
    model: Model;
    version: string | undefined;
    by: Order;
    keys: boolean;
    working: { current: boolean };
}

/** The predictions of a choice, one after the other. */
function OneByOne({ model, version, by, keys, working }: Props) {
    const [said, setSaid] = useState("");
    const [saved, setSaved] = useState(0);
    const drafts = useRef(new Map<string, Draft>());
    const [, redraw] = useState(0);
    const queue = useQueue({ model: model.name, version, by });
    const { review, item, at } = queue;
    const kept = useKeptPictures(review?.predictions ?? [], at);
    const go = (done: string, leave: () => void) => {
        working.current = true;
        setSaid(done);
        leave();
    };
    return (
        <>
            <p class="done" role="status">
                {said}
            </p>
            {queue.problem && (
                <ProblemNote problem={queue.problem}>
                    <button type="button" onClick={queue.again}>
                        Try again
                    </button>
                </ProblemNote>
            )}
            {!review && !queue.problem && (
                <p class="waiting" role="status">
                    Asking for predictions …
                </p>
            )}
            {review && item && (
                <Workbench
                    key={item.prediction_id}
                    {...{ item, kept, keys }}
                    place={`Prediction ${at + 1} of ${review.predictions.length}`}
                    draft={drafts.current.get(item.prediction_id)}
                    keep={(draft) => {
                        drafts.current.set(item.prediction_id, draft);
                        redraw((count) => count + 1);
                    }}
                    saved={() => {
                        setSaved((count) => count + 1);
                        go("Saved.", () => queue.next(item));
                    }}
                    skip={() => go("Skipped.", () => queue.next(item))}
                    back={at > 0 ? () => go("", queue.back) : undefined}
                    focused={working.current}
                />
            )}
            {review && !item && <Nothing {...{ queue, by, version }} focused={working.current} />}
            {!queue.problem && <Corrections model={model} version={version ?? item?.version ?? model.version} saved={saved} />}
        </>
    );
}

/** Why there is nothing to look at, and what to do. */
function Nothing({ queue, by, version, focused }: { queue: Queue; by: Order; version: string | undefined; focused: boolean }) {
    const { record_share: share } = queue.review!;
    const section = useRef<HTMLElement>(null);
    useLayoutEffect(() => {
        if (focused) section.current?.focus({ preventScroll: true });
    }, []);
    if (share === 0) {
        return (
            <section class="nothing" tabIndex={-1} ref={section} aria-labelledby="nothing-heading">
                <h2 id="nothing-heading">This server remembers no answer</h2>
                <p>To have something to look at, start it so that it remembers a share of its answers and keeps their pictures:</p>
                <pre>
                    <code>tagpoint serve --record-share 0.1 --record-pictures pictures/</code>
                </pre>
                <p class="note">
                    A tenth of the pictures that come from then on stands here, for 30 days, unless <code>--record-days</code> says otherwise.
                </p>
            </section>
        );
    }
    return (
        <section class="nothing" tabIndex={-1} ref={section} aria-labelledby="nothing-heading">
            <h2 id="nothing-heading">Nothing is left to look at</h2>
            <p>
                {by === "shadow" && "No version on trial has seen a prediction that is not corrected. "}
                {version && "Predictions of other versions are not shown. "}
                This server remembers {share === 1 ? "every answer" : `${plural(Number((share * 100).toPrecision(3)), "answer")} of a hundred`};
                new ones, and those that you have skipped, are there when you look again.
            </p>
            <div>
                <button type="button" onClick={queue.again}>
                    Look again
                </button>
            </div>
        </section>
    );
}
