"""What `thaw-engine plan` says a run will take is what it takes."""
import json
import subprocess
import time

import pytest

from conftest import ENGINE, SANITIZED

pytestmark = [
    pytest.mark.skipif(not ENGINE.exists(), reason="thaw-engine was not built"),
    pytest.mark.skipif(SANITIZED, reason="sanitizers take memory of their own")]

HEAD = {"freeze_to": -1, "epochs": 1, "lr": 1e-3}
ALL = {"freeze_to": 0, "epochs": 1, "lr": 1e-3}
CACHE = {"frozen_batchnorm": "eval", "feature_cache": {}}
CASES = {
    "resnet34, all layers": ("resnet34", 128, [ALL], {}),
    "resnet34, frozen, norms train": ("resnet34", 128, [HEAD], {}),
    "resnet34, cached": ("resnet34", 128, [HEAD], CACHE),
    "squeezenet1_1, all layers": ("squeezenet1_1", 224, [ALL], {}),
    "squeezenet1_1, cached, then all": ("squeezenet1_1", 224, [HEAD, ALL], CACHE),
    "squeezenet1_1, accumulated": ("squeezenet1_1", 224, [ALL], {"accumulate": 32}),
}


@pytest.fixture(scope="module")
def pack(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    subprocess.run([ENGINE, "synth", "--out", folder / "drawn.zip", "--classes", "2",
                    "--per-class", "24", "--valid", "8", "--size", "384", "--format", "jpeg",
                    "--seed", "1"],
                   check=True, stdout=subprocess.DEVNULL)
    subprocess.run([ENGINE, "ingest", "--upload", folder / "drawn.zip", "--out", folder],
                   check=True, stdout=subprocess.DEVNULL)
    return folder


def arguments(pack, folder, spec):
    (folder / "spec.json").write_text(json.dumps(spec))
    return ["--spec", folder / "spec.json", "--pack", pack / "pack", "--index", pack / "index",
            "--threads", "2"]


def plan(pack, folder, spec, *more):
    done = subprocess.run([ENGINE, "plan", *arguments(pack, folder, spec), "--out",
                           folder / "plan", *more], text=True, capture_output=True, check=False)
    if done.returncode:
        return None, done.stderr
    return json.loads((folder / "plan/result.json").read_text()), done.stderr


def resident(process):
    """Anonymous memory that a process has now; 0 when it is gone."""
    try:
        for line in open(f"/proc/{process.pid}/status", encoding="ascii"):
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def peak_of_run(pack, folder, spec):
    command = [ENGINE, "train", *arguments(pack, folder, spec), "--out", folder / "run"]
    with open(folder / "log", "w+b") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        peak = 0
        while process.poll() is None:
            peak = max(peak, resident(process))
            time.sleep(.005)
    assert process.returncode == 0, (folder / "log").read_text()
    return peak


def spec_of(name, **more):
    model, size, stages, rest = CASES[name]
    return {"model": model, "weights": "random", "preset": "fine_tune", "batch_size": 16,
            "image": {"size": size}, "stages": stages, **rest, **more}


@pytest.mark.parametrize("name", CASES)
def test_the_peak_is_within_a_tenth_of_what_was_said(pack, tmp_path, name):
    spec = spec_of(name)
    said = plan(pack, tmp_path, spec)[0]["estimate"]["peak_memory_bytes"]
    taken = peak_of_run(pack, tmp_path, spec)
    assert .9 <= said / taken <= 1.1, f"{said / 2**20:.0f} MiB were said, {taken / 2**20:.0f} taken"


def test_a_batch_that_does_not_fit_is_refused_with_one_that_does(pack, tmp_path):
    spec = spec_of("squeezenet1_1, all layers")
    whole = plan(pack, tmp_path, spec)[0]["estimate"]["peak_memory_bytes"]
    none, sentence = plan(pack, tmp_path, spec, f"--memory-limit={whole - 1}")
    assert none is None and "a batch_size of 8 would fit" in sentence, sentence
    fits = plan(pack, tmp_path, {**spec, "batch_size": 8}, f"--memory-limit={whole - 1}")[0]
    assert fits["estimate"]["batch_size"] == 8
    none, sentence = plan(pack, tmp_path, spec, "--memory-limit=1000000")
    assert none is None and "smaller network" in sentence, sentence


def test_an_automatic_batch_is_lowered_to_what_fits(pack, tmp_path):
    """48 pictures are too few for more than 8, so only the limit's sentence is left to see."""
    spec = {**spec_of("squeezenet1_1, all layers"), "batch_size": "auto"}
    estimate = plan(pack, tmp_path, spec)[0]["estimate"]
    assert estimate["batch_size"] == 8
    none, sentence = plan(pack, tmp_path, spec,
                          f"--memory-limit={estimate['peak_memory_bytes'] - 1}")
    assert none is None and "a batch_size of 4 would fit" in sentence, sentence
