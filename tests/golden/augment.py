#!/usr/bin/python3
"""Writes augment.json: small pictures mapped and lit for given parameters, by PyTorch's grid_sample
in float64 (tests/oracle/augment.py has the formulas).

    /usr/bin/python3 tests/golden/augment.py > tests/golden/augment.json

tests/unit/engine/data/test_warp.c draws the same pictures (value(i) below) and compares."""
import json
import os
import sys

import numpy as np
import torch

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../oracle"))
import augment  # noqa: E402

CASES = [  # presized side, size, parameters
    (8, 8, {"turn": 1}), (9, 8, {"turn": 3}), (9, 8, {"turn": 5}), (9, 8, {"turn": 7}),
    (8, 8, {"angle": 10.}), (16, 8, {"angle": -170.}),
    (8, 8, {"zoom": 1.1, "zoom_x": 0., "zoom_y": .75}),
    (8, 8, {"warp_x": .2}), (8, 8, {"warp_y": -.2}), (11, 9, {"warp_x": -.25, "warp_y": .15}),
    (8, 8, {"brightness": .42, "contrast": 1.2}),
    (12, 9, {"turn": 1, "angle": 7.5, "zoom": 1.07, "zoom_x": .3, "zoom_y": .9, "warp_x": .13,
             "warp_y": -.08, "brightness": .57, "contrast": .85}),
]


def value(i):
    """Black and white, so that the clamp of the logit counts."""
    return (0, 255)[i % 7 % 2] if i % 5 == 0 else (i * i * 7 + i * 29 + 5) // 3 % 256


def main():
    cases = []
    for side, size, drawn in CASES:
        pixels = np.array([value(i) for i in range(side * side * 3)], np.uint8)
        drawn = {**augment.NONE, **drawn, "presize": side}
        out = augment.reference(pixels.reshape(side, side, 3), size, drawn)
        cases.append({"size": size, **drawn, "values": [round(float(v), 6) for v in out.flat]})
    print(json.dumps({"made_by": f"PyTorch {torch.__version__}", "cases": cases}))


if __name__ == "__main__":
    main()
