"""Text jobs by thaw-engine's verbs, for the comparisons in this folder."""
import csv
import json
import os
import pathlib
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("THAW_BUILD", ROOT / "build"))
SHARED = pathlib.Path(os.environ.get("THAW_SHARED", ROOT.parent / "shared")) / "data/text"
ENGINE = BUILD / "thaw-engine"


class Run:
    """A finished job: its folder, its events, its last epoch of each phase."""

    def __init__(self, folder, lines, seconds):
        self.folder, self.seconds = pathlib.Path(folder), seconds
        self.events = [json.loads(line) for line in lines if line.startswith("{")]

    def last(self, kind):
        found = [event for event in self.events if event["type"] == kind]
        assert found, self.events[-3:]
        return found[-1]

    def epochs(self):
        return [event for event in self.events if event["type"] == "epoch"]

    def report(self):
        return json.loads((self.folder / "report.json").read_text())


def ingest(rows, folder):
    """rows: dictionaries with text and perhaps label and split; one document each, in order."""
    folder = pathlib.Path(folder)
    table = folder / "rows.csv"
    with open(table, "w", newline="", encoding="utf-8") as file:
        names = [name for name in ("text", "label", "split") if name in rows[0]]
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
    ran = subprocess.run([ENGINE, "ingest", "--upload", table, "--out", folder / "data"],
                         capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout[-500:]
    return folder / "data"


def train(data, spec, weights=None, threads=None):
    """Runs a job to its end."""
    folder = tempfile.mkdtemp(prefix="thaw-accuracy-")
    path = pathlib.Path(folder) / "spec.json"
    path.write_text(json.dumps({"dataset": "ds_local", "model": "local" if weights else None,
                                **spec}))
    command = [ENGINE, "train", "--spec", path, "--pack", data / "pack", "--index",
               data / "index", "--out", folder + "/out"]
    command += ["--weights", weights] if weights else []
    command += ["--threads", str(threads)] if threads else []
    began = time.monotonic()
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout[-800:]
    return Run(folder + "/out", ran.stdout.splitlines(), time.monotonic() - began)
