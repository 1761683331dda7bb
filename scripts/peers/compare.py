"""fastai and tagpoint-train side by side: the same pictures, weights, size, schedule and epochs, three seeds each.

    python3 -m venv /tmp/peer && /tmp/peer/bin/pip install -r scripts/peers/requirements.txt
    cargo build --release --locked --features train --bin tagpoint-train
    /tmp/peer/bin/python scripts/peers/compare.py ../shared runs/compare

Every run's figures are kept as one line of JSON in OUT/results.jsonl; a run whose line is there is not made again, so
the command can be stopped and started. The table is printed at the end as Markdown.
"""

import argparse
import csv
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

# The book's schedules: chapter 6 trains VOC 4 + 3 epochs at 3e-3 and head poses 1 + 3 at 1e-2.
TASKS = {
    "scenes": {"freeze": 4, "epochs": 3, "lr": "3e-3", "metric": "map", "flags": []},
    "posters": {"freeze": 4, "epochs": 3, "lr": "3e-3", "metric": "map", "flags": ["--label-delimiter", ";"]},
    "faces": {"freeze": 1, "epochs": 3, "lr": "1e-2", "metric": "nme", "flags": ["--task", "points", "--point-set", "ibug68"]},
}
# What beats fastai in no more time than it takes; found on seed 1.
EXTRAS = {"scenes": [], "posters": [], "faces": []}
SIZE = 128


def fastai(task, seed, shared):
    plan = TASKS[task]
    script = pathlib.Path(__file__).parent / "fastai_fine_tune.py"
    command = [sys.executable, str(script), task, str(shared), "--size", str(SIZE), "--seed", str(seed),
               "--freeze-epochs", str(plan["freeze"]), "--epochs", str(plan["epochs"]), "--lr", plan["lr"]]
    # The same process settings as tagpoint-train gives itself.
    settings = {"GOMP_SPINCOUNT": "2000", "MALLOC_MMAP_THRESHOLD_": "4294967296", "MALLOC_TRIM_THRESHOLD_": "4294967296"}
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=os.environ | settings).stdout
    result = json.loads(output.strip().splitlines()[-1])
    return {"value": result[plan["metric"]], "seconds": result["seconds"]}


def tagpoint(task, seed, shared, out, extras):
    plan = TASKS[task]
    name = f"{task}-{'extras' if extras else 'same'}-{seed}"
    command = [
        "target/release/tagpoint-train", "fit", "--data", str(shared / "data" / task / "train.csv"),
        "--weights", str(shared / "weights/mobilenet_v2-imagenet.safetensors"), "--out", str(out / name),
        "--run-folder", str(out / f"{name}-run-{int(time.time())}"), "--size", str(SIZE), "--seed", str(seed),
        "--freeze-epochs", str(plan["freeze"]), "--epochs", str(plan["epochs"]), "--lr", plan["lr"],
        *plan["flags"], *extras,
    ]
    start = time.time()
    subprocess.run(command, check=True)
    seconds = time.time() - start
    run = pathlib.Path(command[command.index("--run-folder") + 1])
    last = list(csv.DictReader((run / "history.csv").open()))[-1]
    return {"value": float(last[plan["metric"]]), "seconds": round(seconds, 1)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("shared", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS))
    parser.add_argument("--kinds", nargs="+", default=["fastai", "same", "extras"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    record = args.out / "results.jsonl"
    done = [json.loads(line) for line in record.open()] if record.exists() else []
    for seed in args.seeds:
        for task in args.tasks:
            for kind in args.kinds:
                if any((run["task"], run["kind"], run["seed"]) == (task, kind, seed) for run in done):
                    continue
                if kind == "fastai":
                    result = fastai(task, seed, args.shared)
                else:
                    result = tagpoint(task, seed, args.shared, args.out, EXTRAS[task] if kind == "extras" else [])
                run = {"task": task, "kind": kind, "seed": seed} | result
                done.append(run)
                with record.open("a") as file:
                    print(json.dumps(run), file=file)
    print_table(args, done)


def print_table(args, done):
    print("| data | metric | trainer | mean | spread (min … max) | seconds |\n|---|---|---|---|---|---|")
    for task in args.tasks:
        for kind in args.kinds:
            runs = [run for run in done if (run["task"], run["kind"]) == (task, kind)]
            if not runs:
                continue
            values = [run["value"] for run in runs]
            seconds = statistics.mean(run["seconds"] for run in runs)
            spread = f"{min(values):.4f} … {max(values):.4f}"
            metric = TASKS[task]["metric"]
            print(f"| {task} | {metric} | {kind} | {statistics.mean(values):.4f} | {spread} | {seconds:.0f} |")


main()
