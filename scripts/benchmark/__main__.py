"""The server beside FastAPI + uvicorn + Pillow + ONNX Runtime and LitServe, on the same pictures and model files.

    make bench BENCH='--pictures FOLDER'      everything
    scripts/bench --quick                     the same in two-second measurements, to try it out
    scripts/bench --models resnet18 --sizes small --connections 16
    scripts/bench --report                    tables and plots from what has been measured

Needs target/release/tagpoint and tagpoint-train (`make bench` builds them), and Linux. Every measurement is kept as one
line of JSON in OUT/results.jsonl; one whose line is there is not made again, so the command can be stopped and started.
Everything is measured in rounds, one after the other, and ratios are taken within a round.

Load comes from `tagpoint bench`, which shares the processors with the server. Each server is first tried with a few
settings (sessions, threads, spinning, pool) at 16 connections, and measured with the best one. It writes
DOCS/benchmarks-serving.json and plots, and the tables into DOCS/benchmarks.md; DOCS is docs, or OUT/docs with --quick or
--docs. Ends with status 1 where a requirement is missed.
"""

import argparse
import dataclasses
import json
import pathlib
import shutil
import statistics
import subprocess
import sys

import load
import prepare
import report
import servers
from processes import Tree

ROOT = prepare.ROOT
PRECISIONS = {"fp32": "model.onnx", "int8": "model.int8.onnx"}
SIZES = ["small", "large"]
# One node's answers take no time, so what is measured is everything else: the load that shows processor time, and the
# one that shows waiting.
ONE_NODE_LOADS = [1, 64]
STARTS = 6
#: Settings whose trials differ by less are equally fast.
NOISE = 0.03
SMALL_BODY_BUDGET = 32 << 20


class Benchmark:
    def __init__(self, arguments):
        self.arguments = arguments
        self.folder = arguments.out / "models"
        self.record = load.Record(arguments.out / "results.jsonl")
        self.pictures = prepare.pictures(arguments.out / "pictures", arguments.pictures)
        self.kinds = servers.kinds(arguments.program, arguments.out / "cache")
        self.log = arguments.out / "server.log"

    def prepare(self):
        prepare.networks(self.folder, self.arguments.trainer)
        prepare.one_node(self.folder, self.arguments.program)

    def running(self, kind, model, setting):
        return servers.running(kind, self.folder / model, model, setting, self.log)

    def round(self, number):
        for model in [name for name in prepare.NETWORKS if name in self.arguments.models]:
            for precision in PRECISIONS:
                self.alone(number, model, precision)
            for name in self.arguments.servers:
                kind = self.kinds[name]
                sizes = ["large"] if kind.large_only_of else SIZES
                loads = [(size, count) for size in sizes for count in self.arguments.connections if size in self.arguments.sizes]
                self.loads(number, model, kind, loads)
        if prepare.ONE_NODE in self.arguments.models:
            for name in self.arguments.servers:
                if self.kinds[name].precision == "fp32" and not self.kinds[name].large_only_of:
                    self.loads(number, prepare.ONE_NODE, self.kinds[name], [("tiny", count) for count in ONE_NODE_LOADS])

    def alone(self, number, model, precision):
        key = {"kind": "alone", "round": number, "model": model, "precision": precision}
        if self.record.find(**key):
            return
        file = servers.model_file(self.folder / model, model).with_name(PRECISIONS[precision])
        command = [sys.executable, servers.PEERS / "model_alone.py", file, "--seconds", str(self.arguments.seconds)]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        # The last is the fastest, measured again.
        *ways, best = [json.loads(line) for line in output.splitlines()]
        self.record.add(**key, per_second=best["per_second"], ways=ways)
        print(f"{model} {precision} alone: {best}", flush=True)

    def loads(self, number, model, kind, loads):
        key = {"kind": "load", "round": number, "model": model, "server": kind.name}
        missing = [(size, count) for size, count in loads if not self.record.find(**key, pictures=size, connections=count)]
        if not missing:
            return
        setting = self.setting(model, kind)
        with self.running(kind, model, setting) as server:
            for size, count in missing:
                files, more = self.pictures[size], {"start_seconds": round(server.start_seconds, 2)}
                line = load.measure(self.arguments.program, server, files, count, self.arguments.seconds)
                self.record.add(**key, pictures=size, connections=count, **line, **more)
                print(f"{number} {model} {kind.name} {size} {count}: {load.described(line)}", flush=True)

    def setting(self, model, kind):
        """The fastest of the settings at 16 connections, for small pictures, or an earlier one that is slower by no more than
        the noise of so short a measurement; the first one for one node."""
        if model == prepare.ONE_NODE:
            return kind.settings[0]
        kind = self.kinds[kind.large_only_of or kind.name]
        key = {"kind": "setting", "model": model, "server": kind.name}
        if not self.record.find(**key):
            tried = []
            for setting in kind.settings:
                with self.running(kind, model, setting) as server:
                    load.generate(self.arguments.program, server.url, self.pictures["small"], 16, self.arguments.seconds / 10)
                    summary = load.generate(self.arguments.program, server.url, self.pictures["small"], 16, self.arguments.seconds / 2)
                tried.append({"setting": setting, "per_second": round(summary["answered_per_second"], 2)})
                print(f"trying {model} {kind.name}: {tried[-1]}", flush=True)
            fastest = max(way["per_second"] for way in tried)
            best = next(way for way in tried if way["per_second"] >= (1 - NOISE) * fastest)
            self.record.add(**key, setting=best["setting"], tried=tried)
        return self.record.find(**key)[0]["setting"]

    def memory(self, precision):
        """The process's peak from its start on, with 64 connections of large pictures, a small budget for bodies, and
        else the settings that nobody has changed: a session more is a model more."""
        kind, model = self.kinds[f"tagpoint-{precision}"], "resnet18"
        key = {"kind": "memory", "model": model, "server": kind.name}
        if self.record.find(**key):
            return
        setting = kind.settings[0] | {"body_budget": SMALL_BODY_BUDGET}
        with self.running(kind, model, setting) as server:
            summary = load.generate(self.arguments.program, server.url, self.pictures["large"], 64, self.arguments.seconds)
            peak = Tree(server.process.pid).peak_mb()
        file = servers.model_file(self.folder / model, model).with_name(PRECISIONS[precision])
        statuses = {status: times["count"] for status, times in summary["statuses"].items()}
        line = {"peak_mb": round(peak, 1), "file_mb": round(file.stat().st_size / 2**20, 1), "statuses": statuses}
        self.record.add(**key, **line, per_second=round(summary["answered_per_second"], 2))
        print(f"memory {kind.name}: {line}", flush=True)

    def starts(self):
        """Seconds from start to ready with both networks; the first start also measures which precision is faster."""
        if self.record.find(kind="start"):
            return
        folder, cache = prepare.all_networks(self.folder), self.arguments.out / "start-cache"
        shutil.rmtree(cache, ignore_errors=True)
        kind = dataclasses.replace(self.kinds["tagpoint-int8"], precision="auto", start=servers.tagpoint(self.arguments.program, "auto", cache))
        seconds = []
        for _ in range(STARTS):
            with servers.running(kind, folder, prepare.NETWORKS[0], kind.settings[0], self.log) as server:
                seconds.append(round(server.start_seconds, 3))
        self.record.add(kind="start", models=prepare.NETWORKS, seconds=seconds)
        print(f"start to ready, both networks: {seconds}, median from the second on {statistics.median(seconds[1:]):.2f} s", flush=True)

    def run(self):
        self.prepare()
        for number in range(1, self.arguments.rounds + 1):
            self.round(number)
        if "large" in self.arguments.sizes and "resnet18" in self.arguments.models:
            for precision in PRECISIONS:
                if f"tagpoint-{precision}" in self.arguments.servers:
                    self.memory(precision)
        if set(prepare.NETWORKS) <= set(self.arguments.models):
            self.starts()


