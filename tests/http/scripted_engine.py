#!/usr/bin/python3
"""A stand-in for thaw-engine: speaks the wire (api/spec/wire.h), does what its input says.

An uploaded dataset or weights file is a JSON script; a training job has its script in
metadata.script. So tests of the server need no images, no network and no time. Scripts:
  ingest   {"classes": [...], "items": N, "delay": S, "error": {...}}      anything else: no archive
  import   {"architecture": A, "delay": S, "error": {...}}                 anything else: no weights
  train    {"steps": N, "delay": S a step, "error": {"at": step, ...}, "die": step,
            "artifacts": names of SAMPLES, or {name: content}}; "then": "pause" is obeyed
  plan     the same script: {"plan": {"peak": bytes a batch item, "error": {...}, "die": true}}
  predict  the picture's bytes: "bad..." is refused, else the label is their first 20 bytes, and
           " in views" where tta is asked for"""
import hashlib
import json
import os
import select
import socket
import struct
import sys
import time

VERSION = "scripted"

REPORT = {
    "n": 4, "classes": ["ants", "bees"], "accuracy": .75, "confusion_matrix": [[2, 0], [1, 1]],
    "most_confused": [{"actual": "bees", "predicted": "ants", "count": 1}],
    "top_losses": [{"item": i, "path": f"{i}.jpg", "loss": 1 / (1 + i)} for i in range(20)]}
SAMPLES = {
    "report.json": REPORT,
    "predictions.csv": "path,label,predicted\na.jpg,ants,ants\n",
    "predictions.ndjson": '{"path":"a.jpg"}\n',
    "lr_find.json": {"learning_rates": [1e-7, 1e-3], "losses": [1, .5]},
}


class Stop(Exception):
    """The server is gone, or told us to stop."""


class Wire:
    def __init__(self):
        self.socket = socket.socket(fileno=3)

    def exactly(self, n):
        data = b""
        while len(data) < n:
            piece = self.socket.recv(n - len(data))
            if not piece:
                raise Stop("eof")
            data += piece
        return data

    def read(self):
        header, payload = struct.unpack("<II", self.exactly(8))
        return json.loads(self.exactly(header)), self.exactly(payload)

    def send(self, kind, **fields):
        header = json.dumps({"type": kind, **fields}).encode()
        self.socket.sendall(struct.pack("<II", len(header), 0) + header)

    def pending(self, seconds=0):
        """The type of a frame that has come, or None."""
        if not select.select([self.socket], [], [], seconds)[0]:
            return None
        return self.read()[0]["type"]

    def started(self, threads=1):
        self.send("started", threads=threads, isa="none", version=VERSION, plan_sha256=None)

    def error(self, status="invalid", detail="The script says so.", code="scripted", hint=""):
        self.send("error", status=status, detail=detail, code=code, hint=hint, pointer="")


def write(folder, name, content):
    part = os.path.join(folder, name + ".part")
    with open(part, "wb") as file:
        file.write(content)
    os.rename(part, os.path.join(folder, name))


def script_of(path):
    with open(path, "rb") as file:
        try:
            script = json.loads(file.read(1 << 20))
        except ValueError:
            return None
    return script if isinstance(script, dict) else None


