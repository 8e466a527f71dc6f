#!/usr/bin/python3
"""One measurement of PyTorch, in a process of its own: whole training steps on made-up pictures.

The same work as `thaw-engine bench`: zero_grad, forward, cross-entropy, backward, AdamW, over a
torchvision body with fastai's head. "frozen" trains the head and, as fastai does, the body's norms.
Prints one JSON line: images_per_second, step_ms (median), threads, layout.
"""
import argparse
import json
import os
import statistics
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "oracle"))
import nets  # noqa: E402

CLASSES, WARM_STEPS = 10, 2


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="resnet34")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--mode", choices=("all", "frozen", "infer"), default="all")
    parser.add_argument("--layout", choices=("default", "channels_last"), default="default")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=10)
    return parser.parse_args()


def freeze_body(model):
    for name, module in model.named_modules():
        if not name.startswith("head") and not isinstance(module, nn.BatchNorm2d):
            for value in module.parameters(recurse=False):
                value.requires_grad = False


def make(options):
    torch.manual_seed(0)
    model = nets.Transfer(options.model, "v2", CLASSES)
    x = torch.rand(options.batch, 3, options.size, options.size) * 2 - 1
    if options.layout == "channels_last":
        model = model.to(memory_format=torch.channels_last)
        x = x.contiguous(memory_format=torch.channels_last)
    if options.mode == "frozen":
        freeze_body(model)
    return model, x, torch.randint(0, CLASSES, (options.batch,))


def training_step(model, x, y):
    values = [value for value in model.parameters() if value.requires_grad]
    optimizer = torch.optim.AdamW(values, lr=1e-4, betas=(.9, .99), eps=1e-5, weight_decay=.01)
    model.train()

    def step():
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    return step


def inference_step(model, x):
    model.eval()

    def step():
        with torch.inference_mode():
            model(x)
    return step


def main():
    options = parse()
    torch.set_num_threads(options.threads)
    model, x, y = make(options)
    step = inference_step(model, x) if options.mode == "infer" else training_step(model, x, y)
    seconds = []
    for _ in range(WARM_STEPS + options.steps):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    median = statistics.median(seconds[WARM_STEPS:])
    print(json.dumps({"images_per_second": options.batch / median, "step_ms": median * 1e3,
                      "threads": torch.get_num_threads(), "layout": options.layout}))


if __name__ == "__main__":
    main()
