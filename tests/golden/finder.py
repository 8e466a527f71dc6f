"""Writes finder.json: what fastai v2's learning-rate finder suggests for given curves of loss.

    /usr/bin/python3 tests/golden/finder.py > tests/golden/finder.json

The four functions do what fastai/callback/schedule.py's do, on lists and numpy in double precision
(fastai's tensors are float32). Losses are given raw; smoothing is fastai's AvgSmoothLoss.
"""
import json
import math
import random

import numpy as np


def valley(lrs, losses):
    n = len(losses)
    max_start, max_end = 0, 0
    lds = [1] * n
    for i in range(1, n):
        for j in range(0, i):
            if losses[i] < losses[j] and lds[i] < lds[j] + 1:
                lds[i] = lds[j] + 1
            if lds[max_end] < lds[i]:
                max_end = i
                max_start = max_end - lds[max_end]
    sections = (max_end - max_start) / 3
    return lrs[max_start + int(sections) + int(sections / 2)]


def slide(lrs, losses, lr_diff=15, thresh=.005):
    grad = np.gradient(np.array(losses))
    r_idx = -1
    l_idx = r_idx - lr_diff
    if -l_idx > len(losses):
        return None  # fastai raises an IndexError here
    lr = lrs[l_idx]
    while l_idx >= -len(losses) and abs(grad[r_idx] - grad[l_idx]) > thresh:
        lr = lrs[l_idx]
        r_idx -= 1
        l_idx -= 1
    return lr


def minimum(lrs, losses):
    return lrs[int(np.argmin(losses))] / 10


def steep(lrs, losses):
    losses, logs = np.array(losses), np.log(np.array(lrs))
    grads = (losses[1:] - losses[:-1]) / (logs[1:] - logs[:-1])
    return lrs[int(grads.argmin())]


def sweep(loss_of, start, end, num_it):
    """Runs the finder's loop on a made-up loss."""
    lrs, losses, smoothed = [], [], []
    average, best = 0.0, math.inf
    for it in range(num_it):
        lr = start * (end / start) ** (it / num_it)
        loss = loss_of(lr)
        average = .98 * average + .02 * loss
        smooth = average / (1 - .98 ** (it + 1))
        lrs.append(lr)
        losses.append(loss)
        smoothed.append(smooth)
        best = min(best, smooth)
        if smooth > 4 * best:
            break
    return lrs, losses, smoothed


def case(name, loss_of, start=1e-7, end=10, num_it=100):
    lrs, losses, smoothed = sweep(loss_of, start, end, num_it)
    cut_lrs, cut = lrs[num_it // 10:-5], smoothed[num_it // 10:-5]
    return {"name": name, "start": start, "end": end, "steps": num_it, "losses": losses,
            "last_rate": lrs[-1], "last_smoothed": smoothed[-1],
            "suggestions": {"valley": valley(cut_lrs, cut), "steep": steep(cut_lrs, cut),
                            "minimum": minimum(cut_lrs, cut), "slide": slide(cut_lrs, cut)}}


def bowl(noise, seed, blow=.3):
    """High and flat, falls around 1e-3, explodes at `blow`: what real curves look like."""
    draw = random.Random(seed)

    def loss(lr):
        down = 1 / (1 + math.exp(-2 * (math.log10(lr) + 3)))
        up = (lr / blow) ** 3
        return 2.5 - 2 * down + min(up, 1e6) + noise * draw.gauss(0, 1)
    return loss


def main():
    cases = [case(f"bowl {noise} {seed}", bowl(noise, seed))
             for noise in (0, .02, .1, .4) for seed in range(2)]
    cases += [case("early explosion", bowl(.1, 9, 1e-3)),
              case("50 steps", bowl(.1, 1), num_it=50),
              case("500 steps to 1", bowl(.1, 2), end=1, num_it=500),
              case("narrow", bowl(.1, 3), start=1e-4, end=1e-1),
              case("falls only", lambda lr: -math.log10(lr) + 10),
              case("rises only", lambda lr: 3 + math.log10(lr) / 10)]
    print(json.dumps(cases, separators=(",", ":")).replace('{"name"', '\n{"name"'))


main()
