"""The weights that come with the program: there from the start, trained from, and warned about."""
import hashlib
import json
import pathlib
import re
import struct
import subprocess

import pytest

from conftest import ENGINE, ROOT, SCRIPTED, TERMINAL, Server, problem, wait_for

WEIGHTS = ROOT / "weights" / "thaw-small.safetensors"
needs_engine = pytest.mark.skipif(not ENGINE.exists(), reason="thaw-engine was not built")


def digest():
    return hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()


def stored(server, sha256):
    return pathlib.Path(server.data) / "blobs" / sha256[:2] / sha256


def test_the_digest_and_size_in_the_docs_are_the_files():
    text = (ROOT / "weights" / "README.md").read_text()
    assert re.findall(r"\b[0-9a-f]{64}\b", text) == [digest()]
    assert f"{WEIGHTS.stat().st_size:,} bytes" in text
    assert WEIGHTS.stat().st_size <= 8 << 20


def test_the_file_is_a_body_of_16_bit_floats_and_says_where_it_is_from():
    data = WEIGHTS.read_bytes()
    size = struct.unpack_from("<Q", data)[0]
    header = json.loads(data[8:8 + size])
    metadata = header.pop("__metadata__")
    assert metadata["architecture"] == "thaw-small" and metadata["head"] == "none"
    assert json.loads(metadata["lineage"])["origin"] == "bundled"
    assert {tensor["dtype"] for tensor in header.values()} == {"F16"}
    assert not any(name.startswith(("head.", "fc.")) for name in header)


def test_every_server_has_them_and_mends_them(tmp_path):
    for damage in (None, lambda path: path.write_bytes(b"gone bad"), lambda path: path.unlink()):
        server = Server(tmp_path / "data", engine=SCRIPTED)
        try:
            model = server.get("/v1/models/thaw-small").json()
            assert model["available"] and model["sha256"] == digest()
            assert model["bytes"] == WEIGHTS.stat().st_size and model["origin"] == "base"
            reply = server.get("/v1/models/thaw-small/weights")
            assert reply.content == WEIGHTS.read_bytes()
        finally:
            server.stop()
        if damage:
            damage(stored(server, digest()))


@pytest.fixture(scope="module")
def drawn(real_server, tmp_path_factory):
    path = tmp_path_factory.mktemp("synth") / "images.zip"
    subprocess.run([ENGINE, "synth", "--set", "b", "--out", path, "--classes", "3", "--per-class",
                    "24", "--valid", "20", "--size", "32", "--seed", "5"],
                   check=True, stdout=subprocess.DEVNULL)
    made = real_server.post("/v1/datasets?name=bundled", path.read_bytes()).json()
    assert real_server.wait_dataset(made["id"])["status"] == "ready"
    return made["id"]


def run(server, dataset, **spec):
    reply = server.post("/v1/jobs", json={
        "dataset": dataset, "model": "thaw-small", "image": {"size": 32}, "batch_size": 8,
        "seed": 1, "stages": [{"freeze_to": -1, "epochs": 8, "lr": 2e-3}],
        "frozen_batchnorm": "eval", **spec})
    assert reply.status_code == 202, reply.text
    job = wait_for(lambda: server.get(f"/v1/jobs/{reply.json()['id']}").json(),
                   lambda job: job["status"] in TERMINAL, 120)
    assert job["status"] == "succeeded", job["error"]
    events = server.get(f"/v1/jobs/{job['id']}/events?limit=100").json()["data"]
    return job, [event["code"] for event in events if event["type"] == "warning"]


@needs_engine
def test_a_job_from_them_warns_and_learns_more_than_one_from_random_weights(real_server, drawn):
    job, warnings = run(real_server, drawn)
    other, others = run(real_server, drawn, weights="random")
    assert "bundled_body" in warnings and "bundled_body" not in others
    assert job["latest"]["valid_loss"] < other["latest"]["valid_loss"]


@needs_engine
def test_a_body_without_a_head_predicts_nothing_and_says_why(real_server):
    reply = real_server.post("/v1/models/thaw-small/predict", b"x")
    assert "no classifier" in problem(reply, 422)["detail"]