def parse():
    names = list(servers.kinds(None, None))
    models = [*prepare.NETWORKS, prepare.ONE_NODE]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=pathlib.Path, default=ROOT / "samples", help="a folder of JPEGs to make the pictures of")
    parser.add_argument("--out", type=pathlib.Path, help="where models, pictures and results are kept [runs/bench, or runs/bench-quick]")
    parser.add_argument("--docs", type=pathlib.Path, help="where tables and plots go")
    parser.add_argument("--models", nargs="+", choices=models, default=models)
    parser.add_argument("--servers", nargs="+", choices=names, default=names)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=SIZES)
    parser.add_argument("--connections", nargs="+", type=int, default=[1, 16, 64])
    parser.add_argument("--rounds", type=int, help="how many times all is measured; medians are shown [3, or 1]")
    parser.add_argument("--seconds", type=float, help="of each measurement [10, or 2]")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--report", action="store_true", help="measure nothing")
    parser.add_argument("--program", type=pathlib.Path, default=ROOT / "target/release/tagpoint")
    parser.add_argument("--trainer", type=pathlib.Path, default=ROOT / "target/release/tagpoint-train")
    arguments = parser.parse_args()
    arguments.rounds = arguments.rounds or (1 if arguments.quick else 3)
    arguments.seconds = arguments.seconds or (2 if arguments.quick else 10)
    arguments.out = (arguments.out or ROOT / "runs" / ("bench-quick" if arguments.quick else "bench")).resolve()
    arguments.program, arguments.trainer = arguments.program.resolve(), arguments.trainer.resolve()
    arguments.docs = arguments.docs or (arguments.out / "docs" if arguments.quick else ROOT / "docs")
    arguments.out.mkdir(parents=True, exist_ok=True)
    return arguments


def main():
    arguments = parse()
    benchmark = Benchmark(arguments)
    if not arguments.report:
        benchmark.run()
    missed = report.write(arguments.docs, benchmark)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
