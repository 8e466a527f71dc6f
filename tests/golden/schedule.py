"""Writes schedule.json: learning rate and momentum at each step, in double precision.

    /usr/bin/python3 tests/golden/schedule.py > tests/golden/schedule.json

The two one-cycle policies are written as fastai runs them, as objects that are stepped (v1: after
each batch; v2: a position in the combined schedule before each batch), so that a mistake in the
closed formulas of engine/train/schedule.c shows. SGDR is fastai's fit_sgdr, whose cycles are shares
of the whole: as exact fractions here, since rounded ones may begin a cycle a step late. The slanted
triangle is the formula of Howard and Ruder 2018, which goes below its lowest rate where the steps
do not divide: it is kept from that.
"""
import fractions
import json
import math


def annealing_cos(start, end, p):
    return start + (1 + math.cos(math.pi * (1 - p))) * (end - start) / 2


class Phase:
    """fastai v1's Scheduler: walks from start to end in n_iter steps."""

    def __init__(self, start, end, n_iter):
        self.start, self.end, self.n_iter, self.n = start, end, max(1, n_iter), 0

    def step(self):
        self.n += 1
        return annealing_cos(self.start, self.end, self.n / self.n_iter)

    @property
    def is_done(self):
        return self.n >= self.n_iter


def one_cycle_v1(steps, pct_start, div, div_final, momentum):
    a1 = int(steps * pct_start)
    a2 = steps - a1
    lrs = [Phase(1 / div, 1, a1), Phase(1, 1 / div_final, a2)]
    moms = [Phase(momentum[0], momentum[1], a1), Phase(momentum[1], momentum[2], a2)]
    lr, mom, at, rows = lrs[0].start, moms[0].start, 0, []
    for _ in range(steps):
        rows.append([lr, mom])  # the batch runs
        lr, mom = lrs[at].step(), moms[at].step()
        if lrs[at].is_done and at == 0:
            at = 1
    return rows


def one_cycle_v2(steps, pct_start, div, div_final, momentum):
    def combined(start, middle, end, position):
        if position < pct_start:
            return annealing_cos(start, middle, position / pct_start)
        return annealing_cos(middle, end, (position - pct_start) / (1 - pct_start))

    positions = [step / steps for step in range(steps)]
    return [[combined(1 / div, 1, 1 / div_final, p), combined(*momentum, p)] for p in positions]


def flat_cos(steps, pct_start, div, div_final, momentum):
    rows = []
    for step in range(steps):
        p = step / steps
        late = (p - pct_start) / (1 - pct_start)
        rows.append([1 if p < pct_start else annealing_cos(1, 1 / div_final, late), momentum[0]])
    return rows


def flat(steps, pct_start, div, div_final, momentum):
    return [[1, momentum[0]] for _ in range(steps)]


def sgdr(steps, steps_per_epoch, cycle_len, cycle_mult, momentum):
    """combine_scheds of SchedCos(1, 0) over [cycle_len * cycle_mult**i / epochs for each i]."""
    epochs = fractions.Fraction(steps, steps_per_epoch)
    begins, length = [fractions.Fraction(0)], cycle_len
    while begins[-1] < 1:
        begins.append(begins[-1] + length / epochs)
        length *= cycle_mult
    rows = []
    for step in range(steps):
        position = fractions.Fraction(step, steps)
        i = max(i for i, begin in enumerate(begins) if begin <= position)
        share = (position - begins[i]) / (begins[i + 1] - begins[i])
        rows.append([annealing_cos(1, 0, float(share)), momentum[0]])
    return rows


def triangular(steps, cut_frac, ratio, momentum):
    cut = max(1, math.floor(steps * cut_frac))
    rows = []
    for t in range(steps):
        p = t / cut if t < cut else 1 - (t - cut) / (cut * (1 / cut_frac - 1))
        rows.append([(1 + max(p, 0) * (ratio - 1)) / ratio, momentum[0]])
    return rows


KINDS = {("one_cycle", "v1"): one_cycle_v1, ("one_cycle", "v2"): one_cycle_v2,
         ("flat", "v2"): flat, ("flat_cos", "v2"): flat_cos}
CYCLE, CONSTANT = [.95, .85, .95], [.9, .9, .9]
CASES = [
    # name, form, steps, pct_start, div, div_final, momentum
    ("one_cycle", "v1", 100, .3, 25, 25e4, CYCLE),
    ("one_cycle", "v1", 7, .3, 25, 25e4, CYCLE),
    ("one_cycle", "v1", 1, .3, 25, 25e4, CYCLE),
    ("one_cycle", "v1", 2, .3, 25, 25e4, CYCLE),
    ("one_cycle", "v1", 368, .7, 10, 1e3, [.9, .8, .95]),
    ("one_cycle", "v2", 100, .25, 25, 1e5, CYCLE),
    ("one_cycle", "v2", 92, .99, 25, 1e5, CYCLE),
    ("one_cycle", "v2", 21, .3, 5, 1e5, CYCLE),
    ("one_cycle", "v2", 1, .99, 25, 1e5, CYCLE),
    ("one_cycle", "v2", 50, 0, 25, 1e5, CYCLE),
    ("flat", "v2", 5, 0, 1, 1, CONSTANT),
    ("flat_cos", "v2", 40, .75, 1, 1e5, CONSTANT),
]
SGDR = [(35, 5, 1, 2), (36, 6, 2, 1), (20, 4, 1, 3), (1, 1, 1, 2)]  # steps, an epoch, len, mult
TRIANGULAR = [(100, .1, 32), (37, .1, 32), (7, .1, 32), (20, .5, 4), (1, .1, 32)]


def cases():
    for name, form, steps, pct, div, div_final, momentum in CASES:
        yield {"name": name, "form": form, "steps": steps, "pct_start": pct, "div": div,
               "div_final": div_final, "momentum": momentum,
               "rows": KINDS[name, form](steps, pct, div, div_final, momentum)}
    for steps, steps_per_epoch, length, mult in SGDR:
        yield {"name": "sgdr", "form": "v2", "steps": steps, "steps_per_epoch": steps_per_epoch,
               "cycle_len": length, "cycle_mult": mult, "momentum": CONSTANT,
               "rows": sgdr(steps, steps_per_epoch, length, mult, CONSTANT)}
    for steps, cut_frac, ratio in TRIANGULAR:
        yield {"name": "triangular", "form": "v2", "steps": steps, "cut_frac": cut_frac,
               "ratio": ratio, "momentum": CONSTANT,
               "rows": triangular(steps, cut_frac, ratio, CONSTANT)}


if __name__ == "__main__":
    print("[\n" + ",\n".join(json.dumps(case) for case in cases()) + "\n]")
