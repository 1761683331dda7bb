/** One prediction to correct: its picture, what the model said, and the keys that change it. */

import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { type Problem, Refusal, type ReviewItem, correct } from "./api.ts";
import { Icon } from "./icons.tsx";
import { ProblemNote } from "./problem.tsx";
import type { Kept } from "./queue.ts";
import { LabelTruth, PointTruth, ValueTruth } from "./truth-editors.tsx";
import { DIGITS, type Draft, changedPoint, draftOf, orderOf, toggled, truthOf } from "./truth.ts";
import { score } from "./words.ts";
import { Viewer } from "./viewer.tsx";

const ARROWS: Record<string, [number, number]> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
/** Pixels of the picture that an arrow key moves a point by; ten times as many with Shift. */
const STEP = 1;

interface Props {
    item: ReviewItem;
    /** Where it stands, in words. */
    place: string;
    kept: Kept;
    /** What was changed of it before, and where changes are kept. */
    draft: Draft | undefined;
    keep: (draft: Draft) => void;
    saved: () => void;
    skip: () => void;
    back: (() => void) | undefined;
    keys: boolean;
    /** Whether the keyboard is to be here from the start. */
    focused: boolean;
}

export function Workbench({ item, place, kept, draft: changed, keep, saved, skip, back, keys, focused }: Props) {
    const draft = changed ?? draftOf(item);
    const [point, setPoint] = useState<number>();
    const [saving, setSaving] = useState(false);
    const [problem, setProblem] = useState<Problem>();
    const bench = useRef<HTMLElement>(null);
    useLayoutEffect(() => {
        if (focused) bench.current?.focus({ preventScroll: true });
    }, []);

    const truth = truthOf(item, draft);
    const save = async () => {
        if (!truth || saving) return;
        setSaving(true);
        setProblem(undefined);
        try {
            await correct(item.prediction_id, truth);
            saved();
        } catch (error) {
            if (!(error instanceof Refusal)) throw error;
            setProblem(error.problem);
        } finally {
            setSaving(false);
        }
    };
    const choose = (next: number) => {
        setPoint(next);
        bench.current?.querySelector<HTMLElement>(`#placed-${next}`)?.focus();
    };
    const leaveOut = (place: number) => keep(changedPoint(draft, place, ({ leftOut }) => ({ leftOut: !leftOut })));
    const pressed = (event: KeyboardEvent) => {
        const done = act(event);
        if (done) event.preventDefault();
    };
    /** Whether a key meant something. */
    const act = (event: KeyboardEvent): boolean => {
        const { key, target } = event;
        if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || !(target instanceof Element)) return false;
        if (key === "Enter") {
            if (target.matches("button:not(.placed), a, summary, select")) return false;
            // A key that is held down would save one prediction after the other, unseen.
            if (!event.repeat) void save();
            return true;
        }
        if (target.matches("input:not([type=checkbox], [type=radio]), select")) return false;
        const arrow = point === undefined || target.matches("[type=radio]") ? undefined : ARROWS[key];
        if (arrow) {
            const step = STEP * (event.shiftKey ? 10 : 1);
            keep(changedPoint(draft, point!, ({ x, y }) => ({ x: x + arrow[0] * step, y: y + arrow[1] * step, leftOut: false })));
            return true;
        }
        if ((key === "Delete" || key === "Backspace") && point !== undefined) {
            leaveOut(point);
            return true;
        }
        if (!keys || (event.repeat && !"[]".includes(key))) return false;
        const label = DIGITS.includes(key) ? orderOf(item)[DIGITS.indexOf(key)] : undefined;
        if (label) keep(toggled(item, draft, label.label));
        else if (key === "s") skip();
        else if (key === "b" && back) back();
        else if ((key === "]" || key === "[") && draft.points.length > 0) {
            const by = key === "]" ? 1 : -1;
            const count = draft.points.length;
            choose(point === undefined ? (by > 0 ? 0 : count - 1) : (point + by + count) % count);
        } else return false;
        return true;
    };

    return (
        <section class="workbench" tabIndex={-1} ref={bench} aria-label={place} onKeyDown={pressed}>
            <div class="columns">
                <div class="left">
                    {kept && "picture" in kept ? (
                        <Viewer
                            picture={kept.picture}
                            points={item.points && draft.points}
                            size={item.picture}
                            chosen={point}
                            choose={(next) => next !== undefined && choose(next)}
                            move={item.points && ((place, x, y) => keep(changedPoint(draft, place, () => ({ x, y, leftOut: false }))))}
                            names={draft.points.length <= 12}
                            waiting={false}
                        />
                    ) : (
                        <NoPicture item={item} problem={kept?.problem} />
                    )}
                </div>
                <div class="panel">
                    <section aria-labelledby="truth-heading">
                        <div class="heading-line">
                            <h2 id="truth-heading">What is right?</h2>
                            <span class="quiet-text">{place}</span>
                        </div>
                        {problem && <ProblemNote problem={problem} />}
                        <div class="deciding">
                            <button type="button" class="primary" disabled={!truth || saving} aria-keyshortcuts="Enter" onClick={save}>
                                <Icon name="check" />
                                Save <kbd>Enter</kbd>
                            </button>
                            <button type="button" aria-keyshortcuts={keys ? "s" : undefined} onClick={skip}>
                                <Icon name="next" />
                                Skip {keys && <kbd>s</kbd>}
                            </button>
                            <button type="button" class="quiet" disabled={!back} aria-keyshortcuts={keys ? "b" : undefined} onClick={back}>
                                <Icon name="back" />
                                Back {keys && <kbd>b</kbd>}
                            </button>
                        </div>
                        {item.labels && <LabelTruth {...{ item, draft, keep, keys }} />}
                        {item.points && <PointTruth {...{ draft, keys, chosen: point, choose: setPoint, leaveOut }} />}
                        {item.values && <ValueTruth {...{ item, draft, keep }} />}
                    </section>
                    <Reasons item={item} />
                </div>
            </div>
        </section>
    );
}

function NoPicture({ item, problem }: { item: ReviewItem; problem: Problem | undefined }) {
    return (
        <div class="viewer no-picture">
            {problem ? (
                <ProblemNote problem={problem} />
            ) : item.picture_file ? (
                <p class="waiting" role="status">
                    Fetching the picture …
                </p>
            ) : (
                <div class="no-preview">
                    <Icon name="picture" />
                    The picture of this prediction was not kept.
                    <span>
                        A server that is started with <code>--record-pictures FOLDER</code> keeps those of further predictions. This one
                        had {item.picture.width} × {item.picture.height} pixels and the SHA-256 <code>{item.picture_digest.replace("sha256:", "")}</code>.
                    </span>
                </div>
            )}
        </div>
    );
}

/** Why it is worth a look. */
function Reasons({ item }: { item: ReviewItem }) {
    const facts: [string, string | undefined][] = [
        ["answered", item.created.replace("T", " ").replace("Z", " UTC")],
        ["by", `${item.model}, version ${item.version}`],
        ["uncertainty, of 1", item.uncertainty === undefined ? undefined : score(item.uncertainty)],
        ["nearest score from its threshold", item.margin === undefined ? undefined : score(item.margin)],
        [`disagreement with version ${item.shadow_version}`, item.disagreement?.toPrecision(3)],
    ];
    return (
        <dl class="facts reasons">
            {facts
                .filter(([, value]) => value !== undefined)
                .map(([name, value]) => (
                    <div key={name}>
                        <dt>{name}</dt>
                        <dd>{value}</dd>
                    </div>
                ))}
        </dl>
    );
}
