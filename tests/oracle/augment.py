"""fastai's aug_transforms for given parameters, written with PyTorch's own grid_sample in float64:
what engine/data/{warp,lighting,erase}.c must equal. images.py asks for the comparison.

Each transform is a matrix or a coordinate function as in fastai's vision.augment (v2), put together
in its order: the affine matrices (flip, rotate, zoom) make a grid, the perspective moves it."""
import math

import numpy as np
import torch
from torch.nn import functional as F

MEAN = torch.tensor([.485, .456, .406], dtype=torch.float64).view(3, 1, 1)
STD = torch.tensor([.229, .224, .225], dtype=torch.float64).view(3, 1, 1)
NONE = {"presize": 0, "turn": 0, "angle": 0., "zoom": 1., "zoom_x": .5, "zoom_y": .5, "warp_x": 0.,
        "warp_y": 0., "brightness": .5, "contrast": 1., "hole_width": 0., "hole_height": 0.,
        "hole_x": 0., "hole_y": 0., "noise": 0}
KINDS = ("flip", "turn", "rotate", "zoom", "warp", "lighting", "erase", "presize", "full", "wild")
# A coordinate in float32 is right to 2e-5 of a pixel, where a step from black to white is 4.4, and
# lowering the contrast makes near black large what was small.
MOST, MEAN_MOST = {"wild": 4e-3}, 2e-5


def parameters(**drawn):
    return [{**NONE, **drawn}[name] for name in NONE]


def draw(kind, random):
    """One set of parameters; "full" is what aug_transforms draws, "wild" far beyond."""
    u = random.uniform
    drawn = {"flip": {"turn": 1}, "turn": {"turn": random.integers(0, 8)},
             "rotate": {"angle": u(-45, 45)},
             "zoom": {"zoom": u(1, 2), "zoom_x": u(0, 1), "zoom_y": u(0, 1)},
             "warp": {"warp_x": u(-.3, .3), "warp_y": u(-.3, .3)},
             "lighting": {"brightness": u(.4, .6), "contrast": math.exp(u(-.223, .223))},
             "erase": {"hole_width": u(0, .9), "hole_height": u(0, .9), "hole_x": u(0, 1),
                       "hole_y": u(0, 1), "noise": random.integers(1 << 50)},
             "presize": {"presize": random.integers(16, 600), "angle": u(-10, 10)}}
    full = {"turn": random.integers(0, 2), "angle": u(-10, 10), "zoom": u(1, 1.1),
            "zoom_x": u(0, 1), "zoom_y": u(0, 1), "warp_x": u(-.2, .2), "warp_y": u(-.2, .2),
            **drawn["lighting"]}
    wild = {**full, **drawn["turn"], **drawn["zoom"], **drawn["warp"], **drawn["presize"],
            "angle": u(-180, 180), "brightness": u(.1, .9), "contrast": math.exp(u(-1, 1))}
    return {**NONE, **{**drawn, "full": full, "wild": wild}[kind]}


def matrix(drawn):
    """flip @ rotate @ zoom"""
    k = drawn["turn"]
    x, y = [1, -1, 1, -1, -1, 1, 1, -1][k], [1, 1, -1, 1, -1, -1, 1, -1][k]
    upright = [1, 1, 1, 0, 1, 0, 0, 0][k]
    turn = [[x * upright, x * (1 - upright), 0], [y * (1 - upright), y * upright, 0], [0, 0, 1]]
    angle = drawn["angle"] * math.pi / 180
    rotate = [[math.cos(angle), math.sin(angle), 0], [-math.sin(angle), math.cos(angle), 0],
              [0, 0, 1]]
    s = 1 / drawn["zoom"]
    zoom = [[s, 0, (1 - s) * (2 * drawn["zoom_x"] - 1)],
            [0, s, (1 - s) * (2 * drawn["zoom_y"] - 1)], [0, 0, 1]]
    turn, rotate, zoom = (torch.tensor(m, dtype=torch.float64) for m in (turn, rotate, zoom))
    return turn @ rotate @ zoom


def perspective(coordinates, x, y):
    """The eight equations that take the moved corners back to where they were."""
    corners = [(-1, -1), (-1, 1), (1, -1), (1, 1)]
    moved = [(-1 - y, -1 - x), (-1 + y, 1 + x), (1 + y, -1 + x), (1 - y, 1 - x)]
    rows, wanted = [], []
    for (px, py), (qx, qy) in zip(corners, moved):
        rows.append([qx, qy, 1, 0, 0, 0, -px * qx, -px * qy])
        rows.append([0, 0, 0, qx, qy, 1, -py * qx, -py * qy])
        wanted += [px, py]
    solved = torch.linalg.solve(torch.tensor(rows, dtype=torch.float64),
                                torch.tensor(wanted, dtype=torch.float64))
    m = torch.cat([solved, torch.ones(1, dtype=torch.float64)]).view(3, 3)
    moved = coordinates @ m[:, :2].T + m[:, 2]
    return moved[..., :2] / moved[..., 2:]


def light(values, drawn):
    if drawn["brightness"] == .5 and drawn["contrast"] == 1:
        return values
    logit = torch.logit(values.clamp(1e-7, 1 - 1e-7))
    b = min(max(drawn["brightness"], 1e-7), 1 - 1e-7)
    return torch.sigmoid((logit + math.log(b / (1 - b))) * drawn["contrast"])


def reference(square, size, drawn):
    """A PIL picture, already cropped and presized -> (size, size, 3), normalised."""
    values = torch.from_numpy(np.array(square)).permute(2, 0, 1).double()[None] / 255
    grid = F.affine_grid(matrix(drawn)[None, :2], (1, 3, size, size), align_corners=True)
    grid = perspective(grid, drawn["warp_x"], drawn["warp_y"])
    values = F.grid_sample(values, grid, mode="bilinear", padding_mode="reflection",
                           align_corners=True)[0]
    return ((light(values, drawn) - MEAN) / STD).permute(1, 2, 0).numpy()


def hole(size, drawn):
    """fastai's RandomErasing: rows and columns that hold noise."""
    def cut(length, place):
        bound = round(length * size)
        at = min(int(place * (max(size - bound, 0) + 1)), max(size - bound, 0))
        return slice(at, at + bound)
    return cut(drawn["hole_height"], drawn["hole_y"]), cut(drawn["hole_width"], drawn["hole_x"])


def difference(got, want, size, kind, drawn):
    """What is wrong, or nothing."""
    outside = np.ones((size, size), bool)
    if drawn["hole_width"]:
        rows, columns = hole(size, drawn)
        outside[rows, columns] = False
        noise = got[rows, columns].ravel()
        spread = 5 / math.sqrt(max(noise.size, 1))
        if noise.size > 30 and (abs(noise.mean()) > spread or abs(noise.var() - 1) > 2 * spread):
            return f"noise of mean {noise.mean()} and variance {noise.var()}"
    errors = np.abs(got - want)[outside]
    if not np.isfinite(got).all():
        return "not finite"
    if errors.size and (errors.max() > MOST.get(kind, 1e-3) or errors.mean() > MEAN_MOST):
        return f"worst {errors.max():.2e}, mean {errors.mean():.2e}"
    return ""
