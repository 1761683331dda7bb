/** What the model says about one picture. */

import type { Detail } from "./api.ts";
import type { Result } from "./answers.ts";
import type { Call } from "./calls.ts";
import { Code } from "./code.tsx";
import { Labels } from "./labels.tsx";
import type { Marks } from "./marks.ts";
import { PointList } from "./points.tsx";
import { ProblemNote } from "./problem.tsx";
import { Timings } from "./timings.tsx";

interface Props {
    result: Result;
    detail: Detail | undefined;
    marks: Marks;
    setMarks: (marks: Marks) => void;
    point: number | undefined;
    choosePoint: (point: number | undefined) => void;
    names: boolean;
    showNames: (names: boolean) => void;
    again: () => void;
    call: Call | undefined;
}

export function AnswerPanel(props: Props) {
    const { result, detail, marks, setMarks, call } = props;
    if (result.state === "failed") {
        return (
            <div class="panel">
                <ProblemNote problem={result.problem}>
                    <button type="button" onClick={props.again}>
                        Try again
                    </button>
                </ProblemNote>
            </div>
        );
    }
    if (result.state === "waiting" || !detail) {
        return (
            <div class="panel">
                <p class="waiting" role="status">
                    Asking the model …
                </p>
            </div>
        );
    }
    const { answer } = result;
    return (
        <div class="panel">
            {answer.labels && <Labels {...{ answer, detail, marks, setMarks }} />}
            {answer.points && (
                <section aria-labelledby="points-heading">
                    <div class="heading-line">
                        <h2 id="points-heading">{answer.points.length} points</h2>
                        <label class="check">
                            <input
                                type="checkbox"
                                checked={props.names}
                                onChange={(event) => props.showNames(event.currentTarget.checked)}
                            />
                            Names in the picture
                        </label>
                    </div>
                    <PointList points={answer.points} chosen={props.point} choose={props.choosePoint} />
                </section>
            )}
            {answer.values && (
                <section aria-labelledby="values-heading">
                    <h2 id="values-heading">Values</h2>
                    <dl class="facts values">
                        {answer.values.map(({ name, value }) => (
                            <div key={name}>
                                <dt>{name}</dt>
                                <dd>{value.toPrecision(5)}</dd>
                            </div>
                        ))}
                    </dl>
                </section>
            )}
            <Timings answer={answer} roundTrip={result.roundTrip} together={result.together} />
            {call && <Code call={call} />}
        </div>
    );
}