def ingest(wire, document):
    script = script_of(document["upload"])
    if script is None:
        return wire.error(detail="The upload is no archive.", code="not_an_archive")
    wire.started()
    items = script.get("items", 8)
    for done in range(3):
        wire.send("progress", done=done, total=3)
        time.sleep(script.get("delay", 0) / 3)
    if "error" in script:
        return wire.error(**script["error"])
    classes = script.get("classes", ["ants", "bees"])
    result = {"kind": "image", "items": items,
              "classes": [{"name": name, "items": items // len(classes)} for name in classes],
              "splits": {"train": items, "valid": 0, "test": 0, "unlabelled": 0},
              "rejected": {"count": 0, "items": []}, "warnings": []}
    write(document["out"], "pack", b"pack " + os.urandom(16))
    write(document["out"], "index", b"index " + os.urandom(16))
    write(document["out"], "result.json", json.dumps(result).encode())
    wire.send("result")


def import_(wire, document):
    script = script_of(document["source"])
    if script is None:
        return wire.error(detail="The file holds no weights.", code="not_weights")
    wire.started()
    time.sleep(script.get("delay", 0))
    if "error" in script:
        return wire.error(**script["error"])
    content = b"weights " + json.dumps(script).encode()
    named = document.get("architecture") or script.get("architecture", "resnet18")
    classes = None
    if document.get("classes_file"):
        with open(document["classes_file"]) as file:
            classes = file.read().splitlines()
    result = {"architecture": named, "parameters": 12, "classes": classes,
              "groups": [{"name": "body", "parameters": 10}, {"name": "head", "parameters": 2}],
              "weights_sha256": hashlib.sha256(content).hexdigest()}
    write(document["out"], "weights.safetensors", content)
    write(document["out"], "result.json", json.dumps(result).encode())
    wire.send("result")


def outline(spec, script, batch):
    """What `plan` and schedule.json say of each stage."""
    steps = script.get("steps", 3)
    stages = []
    for stage in spec["stages"]:
        total = steps * stage["epochs"]
        frozen = stage["freeze_to"] != 0
        stages.append({
            "name": stage["name"], "epochs": stage["epochs"], "steps": total,
            "steps_per_epoch": steps, "batch_size": batch, "size": 64, "n_train": steps * batch,
            "n_valid": 4,
            "groups": [{"name": "body", "frozen": frozen, "parameters": 10,
                        "trainable_parameters": 0 if frozen else 10},
                       {"name": "head", "frozen": False, "parameters": 2,
                        "trainable_parameters": 2}],
            "step": list(range(total)), "learning_rates": [[0, 1e-3]] * total,
            "momentum": [.9] * total})
    return stages


def plan(wire, document):
    spec = document["spec"]
    script = json.loads((spec.get("metadata") or {}).get("script", "{}"))
    told = script.get("plan", {})
    if "die" in told:
        os._exit(7)
    wire.started()
    if "error" in told:
        return wire.error(**told["error"])
    automatic = spec.get("batch_size", "auto") == "auto"
    batch = 64 if automatic else spec["batch_size"]
    peak, limit = told.get("peak", 1 << 20), document.get("memory_limit", 1 << 60)
    while batch > 1 and automatic and batch * peak > limit:
        batch //= 2
    if batch * peak > limit:
        return wire.send("error", status="no_space", pointer="/batch_size", detail="The run does "
                         f"not fit: a batch_size of {limit // peak} would fit.")
    stages = outline(spec, script, batch)
    result = {"stages": stages, "estimate": {
        "peak_memory_bytes": batch * peak, "flops_per_step": [1e6 * batch] * len(stages),
        "steps": [stage["steps"] for stage in stages], "batch_size": batch}}
    write(document["out"], "result.json", json.dumps(result).encode())
    wire.send("result")


def export(wire, document):
    """Weights whose script has "export_error" are refused; those with "export_delay" take long."""
    with open(document["weights"], "rb") as file:
        script = json.loads(file.read().removeprefix(b"weights "))
    script = script if isinstance(script, dict) else {"checkpoint": script}
    wire.started()
    time.sleep(script.get("export_delay", 0))
    if "export_error" in script:
        return wire.error(**script["export_error"])
    name = {"onnx": "model.onnx", "bundle": "bundle.zip"}[document["format"]]
    write(document["out"], name, f"{document['format']} {os.getpid()} of {script}".encode())
    write(document["out"], "result.json", json.dumps({"file": name}).encode())
    wire.send("result")


def scores(done):
    return {"train_loss": 1 / (1 + done), "valid_loss": 1.1 / (1 + done),
            "accuracy": 1 - .5 / (1 + done), "error_rate": .5 / (1 + done)}


class Training:
    def __init__(self, wire, document):
        self.wire, self.out = wire, document["out"]
        self.spec, self.threads = document["spec"], document["threads"]
        assert self.spec.get("stages") != [], "no spec has that"
        self.script = json.loads(self.spec["metadata"].get("script", "{}"))
        self.steps = self.script.get("steps", 3)
        self.position = self.resume()
        self.done = 0

    def resume(self):
        try:
            with open(os.path.join(self.out, "resume-a.safetensors")) as file:
                return json.load(file)
        except OSError:
            return [0, 0, 0]

    def checkpoint(self, slot, place):
        write(self.out, slot + ".safetensors", json.dumps(place).encode())
        self.wire.send("checkpoint", slot=slot, stage_index=place[0], epoch=place[1],
                       step=place[2], **scores(self.done))

    def obey(self, place):
        asked = self.wire.pending(self.script.get("delay", 0))
        if asked == "cancel":
            self.wire.error("cancelled", "The job was told to stop.", "cancelled")
            raise Stop
        if asked in ("pause", "checkpoint"):
            self.checkpoint("resume-a", place)
        if asked == "pause":
            self.wire.send("paused")
            raise Stop

    def step(self, index, epoch, step, total):
        self.obey([index, epoch, step])
        if self.done == self.script.get("die"):
            os._exit(7)
        if self.done == self.script.get("error", {}).get("at"):
            self.wire.error(**{k: v for k, v in self.script["error"].items() if k != "at"})
            raise Stop
        self.done += 1
        self.wire.send("step", stage_index=index, epoch=epoch, step=epoch * self.steps + step + 1,
                       steps=total, train_loss=1 / self.done, learning_rates=[1e-3, 1e-2],
                       momentum=.9, examples_per_second=100.0, eta_seconds=1.0,
                       peak_memory_bytes=1 << 20)

    def stage(self, index, stage):
        epochs = stage["epochs"]
        total = epochs * self.steps
        self.wire.send("stage", stage=stage["name"], stage_index=index,
                       stages=len(self.spec["stages"]), epochs=epochs, steps=total, batch_size=8,
                       groups=2, frozen_groups=0 if stage["freeze_to"] == 0 else 1,
                       trainable_parameters=12, size=64, n_valid=4)
        for epoch in range(epochs):
            for step in range(self.steps):
                if [index, epoch, step] >= self.position:
                    self.step(index, epoch, step, total)
                else:
                    self.done += 1
            if [index, epoch, self.steps] > self.position:
                self.wire.send("epoch", stage_index=index, epoch=epoch, **scores(self.done),
                               seconds=0.5)
                self.checkpoint("resume-a", [index, epoch + 1, 0])
        self.checkpoint(f"stage-{index + 1}", [index, epochs - 1, total])
        if stage.get("then") == "pause" and [index + 1, 0, 0] > self.position:
            self.checkpoint("resume-a", [index + 1, 0, 0])
            self.wire.send("paused", by_recipe=True)
            raise Stop

    def artifact(self, name, content):
        text = content if isinstance(content, str) else json.dumps(content)
        write(self.out, name, text.encode())
        self.wire.send("artifact", name=name)

    def run(self):
        self.wire.started(self.threads)
        if self.spec.get("task") in ("lr_find", "evaluate", "predict"):
            self.artifacts()
            return self.wire.send("result")
        for index, stage in enumerate(self.spec["stages"]):
            self.stage(index, stage)
        self.artifacts()
        self.checkpoint("best", [0, 0, 0])
        self.checkpoint("final", [index, stage["epochs"] - 1, self.steps])
        digest = hashlib.sha256(json.dumps(self.spec["seed"]).encode()).hexdigest()
        self.wire.send("result", weights_sha256=self.script.get("digest", digest),
                       **scores(self.done))

    def artifacts(self):
        asked = self.script.get("artifacts", [])
        for name in asked:
            self.artifact(name, asked[name] if isinstance(asked, dict) else SAMPLES[name])


def predict(wire, document):
    wire.started()
    while True:
        header, image = wire.read()
        if header["type"] != "predict":
            continue
        if image.startswith(b"bad"):
            wire.send("prediction", id=header["id"], status="invalid", code="bad_image",
                      detail="The picture is damaged.")
            continue
        label = image[:20].decode("latin-1")
        label += " in views" if header["tta"] else ""
        guesses = [{"label": label, "probability": .75}, {"label": "other", "probability": .25}]
        wire.send("prediction", id=header["id"], predictions=guesses[:header["top_k"]])


def main():
    if sys.argv[1:] == ["version"]:
        print(json.dumps({"version": VERSION, "isa": "none"}))
        return
    wire = Wire()
    verbs = {"ingest": ingest, "import": import_, "plan": plan, "export": export,
             "predict": predict,
             "train": lambda w, d: Training(w, d).run()}
    try:
        document, _ = wire.read()
        verbs[sys.argv[1]](wire, document)
    except (Stop, OSError):
        pass


if __name__ == "__main__":
    main()
