"""Writes loss.json: losses and gradients of torch's criteria, computed in float64.

    /usr/bin/python3 tests/golden/loss.py > tests/golden/loss.json

CrossEntropyLoss with labels and with probabilities, smoothed and weighted, and BCEWithLogitsLoss,
weighted and not. `rows` are the losses of reduction="none"; logits are exact in float32.
"""
import json

import torch
from torch import nn

ROWS, CLASSES = 6, 5
WEIGHTS = [.5, 1, 2.5, .125, 1.75]


def numbers(tensor):
    return [float(x) for x in tensor.detach().flatten()]


def case(seed, kind, smoothing=0., weighted=False, scale=3.):
    generator = torch.Generator().manual_seed(seed)
    logits = (torch.randn(ROWS, CLASSES, generator=generator) * scale).double().requires_grad_()
    weights = torch.tensor(WEIGHTS, dtype=torch.float64) if weighted else None
    labels = torch.randint(CLASSES, (ROWS,), generator=generator)
    soft = torch.rand(ROWS, CLASSES, generator=generator)
    if kind == "labels":
        target, made = labels, nn.CrossEntropyLoss
        options = {"label_smoothing": smoothing, "weight": weights}
    elif kind == "soft":
        soft = soft / soft.sum(1, keepdim=True)
        target, made = soft.double(), nn.CrossEntropyLoss
        options = {"label_smoothing": smoothing, "weight": weights}
    else:
        soft = soft if kind == "binary_soft" else (soft > .5).float()
        target, made, options = soft.double(), nn.BCEWithLogitsLoss, {"weight": weights}
    loss = made(**options)(logits, target)
    loss.backward()
    rows = made(reduction="none", **options)(logits, target)
    return {"kind": kind, "smoothing": smoothing, "weights": WEIGHTS if weighted else None,
            "rows": ROWS, "classes": CLASSES, "logits": numbers(logits),
            "labels": [int(x) for x in labels], "soft": numbers(soft), "loss": float(loss),
            "gradient": numbers(logits.grad), "row_losses": numbers(rows)}


CASES = [case(10 * i + 2 * j + k, kind, smoothing, weighted)
         for i, kind in enumerate(("labels", "soft"))
         for j, smoothing in enumerate((0., .1)) for k, weighted in enumerate((False, True))]
CASES += [case(50 + 2 * i + k, kind, weighted=weighted)
          for i, kind in enumerate(("binary", "binary_soft"))
          for k, weighted in enumerate((False, True))]
CASES += [case(70, "labels", .1, True, scale=60.), case(71, "binary", scale=60.)]
print("[\n" + ",\n".join(json.dumps(each) for each in CASES) + "\n]")
