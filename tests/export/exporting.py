"""What the tests here share: thaw-engine by hand, and models that it has trained."""
import json
import os
import pathlib
import subprocess
import sys

import numpy
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/oracle"))
import safetensors  # noqa: E402

ENGINE = pathlib.Path(os.environ.get("THAW_BUILD", ROOT / "build")) / "thaw-engine"
SHARED = pathlib.Path(os.environ.get("THAW_SHARED", ROOT.parent / "shared")) / "data"
SIZE = 100  # at 100 px squeezenet's pooling windows reach beyond the picture: ceil_mode counts


def shared(name):
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{path} is not there")
    return path


def run(verb, *arguments):
    command = [str(part) for part in (ENGINE, verb, *arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=280)


def done(verb, *arguments):
    """The lines it prints, parsed."""
    ended = run(verb, *arguments)
    assert ended.returncode == 0, ended.stderr
    return [json.loads(line) for line in ended.stdout.splitlines()]


def draw(folder):
    """A pack of drawn pictures, for training, and some as files that need no resizing."""
    done("synth", "--out", folder / "drawn.zip", "--classes", 3, "--per-class", 12, "--size", 64)
    done("ingest", "--upload", folder / "drawn.zip", "--out", folder / "drawn")
    done("synth", "--out", folder / "pictures", "--classes", 3, "--per-class", 2, "--valid", 1,
         "--size", round(1.143 * SIZE), "--format", "png")
    return sorted((folder / "pictures").glob("**/*.png"))


def train(folder, model, preset):
    """A network that started from random numbers and has seen a few pictures: its batch norm has
    statistics of its own, and its head is new."""
    out = folder / f"{model}-{preset}"
    spec = {"model": model, "weights": "random", "preset": preset, "epochs": 1, "batch_size": 16,
            "image": {"size": SIZE}}
    (folder / "spec.json").write_text(json.dumps(spec))
    done("train", "--spec", folder / "spec.json", "--pack", folder / "drawn/pack", "--index",
         folder / "drawn/index", "--out", out)
    soften(out / "final.safetensors")
    return out / "final.safetensors"


def soften(path):
    """Smaller logits: certainties would hide differences."""
    tensors, metadata = safetensors.load(path)
    tensors["head.8.weight"] = tensors["head.8.weight"] * numpy.float32(.05)
    safetensors.save(path, tensors, metadata)


def probabilities(weights, pictures):
    """Ours, by label, of each picture."""
    images = [part for picture in pictures for part in ("--image", picture)]
    answers = done("predict", "--weights", weights, "--top-k", 1000, *images)
    return [{p["label"]: p["probability"] for p in answer["predictions"]} for answer in answers]
