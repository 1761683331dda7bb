#!/usr/bin/env python3
"""Seconds per training step of torchvision's MobileNetV2 in PyTorch eager mode, channels-last, 128 px, batch 64.

    scripts/peers/training_step.py [threads] [steps]

The peer of examples/training_step.rs: forward, binary cross-entropy, backward, AdamW (fused where PyTorch can).
Needs torch and torchvision.
"""

import statistics
import sys
import time

import torch
import torchvision

SIDE, BATCH, CLASSES = 128, 64, 10


def main():
    threads = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    steps = int(sys.argv[2]) if len(sys.argv) > 2 else 8
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = torchvision.models.mobilenet_v2(num_classes=CLASSES).to(memory_format=torch.channels_last).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.99), eps=1e-5, fused=True)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1) * 255
    std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1) * 255
    image = torch.rand(BATCH, SIDE, SIDE, 3) * 255
    targets = torch.zeros(BATCH, CLASSES)
    times = []
    for step in range(steps):
        start = time.perf_counter()
        logits = model((image.permute(0, 3, 1, 2) - mean) / std)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets)
        forward = time.perf_counter() - start
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        times.append(time.perf_counter() - start)
        print(f"step {step}: {times[-1]:.3f} s, of which forward {forward:.3f} s")
    print(f"median {statistics.median(times):.3f} s")


if __name__ == "__main__":
    main()
