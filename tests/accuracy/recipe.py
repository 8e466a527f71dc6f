"""fine_tune in PyTorch: fastai v2's two stages, written from its formulas, as the yardstick.

squeezenet1_1 up to its cut, fastai's new head. One epoch with the body frozen at 2e-3 (one cycle,
pct_start .99, div 25), then `epochs` with everything at slice(1e-5, 1e-3) (pct_start .3, div 5);
AdamW(betas (momentum, .99), eps 1e-5), weight decay .01 on weights only; random resized crops of at
least .35 of the picture and flips; the last short batch is dropped. PyTorch does the training step,
torchvision reads the pictures.
"""
import math
import os
import random
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn
from torchvision import datasets, transforms

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "oracle"))
import nets  # noqa: E402

BATCH, SIZE, MIN_SCALE = 32, 224, .35
BASE_RATE, RATE_SPAN = 2e-3, 100
NORMALISE = transforms.Normalize([.485, .456, .406], [.229, .224, .225])
EVALUATION = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(SIZE),
                                 transforms.ToTensor(), NORMALISE])
TRAINING = transforms.Compose([transforms.RandomResizedCrop(SIZE, scale=(MIN_SCALE, 1)),
                               transforms.RandomHorizontalFlip(), transforms.ToTensor(), NORMALISE])


def loaders(folder, valid):
    train = datasets.ImageFolder(os.path.join(folder, "train"), TRAINING)
    held_out = datasets.ImageFolder(os.path.join(folder, valid), EVALUATION)
    return (torch.utils.data.DataLoader(train, BATCH, shuffle=True, drop_last=True),
            torch.utils.data.DataLoader(held_out, BATCH), len(train.classes))


def new_model(weights, classes):
    model = nets.Transfer("squeezenet1_1", "v2", classes)
    state = {name: value for name, value in torch.load(weights).items()
             if not name.startswith("classifier")}
    missing = model.load_state_dict(state, strict=False).missing_keys
    assert all(name.startswith("head.") for name in missing), missing
    for layer in model.head:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight)
        elif isinstance(layer, nn.BatchNorm1d):
            nn.init.constant_(layer.bias, 1e-3)
    return model


def rate_groups(model, rates):
    """A rate each for stem, rest of the body and head; norms and biases do not decay."""
    groups = {}
    for name, value in model.named_parameters():
        group = nets.group_of({"architecture": "squeezenet1_1"}, name)
        if rates[group] > 0:
            decays = value.dim() > 1
            groups.setdefault((group, decays), []).append(value)
    return [{"params": values, "max_lr": rates[group], "weight_decay": .01 if decays else 0}
            for (group, decays), values in groups.items()]


def anneal(start, end, p):
    return start + (1 + math.cos(math.pi * (1 - p))) * (end - start) / 2


def one_cycle(p, pct_start, div):
    """The share of the maximum rate, and the momentum, at position p of a stage."""
    if p < pct_start:
        return anneal(1 / div, 1, p / pct_start), anneal(.95, .85, p / pct_start)
    q = (p - pct_start) / (1 - pct_start)
    return anneal(1, 1e-5, q), anneal(.85, .95, q)


def accuracy(model, loader):
    model.eval()
    with torch.no_grad():
        right = [(model(x).argmax(1) == y).float() for x, y in loader]
    return torch.cat(right).mean().item()


def stage(model, loader, epochs, rates, pct_start, div):
    optimizer = torch.optim.AdamW(rate_groups(model, rates), lr=0, eps=1e-5)
    steps, step = epochs * len(loader), 0
    for _ in range(epochs):
        model.train()
        for x, y in loader:
            share, momentum = one_cycle(step / steps, pct_start, div)
            for group in optimizer.param_groups:
                group["lr"], group["betas"] = share * group["max_lr"], (momentum, .99)
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            step += 1


def run(folder, valid, weights, seed, freeze_epochs=1, epochs=3):
    """Validation accuracy after the last epoch, and the seconds it took."""
    torch.manual_seed(seed)
    random.seed(seed)
    start = time.monotonic()
    train, held_out, classes = loaders(folder, valid)
    model = new_model(weights, classes)
    body = [value for name, value in model.named_parameters() if not name.startswith("head.")]
    for value in body:
        value.requires_grad = False
    stage(model, train, freeze_epochs, [0, 0, BASE_RATE], .99, 25)
    for value in body:
        value.requires_grad = True
    top = BASE_RATE / 2
    low = top / RATE_SPAN
    stage(model, train, epochs, [low, math.sqrt(low * top), top], .3, 5)
    return accuracy(model, held_out), time.monotonic() - start
