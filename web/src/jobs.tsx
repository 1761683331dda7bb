/** Jobs: many pictures answered in the background, how far they are, and their results. */

import { useEffect, useRef, useState } from "preact/hooks";
import { type Job, type Model, type Problem, Refusal, cancelJob, jobResults, listJobs } from "./api.ts";
import { Icon } from "./icons.tsx";
import { NewJob } from "./new-job.tsx";
import { ProblemNote } from "./problem.tsx";
import { inTime, plural } from "./words.ts";

/** While one is at work, and while none is. */
const BUSY_MS = 1500;
const IDLE_MS = 15_000;

const isAtWork = ({ state }: Job) => state === "queued" || state === "running";

export function Jobs({ models }: { models: Model[] }) {
    const [jobs, setJobs] = useState<Job[]>();
    const [problem, setProblem] = useState<Problem>();
    const [said, setSaid] = useState("");
    const [asked, setAsked] = useState(0);
    const before = useRef<Job[]>([]);
    useEffect(() => {
        let timer = 0;
        let over = false;
        const look = async () => {
            let found = before.current;
            try {
                if (!document.hidden) found = await listJobs();
                if (over) return;
                setJobs(found);
                setProblem(undefined);
                const ended = found.find((job) => !isAtWork(job) && before.current.some((old) => old.id === job.id && isAtWork(old)));
                if (ended) setSaid(`The job of ${ended.model} is ${ended.state}.`);
                before.current = found;
            } catch (error) {
                if (!(error instanceof Refusal)) throw error;
                if (!over) setProblem(error.problem);
            }
            if (!over) timer = setTimeout(look, found.some(isAtWork) ? BUSY_MS : IDLE_MS);
        };
        void look();
        return () => {
            over = true;
            clearTimeout(timer);
        };
    }, [asked]);
    const again = () => setAsked((count) => count + 1);
    return (
        <main>
            <h1>Jobs</h1>
            <NewJob
                models={models}
                started={(job) => {
                    // It may have ended before the next look.
                    before.current = [job, ...before.current];
                    setSaid(`A job for ${job.model} has begun.`);
                    again();
                }}
            />
            <p class="done" role="status">
                {said}
            </p>
            {problem && (
                <ProblemNote problem={problem}>
                    <button type="button" onClick={again}>
                        Try again
                    </button>
                </ProblemNote>
            )}
            {jobs?.map((job) => <JobCard key={job.id} job={job} changed={again} />)}
            {jobs?.length === 0 && <p class="quiet-text none-yet">There is no job yet.</p>}
        </main>
    );
}

const STATES: Record<Job["state"], string> = { queued: "", running: "ready", completed: "ready", failed: "failing", cancelled: "" };

function JobCard({ job, changed }: { job: Job; changed: () => void }) {
    const [problem, setProblem] = useState<Problem>();
    const { total, done, failed } = job.pictures;
    const refused = (error: unknown) => {
        if (!(error instanceof Refusal)) throw error;
        setProblem(error.problem);
    };
    const heading = `job-${job.id}`;
    const counts = total === undefined ? "counting the pictures …" : `${done.toLocaleString("en")} of ${plural(total, "picture")}`;
    const fetchResults = (format: "jsonl" | "parquet") => {
        setProblem(undefined);
        void jobResults(job.id, format).then((results) => offer(results, `${job.model}-${job.id}.${format}`), refused);
    };
    return (
        <article class="card job" aria-labelledby={heading}>
            <div class="card-head">
                <h2 id={heading}>
                    {job.model}, version {job.version}
                </h2>
                <span class={`state ${STATES[job.state]}`}>{job.state}</span>
                <span class="card-end">
                    {isAtWork(job) && (
                        <button type="button" onClick={() => cancelJob(job.id).then(changed, refused)}>
                            <Icon name="cross" />
                            Cancel
                        </button>
                    )}
                    {!isAtWork(job) && done > 0 && (
                        <>
                            <button type="button" onClick={() => fetchResults("jsonl")}>
                                <Icon name="download" />
                                Results
                            </button>
                            <button type="button" onClick={() => fetchResults("parquet")}>
                                <Icon name="download" />
                                as Parquet
                            </button>
                        </>
                    )}
                </span>
            </div>
            <div class="job-line">
                <progress max={total || 1} value={total === undefined ? undefined : done} aria-label={`Progress of ${job.model}`} />
                <span>
                    {counts}
                    {failed > 0 && <span class="failed-count">, {failed.toLocaleString("en")} without an answer</span>}
                </span>
            </div>
            {job.error && <p class="reason">{job.error}</p>}
            {problem && <ProblemNote problem={problem} />}
            <dl class="facts origin">
                {factsOf(job).map(([name, value]) => (
                    <div key={name}>
                        <dt>{name}</dt>
                        <dd>{value}</dd>
                    </div>
                ))}
            </dl>
        </article>
    );
}

/** Other sources are addresses. */
const SOURCES: Record<string, string> = { zip: "a ZIP archive", urls: "a list of URLs" };

function factsOf(job: Job): [string, string][] {
    const told = (time: string) => time.replace("T", " ").replace(/(\.\d+)?Z$/, " UTC");
    const facts: [string, string][] = [["given", told(job.created_at)]];
    if (job.started_at) {
        const until = job.finished_at ? Date.parse(job.finished_at) : Date.now();
        const seconds = Math.max((until - Date.parse(job.started_at)) / 1000, 0);
        const { total, done } = job.pictures;
        const rate = done / Math.max(seconds, 1);
        const left = isAtWork(job) && done > 0 && total ? `, about ${inTime((total - done) / rate)} left` : "";
        const speed = done > 0 && seconds >= 1 ? `, ${rate >= 10 ? rate.toFixed(0) : rate.toFixed(1)} pictures a second` : "";
        facts.push([job.finished_at ? "took" : "runs for", inTime(seconds) + speed + left]);
    }
    facts.push(["from", SOURCES[job.source] ?? job.source]);
    if (job.output) facts.push(["results go to", job.output]);
    if (job.author) facts.push(["asked for by", job.author]);
    return [...facts, ["id", job.id]];
}

/** Gives the user a file. */
function offer(file: Blob, name: string) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(file);
    link.download = name;
    link.click();
    // The browser has taken it by then.
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
