"""Writes mix.json: MixUp and CutMix of a batch for given draws, as fastai's callbacks compute them.

    /usr/bin/python3 tests/golden/mix.py > tests/golden/mix.json

fastai.callback.mixup, with the random numbers taken from outside: torch.lerp with a share for each
item and lam.max(1-lam); CutMix.rand_bbox and its corrected lam. Pictures are (N,H,W,C) here.
"""
import json

import torch

ROWS, SIDE, CHANNELS, CLASSES = 4, 6, 3, 3


def numbers(tensor):
    return [float(x) for x in tensor.flatten()]


def batch(seed):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(-32, 33, (ROWS, SIDE, SIDE, CHANNELS), generator=generator) / 8
    labels = torch.randint(CLASSES, (ROWS,), generator=generator)
    return images, labels, torch.randperm(ROWS, generator=generator), generator


def row(images, labels, others, shares, mixed, targets, **draw):
    return {"images": numbers(images), "labels": [int(x) for x in labels],
            "others": [int(x) for x in others], "shares": numbers(shares),
            "mixed": numbers(mixed), "targets": numbers(targets), **draw}


def mixup(seed):
    images, labels, others, generator = batch(seed)
    lam = torch.rand(ROWS, generator=generator)
    lam = torch.stack([lam, 1 - lam], 1).max(1)[0]
    mixed = torch.lerp(images[others], images, lam[:, None, None, None])
    onehot = torch.eye(CLASSES)[labels]
    targets = torch.lerp(onehot[others], onehot, lam[:, None])
    return row(images, labels, others, lam, mixed, targets, kind="mixup")


def cutmix(seed, lam, x, y):
    images, labels, others, _ = batch(seed)
    lam = torch.tensor([lam])
    cut = torch.sqrt(1. - lam)
    width = torch.round(SIDE * cut).type(torch.long)
    x1 = torch.clamp(x - torch.div(width, 2, rounding_mode="floor"), 0, SIDE)
    x2 = torch.clamp(x + torch.div(width, 2, rounding_mode="floor"), 0, SIDE)
    y1 = torch.clamp(y - torch.div(width, 2, rounding_mode="floor"), 0, SIDE)
    y2 = torch.clamp(y + torch.div(width, 2, rounding_mode="floor"), 0, SIDE)
    mixed = images.clone()
    mixed[:, y1:y2, x1:x2] = images[others][:, y1:y2, x1:x2]
    share = 1 - ((x2 - x1) * (y2 - y1)).float() / float(SIDE * SIDE)
    onehot = torch.eye(CLASSES)[labels]
    targets = torch.lerp(onehot[others], onehot, share.expand(ROWS, 1))
    return row(images, labels, others, share.expand(ROWS), mixed, targets, kind="cutmix",
               lam=float(lam), x=x, y=y, box=[int(v) for v in (x1, y1, x2, y2)])


CASES = [mixup(1), mixup(2), cutmix(3, .5, 3, 3), cutmix(4, .9, 0, 6), cutmix(5, .05, 5, 1),
         cutmix(6, .999, 3, 3), cutmix(7, .62, 2, 5)]
print("[\n" + ",\n".join(json.dumps(each) for each in CASES) + "\n]")
