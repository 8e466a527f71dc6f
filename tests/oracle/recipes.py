"""Schedules against fastai's formulas at every step of every length; optimisers against torch.

Run by run.py (part `recipes`). The formulas are tests/golden/schedule.py's: fastai's policies,
written as objects that are stepped, in double precision.
"""
import json
import os
import subprocess
import sys

import numpy as np
import torch

from comparison import Check

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../golden"))
import optim as golden_optim
import schedule as golden_schedule

LENGTHS = range(1, 501)
GROUPS = range(2, 6)
OF_MAXIMUM = 1e-12  # of the stage's largest rate
LOW, HIGH = 1e-6, 1e-4
NUMBERS = 500  # parameters of an optimiser's case
STEPS = 30


def ask(driver, request):
    done = subprocess.run([driver], input=json.dumps(request).encode(), check=True,
                          stdout=subprocess.PIPE)
    return np.frombuffer(done.stdout, "<f8")


# --- schedules

def schedules():
    """Name, what the engine is asked, the rows of a length, its steps an epoch."""
    cycle, constant = [.95, .85, .95], [.9, .9, .9]
    for pct in (.3, .7):
        yield (f"one_cycle v1, pct_start {pct}",
               {"name": "one_cycle", "form": "v1", "pct_start": pct, "div": 25, "div_final": 25e4},
               lambda n, pct=pct: golden_schedule.one_cycle_v1(n, pct, 25, 25e4, cycle))
    for pct, div in ((.25, 25), (.3, 5), (.99, 25)):
        yield (f"one_cycle v2, pct_start {pct}",
               {"name": "one_cycle", "form": "v2", "pct_start": pct, "div": div, "div_final": 1e5},
               lambda n, pct=pct, div=div: golden_schedule.one_cycle_v2(n, pct, div, 1e5, cycle))
    yield ("flat_cos", {"name": "flat_cos"},
           lambda n: golden_schedule.flat_cos(n, .75, 1, 1e5, constant))
    yield ("sgdr", {"name": "sgdr", "cycle_len": 1, "cycle_mult": 2},
           lambda n: golden_schedule.sgdr(n, steps_per_epoch("sgdr", n), 1, 2, constant))
    yield ("triangular", {"name": "triangular"},
           lambda n: golden_schedule.triangular(n, .1, 32, constant))


def steps_per_epoch(name, steps):
    """For sgdr the largest of 1..9 that divides the length."""
    return max(k for k in range(1, 10) if steps % k == 0) if name == "sgdr" else 1


def geometric(groups):
    return np.array([LOW * (HIGH / LOW) ** (i / (groups - 1)) for i in range(groups)])


def check_schedule(driver, name, schedule, rows_of):
    check = Check(f"{name}, 1 to 500 steps, 2 to 5 groups")
    rows = np.concatenate([np.array(rows_of(n)) for n in LENGTHS])
    lengths = [[n, steps_per_epoch(schedule["name"], n)] for n in LENGTHS]
    for groups in GROUPS:
        ours = ask(driver, {"schedule": schedule, "groups": groups, "lengths": lengths,
                            "lr": {"slice": [LOW, HIGH]}}).reshape(-1, groups + 1)
        if len(ours) != len(rows):
            check.require(f"{len(rows)} steps", False)
            continue
        error = np.abs(ours[:, :groups] - rows[:, :1] * geometric(groups)).max() / HIGH
        check.add(f"rates of {groups} groups", error, OF_MAXIMUM)
        check.add("momentum", np.abs(ours[:, groups] - rows[:, 1]).max(), OF_MAXIMUM)
    return check


# --- optimisers

def optimizers():
    for name in ("adamw", "adam", "sgd"):
        for form, eps in (("v1", 1e-8), ("v2", 1e-5)):
            for clip in (None, .1):
                yield name, form, eps, clip


def draw(seed):
    generator = torch.Generator().manual_seed(seed)
    start = torch.randn(NUMBERS, generator=generator)
    gradients = torch.randn(STEPS, NUMBERS, generator=generator)
    return start, gradients * torch.logspace(-2, -6, STEPS)[:, None]


def check_optimizer(driver, seed, name, form, eps, clip):
    check = Check(f"{name} {form}{', clipped' if clip else ''}: {STEPS} steps")
    start, gradients = draw(seed)
    moves = [(1e-3 * (k % 7 + 1), .95 - .01 * (k % 11)) for k in range(STEPS)]
    decay = .05
    options = {"name": name, "weight_decay": decay, "clip": clip}
    ours = ask(driver, {"optimizer": options, "form": form, "start": start.tolist(),
                        "steps": [{"rate": rate, "momentum": momentum, "gradient": g.tolist()}
                                  for (rate, momentum), g in zip(moves, gradients)]})
    ours = ours.reshape(STEPS, 2, NUMBERS)
    param = start.double().requires_grad_()
    optimizer = golden_optim.make(name, [{"params": [param], "weight_decay": decay}], eps)
    for k, (rate, momentum) in enumerate(moves):
        param.grad = gradients[k].double()
        if clip:
            torch.nn.utils.clip_grad_norm_([param], clip)
        golden_optim.take_step(optimizer, name, [decay], rate, momentum)
        state = optimizer.state[param]
        moment = state["momentum_buffer"] if name == "sgd" else state["exp_avg"]
        check.compare(f"values after step {k}", ours[k, 0], param.detach().numpy(), 1e-6)
        check.compare(f"moments after step {k}", ours[k, 1], moment.numpy(), 1e-6)
    return check


def run(report, driver, only):
    report.head("schedules and optimisers (recipes.py)")
    for name, schedule, rows_of in schedules():
        if only in name:
            report.add(check_schedule(driver, name, schedule, rows_of))
    for seed, case in enumerate(optimizers()):
        if only in " ".join(map(str, case[:2])):
            report.add(check_optimizer(driver, seed, *case))
