#!/usr/bin/python3
"""What the feature cache saves: the same frozen stage with it and without it.

    /usr/bin/python3 tests/bench/cache.py [--models squeezenet1_1,resnet18] [--epochs 10]

Each row runs `thaw-engine train` twice on hymenoptera at 224 px, batch 32, without augmentation,
batch norm of the frozen layers in eval: once with "feature_cache": {"views": 1}, filling included,
once without. It ends with 1 when the cached stage is not at least --require times faster, or when
both runs do not end with the same weights. squeezenet1_1 starts from the shared ImageNet weights,
other networks from random ones.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

from live import BUILD, SHARED

WEIGHTS = {"squeezenet1_1": SHARED / "weights" / "squeezenet1_1-imagenet.pth"}
PHOTOS = SHARED / "images" / "hymenoptera.zip"


def parse():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", default=os.path.join(BUILD, "thaw-engine"))
    parser.add_argument("--models", default="squeezenet1_1,resnet18")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--require", type=float, default=5., help="least ratio of a row")
    return parser.parse_args()


def spec_of(options, model, cached):
    stage = {"name": "head", "freeze_to": -1, "epochs": options.epochs,
             "lr": {"slice": [None, 2e-3]},
             "schedule": {"name": "one_cycle", "form": "v2", "pct_start": .3, "div": 25,
                          "div_final": 1e5}}
    spec = {"dataset": "ds", "model": model, "image": {"size": 224}, "batch_size": 32, "seed": 1,
            "frozen_batchnorm": "eval", "augment": "none", "valid_fraction": .2,
            "feature_cache": {"views": 1} if cached else None,
            "optimizer": {"name": "adamw", "form": "v2"}, "stages": [stage]}
    if model not in WEIGHTS:
        spec["weights"] = "random"
    return spec


class Engine:
    """Runs verbs by hand, in a folder that goes away."""

    def __init__(self, options, folder):
        self.options, self.folder = options, pathlib.Path(folder)

    def run(self, verb, *arguments):
        """The headers that the verb told, one JSON object a line."""
        done = subprocess.run([self.options.engine, verb, *map(str, arguments)], text=True,
                              stdout=subprocess.PIPE, check=False)
        if done.returncode != 0:
            sys.exit(f"{verb} ended with {done.returncode}: {done.stdout[-2000:]}")
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]

    def make(self, name, verb, *arguments):
        out = self.folder / name
        out.mkdir()
        self.run(verb, *arguments, "--out", out)
        return out

    def train(self, data, model, weights, cached):
        """Seconds that the epochs and the filling took, and the final weights' digest."""
        name = f"{model}-{'cached' if cached else 'plain'}"
        spec = self.folder / f"{name}.json"
        spec.write_text(json.dumps(spec_of(self.options, model, cached)))
        out = self.folder / name
        out.mkdir()
        command = ["--spec", spec, "--pack", data / "pack", "--index", data / "index", "--out", out,
                   "--threads", self.options.threads]
        if weights:
            command += ["--weights", weights]
        began = os.times().elapsed
        headers = self.run("train", *command)
        seconds = os.times().elapsed - began
        result = next(header for header in headers if header.get("type") == "result")
        return seconds, result


def compare(engine, data, model):
    """One row; true when it is as it should be."""
    weights = None
    if model in WEIGHTS:
        source = ("--source", WEIGHTS[model])
        weights = engine.make(f"{model}-weights", "import", *source) / "weights.safetensors"
    plain_seconds, plain = engine.train(data, model, weights, cached=False)
    cached_seconds, cached = engine.train(data, model, weights, cached=True)
    ratio = plain_seconds / cached_seconds
    same = plain["weights_sha256"] == cached["weights_sha256"]
    good = same and ratio >= engine.options.require
    print(f"{model:15}{plain_seconds:9.1f}{cached_seconds:9.1f}{ratio:8.1f}  "
          f"{'the same' if same else 'NOT the same':14}{cached['accuracy']:.3f}"
          f"{'' if good else '  FAILED'}", flush=True)
    return good


def main():
    options = parse()
    if not PHOTOS.exists():
        print(f"skipped: {PHOTOS} is not there")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        engine = Engine(options, folder)
        data = engine.make("data", "ingest", "--upload", PHOTOS)
        print(f"Seconds of {options.epochs} frozen epochs, hymenoptera, 224 px, batch 32, "
              f"{options.threads} threads, whole runs")
        print(f"{'model':15}{'uncached':>9}{'cached':>9}{'ratio':>8}  {'weights':14}accuracy")
        rows = [compare(engine, data, model) for model in options.models.split(",")]
    return 0 if all(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
