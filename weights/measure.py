#!/usr/bin/env python3
"""What the bundled body is worth: a new head on it, frozen, beside the same on random weights.

    /usr/bin/python3 weights/measure.py [ARCHIVE [SEEDS]]

Validation accuracy after the last epoch. ARCHIVE has labelled pictures (docs/DATASETS.md); without,
it is the hymenoptera photos in `../shared/data` beside the checkout, or in `$THAW_SHARED/data`.
"""
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
ENGINE = pathlib.Path(os.environ.get("BUILD", ROOT / "build")) / "thaw-engine"
BODY = ROOT / "weights" / "thaw-small.safetensors"
PHOTOS = (pathlib.Path(os.environ.get("THAW_SHARED", ROOT.parent / "shared"))
          / "data/images/hymenoptera.zip")
SPEC = {"model": "thaw-small", "image": {"size": 128}, "batch_size": 16,
        "frozen_batchnorm": "eval", "feature_cache": {"views": 8},
        "stages": [{"name": "head", "freeze_to": -1, "epochs": 32, "min_steps": 150, "lr": 2e-3}]}


def engine(*arguments):
    """Runs a verb; returns what it said, or ends the program with it."""
    done = subprocess.run([ENGINE, *arguments], text=True, stdout=subprocess.PIPE)
    if done.returncode:
        sys.exit(f"thaw-engine {arguments[0]} failed: {done.stdout[-500:]}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def accuracy(folder, seed, random):
    out = folder / f"{seed}-{random}"
    out.mkdir()
    spec = {**SPEC, "seed": seed, **({"weights": "random"} if random else {})}
    (out / "spec.json").write_text(json.dumps(spec))
    weights = [] if random else ["--weights", BODY]
    events = engine("train", "--spec", out / "spec.json", "--pack", folder / "set/pack", "--index",
                    folder / "set/index", "--out", out / "run", *weights)
    return [event["accuracy"] for event in events if event["type"] == "epoch"][-1]


def main():
    archive = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else PHOTOS
    seeds = range(int(sys.argv[2]) if len(sys.argv) > 2 else 5)
    if not archive.exists():
        sys.exit(f"There are no pictures in {archive}.")
    with tempfile.TemporaryDirectory(prefix="thaw-measure-") as name:
        folder = pathlib.Path(name)
        engine("ingest", "--upload", archive, "--out", folder / "set")
        for title, random in ("bundled", False), ("random", True):
            values = [accuracy(folder, seed, random) for seed in seeds]
            print(f"{title:8} " + " ".join(f"{value:.3f}" for value in values) +
                  f"  mean {statistics.mean(values):.3f}", flush=True)


if __name__ == "__main__":
    main()
