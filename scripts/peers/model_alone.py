"""Pictures a second of a model alone in ONNX Runtime: no HTTP, no decoding, pixels that lie ready.

    python scripts/peers/model_alone.py MODEL [--seconds 10]

Tries one session of all processors' threads, with and without threads that spin while they wait, and a session of one
thread for each processor, each with batches of 1 to 16, for a fifth of the seconds. Prints one line of JSON for each, and a last
one of the fastest, measured again for all of the seconds: the largest of fifteen short measurements would be a lucky one.
"""

import argparse
import json
import os
import threading
import time

import numpy as np

from serving import frame_size, open_session

BATCHES = [1, 2, 4, 8, 16]


def set_ups():
    """Sessions, threads of each, and whether they spin."""
    cores = len(os.sched_getaffinity(0))
    found = [(1, cores, False), (1, cores, True), (cores, 1, False)]
    return found if cores > 1 else found[:1]


def rate(sessions, pixels, seconds):
    """Pictures a second of all sessions together."""
    name = sessions[0].get_inputs()[0].name
    for session in sessions:
        session.run(None, {name: pixels})
    runs = [0] * len(sessions)
    began = time.perf_counter()

    def work(place):
        while time.perf_counter() < began + seconds:
            sessions[place].run(None, {name: pixels})
            runs[place] += 1

    threads = [threading.Thread(target=work, args=[place]) for place in range(len(sessions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(runs) * len(pixels) / (time.perf_counter() - began)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--seconds", type=float, default=10)
    arguments = parser.parse_args()
    tried = [line for set_up in set_ups() for line in measured(arguments.model, set_up, BATCHES, arguments.seconds / 5)]
    best = max(tried, key=lambda line: line["per_second"])
    measured(arguments.model, [best[key] for key in ("instances", "threads", "spinning")], [best["batch"]], arguments.seconds)


def measured(model, set_up, batches, seconds):
    """Prints a line for each size of batch, and gives them."""
    instances, threads, spinning = set_up
    sessions = [open_session(model, threads, spinning) for _ in range(instances)]
    width, height = frame_size(sessions[0])
    lines = []
    for batch in batches:
        pixels = np.random.default_rng(0).integers(0, 256, (batch, height, width, 3), np.uint8)
        per_second = rate(sessions, pixels, seconds)
        lines.append({"instances": instances, "threads": threads, "spinning": spinning, "batch": batch,
                      "per_second": round(per_second, 2)})
        print(json.dumps(lines[-1]), flush=True)
    return lines


if __name__ == "__main__":
    main()
