#!/usr/bin/python3
"""Writes resize.json: PIL's antialiased bilinear on small pictures, boxes with fractions included.

    /usr/bin/python3 tests/golden/resize.py > tests/golden/resize.json

tests/unit/engine/data/test_resize.c draws the same pictures (value(i) below) and compares."""
import json

import numpy as np
import PIL
from PIL import Image

CASES = [  # source size, box, target size
    ((7, 5), (0, 0, 7, 5), (4, 3)),
    ((5, 4), (0, 0, 5, 4), (9, 7)),
    ((40, 30), (0, 0, 40, 30), (8, 8)),
    ((3, 50), (0, 0, 3, 50), (6, 4)),
    ((16, 16), (1.5, 2.25, 13.5, 15), (5, 6)),
    ((12, 9), (0.5, 0, 12, 8.75), (11, 9)),
]


def value(i):
    return (i * i * 7 + i * 29 + 5) // 3 % 256


def picture(width, height):
    values = [value(i) for i in range(width * height * 3)]
    return Image.fromarray(np.array(values, np.uint8).reshape(height, width, 3))


def main():
    cases = []
    for source, box, target in CASES:
        out = picture(*source).resize(target, Image.BILINEAR, box=box)
        cases.append({"source": source, "box": box, "target": target,
                      "pixels": np.asarray(out).reshape(-1).tolist()})
    print(json.dumps({"made_by": f"Pillow {PIL.__version__}", "cases": cases}))


if __name__ == "__main__":
    main()
