"""Pictures a second of a model alone in ONNX Runtime: no HTTP, no decoding, pixels that lie ready.

    python scripts/peers/model_alone.py MODEL [--seconds 2]

Tries one session of all processors' threads, with and without threads that spin while they wait, and a session of one
thread for each processor, each with batches of 1 to 16. Prints one line of JSON for each.
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
    parser.add_argument("--seconds", type=float, default=2)
    arguments = parser.parse_args()
    for instances, threads, spinning in set_ups():
        sessions = [open_session(arguments.model, threads, spinning) for _ in range(instances)]
        width, height = frame_size(sessions[0])
        for batch in BATCHES:
            pixels = np.random.default_rng(0).integers(0, 256, (batch, height, width, 3), np.uint8)
            per_second = rate(sessions, pixels, arguments.seconds)
            print(json.dumps({"instances": instances, "threads": threads, "spinning": spinning, "batch": batch,
                              "per_second": round(per_second, 2)}), flush=True)


if __name__ == "__main__":
    main()
