/** The predictions to look at, and which of them is looked at. */

import { useEffect, useRef, useState } from "preact/hooks";
import { type Problem, Refusal, type Review, type ReviewItem, keptPicture, review } from "./api.ts";
import { type Picture, toPicture } from "./pictures.ts";

/** Predictions that are asked for at once, beside those that were skipped; the server gives at most `MOST`. */
const EACH = 50;
const MOST = 200;

export interface Wanted {
    model: string;
    version: string | undefined;
    by: string;
}

export interface Queue {
    /** None while it is asked for. */
    review: Review | undefined;
    problem: Problem | undefined;
    item: ReviewItem | undefined;
    at: number;
    /** The next one; `done` is not shown again, skipped ones are once all others are. */
    next: (done: ReviewItem) => void;
    back: () => void;
    again: () => void;
}

/** Asks anew where something else is wanted, and once the last one has been looked at. */
export function useQueue({ model, version, by }: Wanted): Queue {
    const [found, setFound] = useState<Review>();
    const [problem, setProblem] = useState<Problem>();
    const [at, setAt] = useState(0);
    const [asked, setAsked] = useState(0);
    const seen = useRef(new Set<string>());
    useEffect(() => {
        let over = false;
        setFound(undefined);
        setProblem(undefined);
        review(model, version, by, Math.min(EACH + seen.current.size, MOST)).then(
            (review) => {
                if (over) return;
                setFound({ ...review, predictions: review.predictions.filter(({ prediction_id: id }) => !seen.current.has(id)) });
                setAt(0);
            },
            (error: unknown) => {
                if (!(error instanceof Refusal)) throw error;
                if (!over) setProblem(error.problem);
            },
        );
        return () => {
            over = true;
        };
    }, [model, version, by, asked]);
    const next = (done: ReviewItem) => {
        seen.current.add(done.prediction_id);
        if (found && at + 1 >= found.predictions.length) setAsked((count) => count + 1);
        else setAt(at + 1);
    };
    return {
        review: found,
        problem,
        item: found?.predictions[at],
        at,
        next,
        back: () => setAt(Math.max(at - 1, 0)),
        again: () => {
            seen.current.clear();
            setAsked((count) => count + 1);
        },
    };
}

export type Kept = { picture: Picture } | { problem: Problem } | undefined;

/** The pictures of the prediction that is looked at and of the two after it, so that the next one is there at once. */
export function useKeptPictures(items: ReviewItem[], at: number): Kept {
    const known = useRef(new Map<string, Kept>());
    const [, redraw] = useState(0);
    useEffect(() => {
        for (const { prediction_id: id, picture_file: file } of items.slice(at, at + 3)) {
            if (!file || known.current.has(id)) continue;
            known.current.set(id, undefined);
            keptPicture(id)
                .then(
                    (blob): Kept => ({ picture: toPicture(blob, file.split("/").at(-1)!) }),
                    (error: unknown): Kept => {
                        if (error instanceof Refusal) return { problem: error.problem };
                        throw error;
                    },
                )
                .then((kept) => {
                    known.current.set(id, kept);
                    redraw((count) => count + 1);
                });
        }
    }, [items, at]);
    useEffect(
        () => () => {
            for (const kept of known.current.values()) if (kept && "picture" in kept) URL.revokeObjectURL(kept.picture.url);
        },
        [],
    );
    const item = items[at];
    return item && known.current.get(item.prediction_id);
}
