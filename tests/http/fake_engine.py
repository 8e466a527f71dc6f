#!/usr/bin/python3
"""The scripted engine with troubles: it crashes, hangs, lies and breaks the protocol when told to.

A script may hold "trouble": {"kind": K, "at": N, "times": T, ...}; N counts the steps of a training
run (from 0), T how often it happens in the job's life (default: always). "each": T instead of both
makes it happen T times at every step. Kinds:
  signal   dies by "number"                       hang     says and hears nothing more
  exit     ends with "code"                       deaf     goes on, but ignores what it is told
  close    closes its socket and lives on         frames   sends "frames", as they are
  flood    sends "count" messages at once         noise    writes "bytes" to stderr
  link     leaves final.safetensors as a link     quiet    ends well without a result
  memory   takes "bytes" of memory
Ingest scripts may hold "members": {"ordinal": kind}, a trouble at each of them; what thawd skips is
left out. A predicted image that begins with "die" kills the engine."""
import errno
import json
import os
import signal
import struct
import sys
import time

import scripted_engine
from scripted_engine import Stop, Training, Wire, plan, predict, script_of


def frame(header, payload=b"", header_len=None, payload_len=None):
    data = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<II", len(data) if header_len is None else header_len,
                       len(payload) if payload_len is None else payload_len) + data + payload


# Each breaks the protocol in another way; a test goes through all of them by name.
BAD_FRAMES = {
    "not_json": frame(b"{"),
    "no_object": frame(b"[1]"),
    "unknown_type": frame({"type": "promote"}),
    "unknown_field": frame({"type": "log", "detail": "x", "path": "/etc/passwd"}),
    "wrong_kind": frame({"type": "log", "detail": 7}),
    "nan": frame(b'{"type":"log","detail":"x","detail":NaN}'),
    "overflow": frame(b'{"type":"epoch","stage_index":0,"epoch":0,"train_loss":1e999,'
                      b'"valid_loss":1,"accuracy":1,"error_rate":0,"seconds":1}'),
    "out_of_range": frame({"type": "checkpoint", "slot": "best", "stage_index": 64, "epoch": 0,
                           "step": 0, "train_loss": 1, "valid_loss": 1, "accuracy": 1,
                           "error_rate": 0}),
    "slot_is_a_path": frame({"type": "checkpoint", "slot": "../../thaw", "stage_index": 0,
                             "epoch": 0, "step": 0, "train_loss": 1, "valid_loss": 1,
                             "accuracy": 1, "error_rate": 0}),
    "long_text": frame({"type": "log", "detail": "x" * 5000}),
    "huge_header": frame(b"", header_len=1 << 30),
    "header_too_long": frame({"type": "log", "detail": "x" * 70000}),
    "payload": frame({"type": "log", "detail": "x"}, b"abc"),
    "huge_payload": frame({"type": "log", "detail": "x"}, payload_len=0xFFFFFFFF),
    "bad_utf8": frame(b'{"type":"log","detail":"\xff\xfe"}'),
    "deep": frame(b'{"type":' + b"[" * 1000 + b"]" * 1000 + b"}"),
    "of_another_verb": frame({"type": "item", "ordinal": 1}),
    "started_twice": frame({"type": "started", "threads": 1, "isa": "x", "version": "x",
                            "plan_sha256": None}),
    "paused_unasked": frame({"type": "paused"}),
}


def happens(trouble, folder, place):
    """Counts in the job's folder, so that it is known after a restart."""
    if "each" in trouble:
        return count(folder, f"at-{place}") < trouble["each"]
    return trouble.get("at") == place and (
        "times" not in trouble or count(folder, "times") < trouble["times"])


def count(folder, name):
    """How often it was asked before."""
    path = os.path.join(folder, name)
    before = int(open(path).read()) if os.path.exists(path) else 0
    with open(path, "w") as file:
        file.write(str(before + 1))
    return before


