"""Pictures a second of fastai's training loop on real data, for scripts/bench-train.

    python scripts/peers/fastai_speed.py DATA.csv WEIGHTS-OR-none --arch resnet18 --size 224 --steps 20

Random order, fastai's default augmentation, everything trained, one_cycle schedule. Prints one line of JSON: pictures a
second over the timed steps (data, step and optimiser, after a few that are not timed), seconds from the start of the
process to the end of the first step, and the device. --loader measures the loader with its batch transforms alone.
"""

import argparse
import json
import os
import pathlib
import time

# Of the process, not of this module: Python and its imports are part of how long a user waits.
STARTED = time.time() - (time.monotonic() - float(pathlib.Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[19])
                         / os.sysconf("SC_CLK_TCK"))

import pandas as pd  # noqa: E402
import torch  # noqa: E402
import torchvision  # noqa: E402
from fastai.vision.all import (  # noqa: E402
    Callback, CancelFitException, ColReader, ColSplitter, DataBlock, ImageBlock, MultiCategoryBlock, Normalize, Resize,
    aug_transforms, default_split, imagenet_stats, model_meta, set_seed, vision_learner,
)
from fastai.callback.fp16 import MixedPrecision  # noqa: E402,F401
from safetensors.torch import load_file  # noqa: E402


class Steps(Callback):
    """The time at the end of each training step, until there are enough."""

    def __init__(self, count):
        self.count, self.times = count, []

    def after_batch(self):
        if not self.training:
            return
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.times.append(time.time())
        if len(self.times) >= self.count:
            raise CancelFitException


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("weights")
    parser.add_argument("--arch", default="mobilenet_v2")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--warm-up", type=int, default=3)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--loader", action="store_true")
    args = parser.parse_args()
    rows = pd.read_csv(args.data, keep_default_na=False)
    folder = args.data.parent / "images"
    set_seed(1)
    block = DataBlock(
        blocks=(ImageBlock, MultiCategoryBlock),
        get_x=lambda row: folder / row["fname"],
        get_y=ColReader("labels", label_delim=" "),
        splitter=ColSplitter("is_valid"),
        item_tfms=Resize(args.size, method="squish"),
        batch_tfms=[*aug_transforms(), Normalize.from_stats(*imagenet_stats)],
    )
    dls = block.dataloaders(rows, bs=args.batch_size, num_workers=args.workers)
    if args.loader:
        batches, times = iter(dls.train), []
        for _ in range(min(args.warm_up + args.steps, len(dls.train))):
            next(batches)
            times.append(time.time())
        report(args, times, None)
        return

    def arch(pretrained=False):
        model = getattr(torchvision.models, args.arch)()
        if args.weights != "none":
            model.load_state_dict(load_file(args.weights), strict=False)
        return model

    model_meta[arch] = {"cut": -1 if args.arch == "mobilenet_v2" else -2, "split": default_split}
    learn = vision_learner(dls, arch, pretrained=False, normalize=False)
    if args.bf16:
        learn.to_bf16()
    steps = Steps(args.warm_up + args.steps)
    epochs = -(-steps.count // max(1, len(dls.train)))
    learn.unfreeze()
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(epochs, 3e-3, cbs=steps)
    report(args, steps.times, steps.times[0] - STARTED)


def report(args, times, first):
    timed = times[-1] - times[args.warm_up - 1]
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    print(json.dumps({"pictures_per_second": (len(times) - args.warm_up) * args.batch_size / timed,
                      "first_step_seconds": first, "device": device}))


main()
