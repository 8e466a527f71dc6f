#!/usr/bin/env python3
"""Makes weights/thaw-small.safetensors anew: draws pictures, trains on them, keeps the body.

    make pretrain          about 20 minutes on two busy cores, 500 MB in /tmp

The engine alone does it, as by hand: `thaw-engine synth` draws the set "forms", `ingest` packs it,
`train` learns it from random weights. Of the result this keeps the body, as 16-bit floats. What
comes out depends on the engine, the instruction set and the number of threads; it is as good
everywhere. Python's standard library only.
"""
import hashlib
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
ENGINE = pathlib.Path(os.environ.get("BUILD", ROOT / "build")) / "thaw-engine"
OUT = ROOT / "weights" / "thaw-small.safetensors"
DRAWN = ["--set", "forms", "--size", "80", "--per-class", "420", "--valid", "8", "--seed", "1"]
SPEC = {"model": "thaw-small", "weights": "random", "seed": 1, "threads": 2, "batch_size": 64,
        "image": {"size": 48}, "augment": {"min_scale": .4, "lighting": .2}, "label_smoothing": .1,
        "stages": [{"name": "all", "freeze_to": 0, "epochs": 6, "lr": 6e-3}]}
SIZE = 64  # what jobs that do not say otherwise might use; the network takes any
ALIGNMENT = 8


def engine(*arguments):
    """Runs a verb to its end; yields what it says."""
    with subprocess.Popen([ENGINE, *arguments], stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            yield json.loads(line)
    if process.returncode:
        sys.exit(f"thaw-engine {arguments[0]} failed ({process.returncode}).")


def train(folder):
    """Draws, packs and trains in `folder`; returns the trained model's path."""
    for _ in engine("synth", *DRAWN, "--out", folder / "forms.tar"):
        pass
    for _ in engine("ingest", "--upload", folder / "forms.tar", "--out", folder / "forms"):
        pass
    (folder / "spec.json").write_text(json.dumps(SPEC))
    for event in engine("train", "--spec", folder / "spec.json", "--pack", folder / "forms/pack",
                        "--index", folder / "forms/index", "--out", folder / "run"):
        if event["type"] == "epoch":
            print(f"epoch {event['epoch']}: loss {event['train_loss']:.3f}, validation accuracy "
                  f"{event['accuracy']:.3f}, {event['seconds']:.0f} s", flush=True)
    return folder / "run" / "final.safetensors"


def read(path):
    """(metadata, {name: (shape, bytes of 32-bit floats)}) of a safetensors file."""
    data = path.read_bytes()
    begin = 8 + struct.unpack_from("<Q", data)[0]
    header = json.loads(data[8:begin])
    metadata = header.pop("__metadata__")
    return metadata, {name: (tensor["shape"], data[begin + tensor["data_offsets"][0]:
                                                   begin + tensor["data_offsets"][1]])
                      for name, tensor in header.items()}


def halved(floats):
    """Rounded to the nearest 16-bit floats."""
    count = len(floats) // 4
    return struct.pack(f"<{count}e", *struct.unpack(f"<{count}f", floats))


def pack(trained):
    """The body alone, as a model file of a model without a head (engine/format/model_file.h)."""
    metadata, tensors = read(trained)
    kept = {key: metadata[key] for key in ("thaw_format", "architecture", "mean", "std")}
    lineage = {"origin": "bundled", "pretrained_on": "synth " + " ".join(DRAWN)}
    header = {"__metadata__": {**kept, "head": "none", "classes": "null", "image_size": str(SIZE),
                               "lineage": json.dumps(lineage)}}
    body, at = [], 0
    for name in sorted(name for name in tensors if not name.startswith("head.")):
        shape, floats = tensors[name]
        body.append(halved(floats))
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [at, at + len(body[-1])]}
        at += len(body[-1])
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    return struct.pack("<Q", len(text)) + text + b"".join(body)


def main():
    with tempfile.TemporaryDirectory(prefix="thaw-pretrain-") as folder:
        file = pack(train(pathlib.Path(folder)))
    OUT.write_bytes(file)
    print(f"{OUT}: {len(file)} bytes, sha256 {hashlib.sha256(file).hexdigest()}")


if __name__ == "__main__":
    main()
