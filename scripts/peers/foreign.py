"""Serves what PyTorch exported as `tagpoint` serves somebody else's files, and compares its scores with PyTorch's.

torchvision's ResNet-50 and a model of timm's, with seeded weights (nothing is downloaded), exported by torch.onnx, each
once rewritten by `tagpoint import`, once with manifest.json beside it by `tagpoint import --sidecar`, and once with a
manifest.json that is written here. Both sides see the same pixels: those of `tagpoint pixels`, as a PNG.

Needs torch 2.11, torchvision, timm and onnxscript. Usage: python scripts/peers/foreign.py TAGPOINT FOLDER-OF-PICTURES [count]
"""

import io
import json
import pathlib
import subprocess
import sys
import tempfile
import urllib.request

import numpy as np
import timm
import torch
import torchvision
from PIL import Image

LABELS = 1000
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
INCEPTION = [0.5, 0.5, 0.5]
SIZE = 224


class Last(torch.nn.Module):
    """The same network for [N, H, W, 3], B, G, R in 0...255, with softmax: as others might export it."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        x = x.flip(-1) / 255
        x = (x - torch.tensor(MEAN)) / torch.tensor(STD)
        return self.net(x.permute(0, 3, 1, 2)).softmax(1)


def seeded(net, examples):
    """Weights that make a network as well-behaved as a trained one: statistics of batch norms that are those of real
    pictures, and a last layer whose logits differ by a few."""
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
    last = [module for module in net.modules() if isinstance(module, torch.nn.Linear)][-1]
    with torch.no_grad():
        net.train()(examples)
        torch.nn.init.normal_(last.weight)
        last.weight *= 2 / net.eval()(examples).std()
    return net


def models(examples):
    """Name, network, exporter, task, mean, std, flags of import, and parts of a manifest written by hand."""
    torch.manual_seed(7)
    resnet = seeded(torchvision.models.resnet50(weights=None, num_classes=LABELS), examples)
    vit = seeded(timm.create_model("vit_small_patch16_224", pretrained=False, num_classes=LABELS), examples)
    yield "torchvision-resnet50", resnet, False, "single-label", (MEAN, STD), {}
    yield "timm-vit_small", vit, True, "multi-label", (INCEPTION, INCEPTION), {}
    other = {"layout": "nhwc", "channels": "bgr", "pixel_range": 255, "mean": [0, 0, 0], "std": [1, 1, 1]}
    yield "torchvision-resnet50-nhwc-bgr", Last(resnet).eval(), False, "single-label", (MEAN, STD), other


def export(net, path, dynamo, last):
    example = torch.rand(2, SIZE, SIZE, 3) if last else torch.rand(2, 3, SIZE, SIZE)
    if dynamo:
        batch = torch.export.Dim("n", min=1, max=64)
        torch.onnx.export(net, (example,), path, dynamo=True, dynamic_shapes=({0: batch},), external_data=True,
                          input_names=["x"], output_names=["y"], verbose=False)
    else:
        torch.onnx.export(net, (example,), path, dynamo=False, opset_version=17, input_names=["x"], output_names=["y"],
                          dynamic_axes={"x": {0: "n"}, "y": {0: "n"}})


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{command}: {done.stderr}")


def sidecar(task, normalisation, other, labels):
    """A manifest.json by hand, with names alone and no golden samples."""
    mean, std = normalisation
    return {
        "schema_version": 1,
        "task": {"kind": task.replace("-", "_"), "labels": labels},
        "input": {"resize": {"method": "squish", "size": {"width": SIZE, "height": SIZE}}, "mean": mean, "std": std} | other,
        "output": {"activation": "softmax" if task == "single-label" else "sigmoid"},
    }


def prepare(tagpoint, folder, examples):
    """Exports and imports every model; gives the networks with what makes scores of them."""
    labels = [f"label{i}" for i in range(LABELS)]
    names = folder / "names.txt"
    names.write_text("\n".join(labels))
    found = {}
    for name, net, dynamo, task, normalisation, other in models(examples):
        source = folder / name / "exported.onnx"
        source.parent.mkdir()
        with torch.no_grad():
            export(net, source, dynamo, bool(other))
        mean, std = (other["mean"], other["std"]) if other else normalisation
        flags = ["--task", task, "--names", names, "--mean", ",".join(map(str, mean)), "--std", ",".join(map(str, std))]
        if other:
            flags += ["--layout", "nhwc", "--channels", "bgr", "--pixel-range", "255"]
        out = folder / "models"
        run(tagpoint, "import", source, "--out", out / f"{name}-wrapped", *flags)
        run(tagpoint, "import", source, "--out", out / f"{name}-sidecar", "--sidecar", *flags)
        by_hand = out / f"{name}-by-hand" / "1"
        by_hand.mkdir(parents=True)
        for file in source.parent.iterdir():
            (by_hand / ("model.onnx" if file == source else file.name)).write_bytes(file.read_bytes())
        (by_hand / "manifest.json").write_text(json.dumps(sidecar(task, normalisation, other, labels)))
        found[name] = (net.net if other else net, task, normalisation)
    return labels, found


def expected(net, task, normalisation, pixels):
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in normalisation)
    with torch.no_grad():
        logits = net(((torch.from_numpy(pixels).permute(2, 0, 1) / 255 - mean) / std)[None])[0]
    return (logits.softmax(0) if task == "single-label" else logits.sigmoid()).numpy()


def main():
    tagpoint, pictures = sys.argv[1], pathlib.Path(sys.argv[2])
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 20
    files = sorted(pictures.rglob("*.jpg"))[:count]
    shrunk = [np.asarray(Image.open(file).convert("RGB").resize((SIZE, SIZE)), np.float32) / 127.5 - 1 for file in files]
    examples = torch.from_numpy(np.stack(shrunk)).permute(0, 3, 1, 2)
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        labels, found = prepare(tagpoint, folder, examples)
        server = subprocess.Popen([tagpoint, "serve", "--models", folder / "models", "--listen", "127.0.0.1:0",
                                   "--database", "none"],
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            address = server.stdout.readline().split("http://")[1].split("/")[0]
            worst = 0.0
            for name, (net, task, normalisation) in found.items():
                for kind in ["wrapped", "sidecar", "by-hand"]:
                    difference = spread = 0.0
                    for file in files:
                        run(tagpoint, "pixels", file, "--size", f"{SIZE}x{SIZE}", "-o", folder / "pixels.npy")
                        pixels = np.load(folder / "pixels.npy")
                        png = io.BytesIO()
                        Image.fromarray(pixels).save(png, "PNG")
                        url = f"http://{address}/v1/models/{name}-{kind}/predict?all=true"
                        request = urllib.request.Request(url, png.getvalue(), {"content-type": "image/png"})
                        answer = json.load(urllib.request.urlopen(request, timeout=120))
                        by_label = {entry["label"]: entry["score"] for entry in answer["labels"]}
                        scores = np.array([by_label[label] for label in labels])
                        difference = max(difference, float(np.abs(scores - expected(net, task, normalisation, pixels)).max()))
                        spread = max(spread, float(scores.max() - scores.min()))
                    print(f"{name:32} {kind:8} {len(files)} pictures: largest difference {difference:.2e}, "
                          f"scores spread over {spread:.2f}", flush=True)
                    worst = max(worst, difference)
        finally:
            server.terminate()
    sys.exit(0 if worst < 1e-4 else f"a score differs by {worst:.2e}, more than 1e-4")


main()
