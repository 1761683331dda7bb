"""Quantises a shipped model with onnxruntime.quantization and compares it with `tagpoint-train quantize`.

The peer gets what its documentation advises: quant_pre_process, QDQ, s8 weights by channel, u8 activations, calibrated by
each of its three methods on the same number of training pictures, pixels by Pillow. Ours is model.int8.onnx beside the
float32 file. Each is judged on all validation pictures, and all are timed in turn, one picture at a time.

Usage: python scripts/peers/quantize.py MODEL.onnx TABLE.csv [threads] [calibration pictures]
"""

import csv
import json
import pathlib
import random
import sys
import tempfile
import time

import numpy as np
import onnx
import onnxruntime as ort
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from PIL import Image, ImageOps

ROUNDS, RUNS = 7, 30


def read_pixels(file, size):
    with Image.open(file) as picture:
        picture = ImageOps.exif_transpose(picture).convert("RGB")
        return np.asarray(picture.resize(size, Image.Resampling.BILINEAR))[None]


class Reader(CalibrationDataReader):
    def __init__(self, pictures):
        self.pictures = iter(pictures)

    def get_next(self):
        picture = next(self.pictures, None)
        return None if picture is None else {"image": picture}


def session(file, threads):
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "1")
    return ort.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def average_precision(scores, truth):
    order = np.argsort(-scores, kind="stable")
    hits = truth[order]
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return float((precision * hits).sum() / hits.sum())


def judge(task, outputs, rows):
    """mAP, or the mean error of points by the distance of the manifest's pair, in the pixels of the originals."""
    if task["kind"] == "multi_label":
        names = [label["name"] for label in task["labels"]]
        truth = np.array([[name in row["labels"].split() for name in names] for row, _ in rows])
        return float(np.mean([average_precision(outputs[:, i], truth[:, i]) for i in range(len(names))]))
    errors = []
    for points, (row, size) in zip(outputs, rows):
        truth = np.array([float(row[f"{axis}{i}"]) for i in range(len(points)) for axis in "xy"]).reshape(-1, 2)
        found = (points + 1) / 2 * np.array(size)
        a, b = task["nme_pair"]
        errors.append(np.linalg.norm(found - truth, axis=1).mean() / np.linalg.norm(truth[a] - truth[b]))
    return float(np.mean(errors))


def noise(task, reference, outputs):
    """The share of the outputs' variance that is quantisation's, as `tagpoint-train quantize` says it."""
    reference, outputs = (x.reshape(len(x), -1).astype(np.float64) for x in (reference, outputs))
    if "label" in task["kind"]:
        reference, outputs = (np.log((c := x.clip(1e-6, 1 - 1e-6)) / (1 - c)) for x in (reference, outputs))
    return float(np.mean(((reference - outputs) ** 2).sum(0) / ((reference - reference.mean(0)) ** 2).sum(0)))


def main():
    model, table = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    threads, count = [int(sys.argv[i]) if len(sys.argv) > i else default for i, default in ((3, 2), (4, 256))]
    entry = next(entry for entry in onnx.load(model).metadata_props if entry.key == "tagpoint.manifest")
    manifest = json.loads(entry.value)
    size = tuple(manifest["input"]["resize"]["size"][side] for side in ("width", "height"))
    with open(table) as file:
        rows = list(csv.DictReader(file))
    path = lambda row: table.parent / "images" / row["fname"]
    valid = [row for row in rows if row["is_valid"].lower() == "true"]
    train = [row for row in rows if row["is_valid"].lower() != "true"]
    random.Random(0).shuffle(train)
    calibration = [read_pixels(path(row), size) for row in train[:count]]
    pictures = [read_pixels(path(row), size) for row in valid]
    judged = [(row, Image.open(path(row)).size) for row in valid]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        quant_pre_process(str(model), str(folder / "prepared.onnx"), skip_symbolic_shape=True)
        files = {"float32": model, "ours": model.with_name("model.int8.onnx")}
        for method in CalibrationMethod.MinMax, CalibrationMethod.Percentile, CalibrationMethod.Entropy:
            start, name = time.time(), f"onnxruntime.quantization {method.name}"
            files[name] = folder / f"{method.name}.onnx"
            quantize_static(
                folder / "prepared.onnx", files[name], Reader(calibration), quant_format=QuantFormat.QDQ,
                per_channel=True, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, calibrate_method=method,
            )
            print(f"{name}: quantised in {time.time() - start:.0f} s", flush=True)
        sessions = {name: session(file, threads) for name, file in files.items()}
        speed = dict.fromkeys(files, 0.0)
        for _ in range(ROUNDS):
            for name, one in sessions.items():
                start = time.perf_counter()
                for i in range(RUNS):
                    one.run(None, {"image": pictures[i % len(pictures)]})
                speed[name] = max(speed[name], RUNS / (time.perf_counter() - start))
        outputs = {name: np.concatenate([one.run(None, {"image": x})[0] for x in pictures]) for name, one in sessions.items()}
    print(f"| {'':<36} | metric | noise | pictures/s | times |")
    for name in files:
        print(
            f"| {name:<36} | {judge(manifest['task'], outputs[name], judged):.4f} "
            f"| {noise(manifest['task'], outputs['float32'], outputs[name]):.4f} "
            f"| {speed[name]:.0f} | {speed[name] / speed['float32']:.2f} |"
        )


if __name__ == "__main__":
    main()
