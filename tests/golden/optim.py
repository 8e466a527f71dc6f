"""Writes optim.json: parameters after each of some optimiser steps, computed by torch.

    /usr/bin/python3 tests/golden/optim.py > tests/golden/optim.json

torch.optim in float32 with learning rate and momentum (Adam's beta1) changed before every step, as
one-cycle does; one parameter group for weights and one for norms and biases. Two gradients are
clipped together by torch.nn.utils.clip_grad_norm_ where the case says so. fastai's SGD decays by
p *= 1 - lr*wd before the step, which torch's does not know: it is done by hand.
"""
import json

import torch

SIZES = {"weight": 40, "norm": 8}
STEPS = 6


def numbers(tensor):
    return [float(x) for x in tensor.detach().flatten()]


def make(name, groups, eps):
    if name == "sgd":
        return torch.optim.SGD([{**g, "weight_decay": 0} for g in groups], lr=1, momentum=.9)
    return {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}[name](groups, eps=eps)


def take_step(optimizer, name, decays, rate, momentum):
    for group, decay in zip(optimizer.param_groups, decays):
        group["lr"] = rate
        if name != "sgd":
            group["betas"] = momentum, .99
            continue
        group["momentum"] = momentum
        with torch.no_grad():
            for param in group["params"]:
                param *= 1 - rate * decay
    optimizer.step()


def run(name, eps, weight_decay, decay_norm_bias, clip, seed):
    generator = torch.Generator().manual_seed(seed)
    params = {key: torch.randn(n, generator=generator).requires_grad_()
              for key, n in SIZES.items()}
    case = {"name": name, "eps": eps, "weight_decay": weight_decay,
            "decay_norm_bias": decay_norm_bias, "clip": clip, "beta2": .99,
            "start": {k: numbers(v) for k, v in params.items()}, "steps": []}
    decays = [weight_decay, weight_decay if decay_norm_bias else 0]
    optimizer = make(name, [{"params": [param], "weight_decay": decay}
                            for param, decay in zip(params.values(), decays)], eps)
    for step in range(STEPS):
        rate, momentum = 1e-3 * (step + 1), .95 - .02 * step
        scale = 10. ** -step  # down to where eps matters
        for param in params.values():
            param.grad = torch.randn(param.shape, generator=generator) * scale
        row = {"rate": rate, "momentum": momentum,
               "gradients": {k: numbers(v.grad) for k, v in params.items()}}
        if clip:
            torch.nn.utils.clip_grad_norm_(params.values(), clip)
        take_step(optimizer, name, decays, rate, momentum)
        row["values"] = {k: numbers(v) for k, v in params.items()}
        case["steps"].append(row)
    return case


CASES = [run("adamw", 1e-8, .01, True, 0, 1), run("adamw", 1e-5, .01, False, 0, 2),
         run("adamw", 1e-5, .1, False, .5, 3), run("adam", 1e-8, .1, True, 0, 4),
         run("adam", 1e-5, .1, False, .5, 5), run("sgd", 1e-5, .1, True, 0, 6),
         run("sgd", 1e-5, .1, False, .5, 7)]
if __name__ == "__main__":
    print("[\n" + ",\n".join(json.dumps(case) for case in CASES) + "\n]")