def make_trouble(wire, trouble):
    kind = trouble["kind"]
    if kind == "signal":
        signal.signal(trouble["number"], signal.SIG_DFL) if trouble["number"] != 9 else None
        os.kill(os.getpid(), trouble["number"])
    elif kind == "exit":
        os._exit(trouble.get("code", 1))
    elif kind == "memory":
        held = bytearray(trouble["bytes"])
        held[::4096] = b"x" * len(held[::4096])
    elif kind == "hang":
        while True:
            time.sleep(60)
    elif kind == "close":
        wire.socket.close()
        while True:
            time.sleep(60)
    elif kind == "frames":
        wire.socket.sendall(BAD_FRAMES[trouble["name"]])
        time.sleep(30)
    elif kind == "flood":
        for i in range(trouble["count"]):
            wire.send("log", detail=f"line {i}")
    elif kind == "noise":
        os.write(2, b"engine noise \x1b[31m\n" * (trouble["bytes"] // 19))
    elif kind == "quiet":
        os._exit(0)


class Troubled(Training):
    def __init__(self, wire, document):
        super().__init__(wire, document)
        self.trouble = self.script.get("trouble", {})

    def troubled_by(self, kind):
        return self.trouble.get("kind") == kind

    def obey(self, place):
        if self.troubled_by("deaf"):
            time.sleep(self.script.get("delay", 0))
        else:
            super().obey(place)

    def step(self, index, epoch, step, total):
        if happens(self.trouble, self.out, self.done):
            make_trouble(self.wire, self.trouble)
        super().step(index, epoch, step, total)

    def checkpoint(self, slot, place):
        try:
            super().checkpoint(slot, place)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                self.wire.error("no_space", "The checkpoint cannot be written.", "")
            raise Stop from error
        if slot == "final" and self.troubled_by("link"):
            path = os.path.join(self.out, "final.safetensors")
            os.unlink(path)
            make = os.symlink if self.trouble["link"] == "symbolic" else os.link
            make(self.trouble["target"], path)


def ingest(wire, document):
    script = script_of(document["upload"]) or {}
    members = script.get("members", {})
    skipped = [int(ordinal) for ordinal in members if int(ordinal) in document["skip"]]
    wire.started()
    for ordinal in range(script.get("items", 8)):
        if ordinal in skipped:
            continue
        wire.send("item", ordinal=ordinal)
        if str(ordinal) in members:
            make_trouble(wire, members[str(ordinal)])
        time.sleep(script.get("pace", 0))
    wire.send("progress", done=1, total=1)
    if "trouble" in script:
        make_trouble(wire, script["trouble"])
    items = script.get("items", 8) - len(skipped)
    result = {"kind": "image", "items": items,
              "classes": [{"name": "ants", "items": items}, {"name": "bees", "items": 0}],
              "splits": {"train": items, "valid": 0, "test": 0, "unlabelled": 0},
              "rejected": {"count": len(skipped),
                           "items": [{"path": f"member {n}", "reason": "It crashed."}
                                     for n in skipped]},
              "warnings": [],
              "secret": "what no table names stays behind"}
    result.update(script.get("result", {}))
    for name in ("pack", "index"):
        scripted_engine.write(document["out"], name, os.urandom(16))
    scripted_engine.write(document["out"], "result.json", json.dumps(result).encode())
    wire.send("result")


def import_(wire, document):
    script = script_of(document["source"]) or {}
    if "trouble" in script:
        wire.started()
        make_trouble(wire, script["trouble"])
    scripted_engine.import_(wire, document)


class Fragile(Wire):
    """Dies of an image that begins with "die"."""

    def read(self):
        header, image = super().read()
        if image.startswith(b"die"):
            os.kill(os.getpid(), signal.SIGKILL)
        if image.startswith(b"slow"):
            time.sleep(1)
        return header, image


def main():
    if sys.argv[1:] == ["version"]:
        scripted_engine.main()
        return
    wire = Fragile()
    verbs = {"ingest": ingest, "import": import_, "plan": plan, "predict": predict,
             "train": lambda w, d: Troubled(w, d).run()}
    try:
        document, _ = wire.read()
        verbs[sys.argv[1]](wire, document)
    except (Stop, OSError):
        pass


if __name__ == "__main__":
    main()
