"""One measurement after the other, and the file that keeps them."""

import json
import pathlib
import resource
import subprocess
import time

from processes import Tree, busy_seconds, processor_name, processors

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


class Record:
    """Measurements, one line of JSON each: those that are there are not made again."""

    def __init__(self, path):
        self.path = path
        self.lines = [json.loads(line) for line in path.open()] if path.exists() else []
        # Of the working tree; with `-dirty` where something in it is not committed.
        describe = ["git", "describe", "--always", "--dirty"]
        self.commit = subprocess.run(describe, cwd=ROOT, stdout=subprocess.PIPE, text=True).stdout.strip()

    def find(self, **wanted):
        return [line for line in self.lines if all(line.get(key) == value for key, value in wanted.items())]

    def add(self, **line):
        line |= {"processor": processor_name(), "commit": self.commit}
        self.lines.append(line)
        with self.path.open("a") as file:
            print(json.dumps(line), file=file)


def generate(program, url, files, connections, seconds):
    """The load generator's summary. It ends when the last request is answered."""
    command = [program, "bench", url, *files, "--json", "--warm-up", "0", "--connections", connections, "--seconds", seconds]
    output = subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(output)


def generator_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(program, server, files, connections, seconds):
    """Warms the server up, then loads it; a line for the record."""
    generate(program, server.url, files, connections, seconds / 5)
    tree = Tree(server.process.pid)
    tree.reset_peak()
    before = time.monotonic(), tree.cpu_seconds(), generator_seconds(), busy_seconds()
    summary = generate(program, server.url, files, connections, seconds)
    after = time.monotonic(), tree.cpu_seconds(), generator_seconds(), busy_seconds()
    elapsed, cpu, generator, busy = (end - start for start, end in zip(before, after))
    answered = summary["statuses"].get("200")
    if answered is None:
        raise SystemExit(f"{server.url}: no request was answered: {summary}")
    return {
        "seconds": seconds,
        "per_second": round(summary["answered_per_second"], 2),
        "p50_ms": round(answered["p50_ms"], 2),
        "p99_ms": round(answered["p99_ms"], 2),
        "cpu_ms": round(1e3 * cpu / answered["count"], 3),
        "generator_cpu_ms": round(1e3 * generator / answered["count"], 3),
        # What neither the server nor the load generator took of the processors: other programs, and the host.
        "others_share": round(max(0.0, busy - cpu - generator) / (elapsed * processors()), 3),
        "peak_mb": round(tree.peak_mb(), 1),
        "statuses": {status: times["count"] for status, times in summary["statuses"].items()},
    }


def described(line):
    failed = {status: count for status, count in line["statuses"].items() if status != "200"}
    more = (f", failed: {failed}" if failed else "") + (f", others took {line['others_share']:.0%}" if line["others_share"] > 0.05 else "")
    return (f"{line['per_second']:.1f}/s, p50 {line['p50_ms']:.1f} ms, p99 {line['p99_ms']:.1f} ms, CPU {line['cpu_ms']:.2f} ms, "
            f"{line['peak_mb']:.0f} MB{more}")
