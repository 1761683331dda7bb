"""fastai and tagpoint-train side by side: the same pictures, weights, size, schedule and epochs, three seeds each.

    python3 -m venv /tmp/peer && /tmp/peer/bin/pip install -r scripts/peers/requirements.txt
    cargo build --release --locked --features train --bin tagpoint-train
    /tmp/peer/bin/python scripts/peers/compare.py ../shared runs/compare

Every run's figures are kept as one line of JSON in OUT/results.jsonl; a run whose line is there is not made again, so
the command can be stopped and started. The table is printed at the end as Markdown. Processor seconds of two kinds
compare only where the same processor ran both, so each line names its own, and the table has a mean for each.

`seconds` and `cpu` (user and system, all threads and loader processes) are of the whole process: start, reading,
training, judging and, for tagpoint-train, calibration, the check under ONNX Runtime, saving and the report.
`fit_seconds` and `fit_cpu` are fastai's `fine_tune` alone, so without Python's imports and the last judgement.
"""

import argparse
import csv
import json
import os
import pathlib
import statistics
import resource
import subprocess
import sys
import time

# The book's schedules: chapter 6 trains VOC 4 + 3 epochs at 3e-3 and head poses 1 + 3 at 1e-2.
TASKS = {
    "scenes": {"freeze": 4, "epochs": 3, "lr": "3e-3", "metric": "map", "flags": []},
    "posters": {"freeze": 4, "epochs": 3, "lr": "3e-3", "metric": "map", "flags": ["--label-delimiter", ";"]},
    "faces": {"freeze": 1, "epochs": 3, "lr": "1e-2", "metric": "nme", "flags": ["--task", "points", "--point-set", "ibug68"]},
}
# fastai's aug_transforms mirrors pictures and leaves the names of left and right points where they were, so that it is
# shown without mirroring too.
FASTAI_KINDS = {"fastai": [], "fastai-no-flip": ["--no-flip"]}
# What beats fastai in no more time than it takes; found on seed 1.
EXTRAS = {
    "scenes": {"--size": 160, "--batch-size": 32, "--lr-mult": 20},
    "posters": {"--freeze-epochs": 1, "--epochs": 8, "--batch-size": 32, "--lr-mult": 10},
    "faces": {"--epochs": 4, "--batch-size": 16, "--lr": "2e-3", "--lr-mult": 3, "--dropout": 0.1, "--loss": "wing"},
}
SIZE = 128


def processor():
    """The processor's name, as Linux tells it."""
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return "unknown"


def measured(command, **options):
    """Runs to the end; what it printed, its wall-clock seconds and its processor seconds."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.time()
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, **options).stdout
    seconds, after = time.time() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return output, {"seconds": round(seconds, 1), "cpu": round(cpu, 1)}


def fastai(task, seed, args, more):
    plan = TASKS[task]
    script = pathlib.Path(__file__).parent / "fastai_fine_tune.py"
    command = [sys.executable, str(script), task, str(args.shared), "--size", str(SIZE), "--seed", str(seed),
               "--freeze-epochs", str(plan["freeze"]), "--epochs", str(plan["epochs"]), "--lr", plan["lr"],
               "--workers", str(args.fastai_workers), *more]
    # The same process settings as tagpoint-train gives itself.
    settings = {"GOMP_SPINCOUNT": "2000", "MALLOC_MMAP_THRESHOLD_": "4294967296", "MALLOC_TRIM_THRESHOLD_": "4294967296"}
    output, times = measured(command, env=os.environ | settings)
    result = json.loads(output.strip().splitlines()[-1])
    return {"value": result[plan["metric"]]} | times | {key: result[key] for key in ("fit_seconds", "fit_cpu")}


def tagpoint(task, seed, shared, out, kind):
    plan = TASKS[task]
    name = f"{task}-{kind}-{seed}"
    run = out / f"{name}-run-{int(time.time())}"
    schedule = {"--freeze-epochs": plan["freeze"], "--epochs": plan["epochs"], "--lr": plan["lr"], "--size": SIZE,
                "--precision": "float32"}
    extras = EXTRAS[task] if kind == "extras" else {}
    flags = [part for flag, value in (schedule | extras).items() for part in (flag, str(value)) if part != ""]
    command = [
        "target/release/tagpoint-train", "fit", "--data", str(shared / "data" / task / "train.csv"),
        "--weights", str(shared / "weights/mobilenet_v2-imagenet.safetensors"), "--out", str(out / name),
        "--run-folder", str(run), "--seed", str(seed), *plan["flags"], *flags,
    ]
    _, times = measured(command)
    last = list(csv.DictReader((run / "history.csv").open()))[-1]
    return {"value": float(last[plan["metric"]])} | times


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("shared", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS))
    parser.add_argument("--kinds", nargs="+", default=["fastai", "fastai-no-flip", "same", "extras"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--fastai-workers", type=int, default=os.cpu_count(), help="loader processes; 0: none")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    record = args.out / "results.jsonl"
    done = [json.loads(line) for line in record.open()] if record.exists() else []
    for seed in args.seeds:
        for task in args.tasks:
            for kind in args.kinds:
                if any((run["task"], run["kind"], run["seed"]) == (task, kind, seed) for run in done):
                    continue
                if kind == "fastai-no-flip" and task != "faces":
                    continue
                if kind in FASTAI_KINDS:
                    result = fastai(task, seed, args, FASTAI_KINDS[kind])
                else:
                    result = tagpoint(task, seed, args.shared, args.out, kind)
                run = {"task": task, "kind": kind, "seed": seed} | result | {"processor": processor()}
                done.append(run)
                with record.open("a") as file:
                    print(json.dumps(run), file=file)
    print_table(args, done)


def print_table(args, done):
    print("| data | metric | trainer | seeds | mean | spread (min … max) | CPU seconds, mean on each processor |")
    print("|---|---|---|---|---|---|---|")
    for task in args.tasks:
        for kind in args.kinds:
            runs = [run for run in done if (run["task"], run["kind"]) == (task, kind)]
            if not runs:
                continue
            values = [run["value"] for run in runs]
            seconds = {}
            for run in runs:
                seconds.setdefault(run["processor"], []).append(run["cpu"])
            cpu = "; ".join(f"{statistics.mean(all):.0f} ({name})" for name, all in sorted(seconds.items()))
            print(f"| {task} | {TASKS[task]['metric']} | {kind} | {len(runs)} | {statistics.mean(values):.4f} "
                  f"| {min(values):.4f} … {max(values):.4f} | {cpu} |")


main()
