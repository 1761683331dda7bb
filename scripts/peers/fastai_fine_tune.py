"""fastai's fine_tune on the same pictures, weights, size and schedule as `tagpoint-train fit`, for comparison.

    python scripts/peers/fastai_fine_tune.py scenes ../shared --size 128 --freeze-epochs 4 --epochs 3 --lr 3e-3 --seed 1
    python scripts/peers/fastai_fine_tune.py posters ../shared --size 128 --freeze-epochs 4 --epochs 3 --lr 3e-3 --seed 1
    python scripts/peers/fastai_fine_tune.py faces ../shared --size 128 --freeze-epochs 1 --epochs 3 --lr 1e-2 --seed 1

Prints one line of JSON: validation mAP, or NME (outer eye corners) and MSE, and the wall-clock and processor seconds of
fine_tune. Left and right points do not change places in fastai's mirror images; --no-flip leaves mirroring out.
"""

import argparse
import json
import os
import pathlib
import time

import numpy as np
import pandas as pd
import torch
from fastai.vision.all import (
    ColReader, ColSplitter, DataBlock, ImageBlock, MultiCategoryBlock, Normalize, PointBlock, Resize,
    aug_transforms, default_split, imagenet_stats, model_meta, set_seed, vision_learner,
)
from PIL import Image
from safetensors.torch import load_file
from sklearn.metrics import average_precision_score
from torchvision.models import mobilenet_v2


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("task", choices=["scenes", "posters", "faces"])
    parser.add_argument("shared", type=pathlib.Path)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--freeze-epochs", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-flip", action="store_true")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    return parser.parse_args()


def backbone(weights_file):
    def build(pretrained=False):
        model = mobilenet_v2()
        model.load_state_dict(load_file(weights_file), strict=False)
        return model
    return build


def data(args, rows, images):
    common = dict(
        get_x=lambda row: images / row["fname"],
        splitter=ColSplitter("is_valid"),
        item_tfms=Resize(args.size, method="squish"),
        batch_tfms=[*aug_transforms(do_flip=not args.no_flip), Normalize.from_stats(*imagenet_stats)],
    )
    if args.task != "faces":
        labels = ColReader("labels", label_delim=" " if args.task == "scenes" else ";")
        block = DataBlock(blocks=(ImageBlock, MultiCategoryBlock), get_y=labels, **common)
    else:
        columns = [column for column in rows.columns if column[0] in "xy"]
        points = lambda row: torch.tensor(row[columns].to_numpy(dtype=float)).float().view(-1, 2)
        block = DataBlock(blocks=(ImageBlock, PointBlock), get_y=points, **common)
    return block.dataloaders(rows, bs=64, num_workers=args.workers)


def main():
    args = arguments()
    folder = args.shared / "data" / args.task
    rows = pd.read_csv(folder / "train.csv", keep_default_na=False)
    set_seed(args.seed, reproducible=True)
    dls = data(args, rows, folder / "images")
    more = dict(y_range=(-1.2, 1.2), n_out=136) if args.task == "faces" else {}
    arch = backbone(args.shared / "weights/mobilenet_v2-imagenet.safetensors")
    model_meta[arch] = {"cut": -1, "split": default_split}
    learn = vision_learner(dls, arch, pretrained=False, normalize=False, **more)
    start, before = time.time(), os.times()
    learn.fine_tune(args.epochs, args.lr, freeze_epochs=args.freeze_epochs)
    seconds, cpu = time.time() - start, sum(os.times()[:4]) - sum(before[:4])
    scores, targets = (tensor.numpy() for tensor in learn.get_preds(dl=dls.valid))
    result = vars(args) | {"shared": None, "fit_seconds": round(seconds, 1), "fit_cpu": round(cpu, 1)}
    if args.task != "faces":
        # A label without a positive example has no average precision.
        measured = [i for i in range(targets.shape[1]) if targets[:, i].any()]
        result["map"] = float(np.mean([average_precision_score(targets[:, i], scores[:, i]) for i in measured]))
    else:
        valid = rows[rows["is_valid"].astype(str) == "True"]
        sizes = np.array([Image.open(folder / "images" / name).size for name in valid["fname"]])[:, None, :]
        predicted = (scores.reshape(-1, 68, 2) + 1) / 2 * sizes
        expected = (targets.reshape(-1, 68, 2) + 1) / 2 * sizes
        distance = np.linalg.norm(predicted - expected, axis=2).mean(axis=1)
        eyes = np.linalg.norm(expected[:, 36] - expected[:, 45], axis=1)
        result["nme"] = float((distance / eyes).mean())
        result["mse"] = float(((scores.reshape(-1, 136) - targets.reshape(-1, 136)) ** 2).mean())
    print(json.dumps(result))


main()
