"""Models and pictures to measure with. Both are made once and kept in the run's folder."""

import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

import onnx
from onnx import TensorProto, helper
from PIL import Image, ImageOps

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
NETWORKS = ["resnet18", "resnet50"]
ONE_NODE = "one-node"
SMALL, LARGE = (500, 375), (4000, 3000)
SMALL_COUNT, LARGE_COUNT = 16, 8
QUALITY = 90


def run(*command):
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL, cwd=ROOT)


def pictures(folder, source):
    """Files by kind: `small` and `large` JPEGs of real pictures, and a PNG of 8 x 8.

    A large one is a mosaic of 64 small ones, so that a pixel of it takes as many bits as one of theirs: enlarged to 12
    megapixels, a picture would be smooth, and quicker to decode than a camera's.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = {
        "small": [folder / f"small-{i:02}.jpg" for i in range(SMALL_COUNT)],
        "large": [folder / f"large-{i:02}.jpg" for i in range(LARGE_COUNT)],
        "tiny": [folder / "tiny.png"],
    }
    if all(file.exists() for files in found.values() for file in files):
        return found
    files = sorted(source.glob("*.jpg"))
    if not files:
        sys.exit(f"{source} has no .jpg")
    draws = random.Random(1)
    # Each once, before any comes twice.
    order = draws.sample(files, len(files)) if len(files) > SMALL_COUNT else files * SMALL_COUNT
    for target, file in zip(found["small"], order):
        tile(file).save(target, quality=QUALITY)
    across, down = LARGE[0] // SMALL[0], LARGE[1] // SMALL[1]
    for target in found["large"]:
        mosaic = Image.new("RGB", LARGE)
        for place in range(across * down):
            mosaic.paste(tile(draws.choice(files)), (place % across * SMALL[0], place // across * SMALL[1]))
        mosaic.save(target, quality=QUALITY)
    ramp = bytes((x * 9 + y * 7 + channel * 60) % 256 for y in range(8) for x in range(8) for channel in range(3))
    Image.frombytes("RGB", (8, 8), ramp).save(found["tiny"][0])
    return found


def tile(file):
    with Image.open(file) as picture:
        return ImageOps.fit(ImageOps.exif_transpose(picture).convert("RGB"), SMALL)


def networks(folder, trainer):
    """ResNets in float32 and INT8, each in a models folder of its own: FOLDER/NAME/NAME/1.

    Trained for one epoch on drawn shapes: how fast a network is does not depend on its weights. None of its layers is
    left in float32 for what INT8 costs in accuracy, which would mean nothing here.
    """
    shapes = folder / "shapes"
    if not (shapes / "labels.csv").exists():
        run(trainer, "draw-shapes", shapes, "--count", 120)
    for name in NETWORKS:
        model = folder / name / name / "1" / "model.onnx"
        if not model.exists():
            print(f"training {name}", flush=True)
            with tempfile.TemporaryDirectory() as scratch:
                run(trainer, "fit", "--data", shapes / "labels.csv", "--out", model.parent.parent, "--run-folder", f"{scratch}/run",
                    "--arch", name, "--weights", "none", "--freeze-epochs", 0, "--epochs", 1, "--batch-size", 16, "--no-augment")
        if not model.with_name("model.int8.onnx").exists():
            print(f"quantising {name}", flush=True)
            run(trainer, "quantize", model, "--data", shapes / "labels.csv", "--method", "minmax", "--max-loss", 1, "--force")


def all_networks(folder):
    """A models folder with all of them."""
    both = folder / "both"
    for name in NETWORKS:
        if not (both / name).exists():
            shutil.copytree(folder / name / name, both / name, copy_function=os.link)
    return both


def one_node(folder, program):
    """A model whose graph is the mean of each colour, imported: normalisation stands before it, as in others."""
    if (folder / ONE_NODE / ONE_NODE / "1" / "model.onnx").exists():
        return
    node = helper.make_node("ReduceMean", ["x"], ["y"], axes=[2, 3], keepdims=0)
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in (("x", ["n", 3, 8, 8]), ("y", ["n", 3]))]
    model = helper.make_model(helper.make_graph([node], "mean", ends[:1], ends[1:]), opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    with tempfile.TemporaryDirectory() as scratch:
        file, names = pathlib.Path(scratch) / "mean.onnx", pathlib.Path(scratch) / "names.txt"
        onnx.save(model, file)
        names.write_text("red\ngreen\nblue\n")
        run(program, "import", file, "--out", folder / ONE_NODE / ONE_NODE, "--task", "values", "--names", names,
            "--mean", "0,0,0", "--std", "1,1,1")
