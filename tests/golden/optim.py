"""Writes optim.json: parameters after each of some AdamW steps, computed by torch.

    /usr/bin/python3 tests/golden/optim.py > tests/golden/optim.json

torch.optim.AdamW in float32 with learning rate and beta1 changed before every step, as one-cycle
does; one parameter group for weights and one for norms and biases. Two gradients are clipped
together by torch.nn.utils.clip_grad_norm_ where the case says so.
"""
import json

import torch

SIZES = {"weight": 40, "norm": 8}
STEPS = 6


def numbers(tensor):
    return [float(x) for x in tensor.detach().flatten()]


def run(eps, weight_decay, decay_norm_bias, clip, seed):
    generator = torch.Generator().manual_seed(seed)
    params = {name: torch.randn(n, generator=generator).requires_grad_()
              for name, n in SIZES.items()}
    case = {"eps": eps, "weight_decay": weight_decay, "decay_norm_bias": decay_norm_bias,
            "clip": clip, "beta2": .99, "start": {k: numbers(v) for k, v in params.items()},
            "steps": []}
    optimizer = torch.optim.AdamW(
        [{"params": [params["weight"]], "weight_decay": weight_decay},
         {"params": [params["norm"]], "weight_decay": weight_decay if decay_norm_bias else 0}],
        eps=eps)
    for step in range(STEPS):
        rate, beta1 = 1e-3 * (step + 1), .95 - .02 * step
        scale = 10. ** -step  # down to where eps matters
        for param in params.values():
            param.grad = torch.randn(param.shape, generator=generator) * scale
        row = {"rate": rate, "momentum": beta1,
               "gradients": {k: numbers(v.grad) for k, v in params.items()}}
        if clip:
            torch.nn.utils.clip_grad_norm_(params.values(), clip)
        for group in optimizer.param_groups:
            group["lr"], group["betas"] = rate, (beta1, .99)
        optimizer.step()
        row["values"] = {k: numbers(v) for k, v in params.items()}
        case["steps"].append(row)
    return case


CASES = [run(1e-8, .01, True, 0, 1), run(1e-5, .01, False, 0, 2), run(1e-5, .1, False, .5, 3)]
print("[\n" + ",\n".join(json.dumps(case) for case in CASES) + "\n]")
