"""The whole path with the real engine: drawn images, training, prediction; what a kill costs."""
import json
import os
import signal
import subprocess
import time
import zipfile

import pytest

from conftest import ENGINE, Server, wait_for

pytestmark = pytest.mark.skipif(not ENGINE.exists(), reason="thaw-engine was not built")

STAGES = [{"name": "stage-1", "freeze_to": -1, "epochs": 1, "lr": 2e-3},
          {"name": "stage-2", "freeze_to": 0, "epochs": 4, "lr": {"slice": [1e-4, 1e-3]}}]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A zip of drawn images of three classes."""
    path = tmp_path_factory.mktemp("synth") / "images.zip"
    subprocess.run([ENGINE, "synth", "--set", "b", "--out", path, "--classes", "3", "--per-class",
                    "24", "--valid", "8", "--size", "32", "--seed", "5"],
                   check=True, stdout=subprocess.DEVNULL)
    return path


def submit(server, images, **spec):
    dataset = server.post("/v1/datasets?name=drawn", images.read_bytes()).json()
    reply = server.post("/v1/jobs", json={
        "dataset": dataset["id"], "model": "thaw-small", "weights": "random", "batch_size": 8,
        "image": {"size": 32}, "seed": 3, "stages": STAGES, **spec})
    assert reply.status_code == 202, reply.text
    return reply.json()["id"]


def wait_step(server, job, stage, epoch):
    """Until the job runs in the middle of that epoch or a later one."""
    def reached(state):
        progress = state["progress"] or {}
        place = (progress.get("stage_index") or 0, progress.get("epoch") or 0)
        return state["status"] in ("succeeded", "failed") or \
            state["status"] == "running" and place >= (stage, epoch)
    state = wait_for(lambda: server.get(f"/v1/jobs/{job}").json(), reached, 120)
    assert state["status"] == "running", state


def engine_of(server):
    """The train process below this server."""
    children = subprocess.run(["ps", "--ppid", str(server.process.pid), "-o", "pid=,args="],
                              stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    return next(int(line.split()[0]) for line in children if " train " in line + " ")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, images):
    """A run that nobody disturbs: the job as it ended."""
    server = Server(tmp_path_factory.mktemp("data") / "data", engine=ENGINE)
    job = submit(server, images)
    state = server.wait_job(job)
    assert state["status"] == "succeeded", state
    yield server, state
    server.stop()


def test_a_job_trains_both_stages_and_its_model_predicts(undisturbed, images):
    server, job = undisturbed
    epochs = [e for e in server.get(f"/v1/jobs/{job['id']}/events?limit=100").json()["data"]
              if e["type"] == "epoch"]
    assert [(e["stage_index"], e["epoch"]) for e in epochs] == \
        [(0, 0), (1, 0), (1, 1), (1, 2), (1, 3)]
    names = {c["name"] for c in server.get(f"/v1/jobs/{job['id']}/checkpoints").json()["data"]}
    assert {"stage-1", "stage-2"} <= names
    with zipfile.ZipFile(images) as archive:
        member = next(n for n in archive.namelist() if "valid/" in n and not n.endswith("/"))
        answer = server.post(f"/v1/models/{job['result_model']}/predict?top_k=3",
                             archive.read(member))
    assert answer.status_code == 200, answer.text
    rows = answer.json()["predictions"][0]["probabilities"]
    assert len(rows) == 3 and abs(sum(r["probability"] for r in rows) - 1) < 1e-5


def test_the_same_spec_gives_the_same_weights(undisturbed, images):
    server, job = undisturbed
    again = server.wait_job(submit(server, images))
    assert again["weights_sha256"] == job["weights_sha256"]
    other = server.wait_job(submit(server, images, seed=4))
    assert other["weights_sha256"] != job["weights_sha256"]


def test_a_killed_engine_ends_as_it_would_have(undisturbed, images):
    server, job = undisturbed
    disturbed = submit(server, images)
    for epoch in (1, 2):
        wait_step(server, disturbed, 1, epoch)
        os.kill(engine_of(server), signal.SIGKILL)
        wait_for(lambda: server.get(f"/v1/jobs/{disturbed}").json()["status"],
                 lambda s: s in ("queued", "validating", "running"), 30)
    state = server.wait_job(disturbed)
    assert state["status"] == "succeeded", state
    assert state["weights_sha256"] == job["weights_sha256"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_server_goes_on_where_it_was(undisturbed, images, tmp_path, number):
    first = Server(tmp_path / "data", engine=ENGINE)
    job = submit(first, images)
    wait_step(first, job, 1, 1)
    engine = engine_of(first)
    first.stop(number)
    wait_for(lambda: os.path.exists(f"/proc/{engine}"), lambda there: not there, 10)
    second = Server(tmp_path / "data", engine=ENGINE)
    try:
        state = second.wait_job(job)
        assert state["status"] == "succeeded", state
        assert state["weights_sha256"] == undisturbed[1]["weights_sha256"]
        assert second.get("/v1/datasets").json()["data"][0]["items"] == 96
    finally:
        second.stop()


def test_a_loss_that_is_no_number_fails_with_its_step_and_a_hint(undisturbed, images):
    server, _ = undisturbed
    # Decay alone multiplies each weight by 1 - 10 * 1 at the top of the cycle.
    job = submit(server, images, optimizer={"name": "adamw", "weight_decay": 1},
                 stages=[{"name": "wild", "freeze_to": 0, "epochs": 20, "lr": 10}])
    error = server.wait_job(job)["error"]
    assert error["code"] == "loss_is_nan"
    assert "step" in error["detail"] and error["hint"]


def test_a_paused_job_goes_on_and_ends_as_it_would_have(undisturbed, images):
    server, undisturbed_job = undisturbed
    job = submit(server, images)
    wait_step(server, job, 1, 1)
    assert server.post(f"/v1/jobs/{job}/pause").status_code == 202
    server.wait_job(job, "paused")
    time.sleep(.2)
    assert server.get(f"/v1/jobs/{job}").json()["status"] == "paused"
    assert server.post(f"/v1/jobs/{job}/resume").status_code == 202
    state = server.wait_job(job)
    assert state["weights_sha256"] == undisturbed_job["weights_sha256"]


def test_the_base_models_are_the_networks_of_the_engine(tmp_path):
    done = subprocess.run([ENGINE, "version"], stdout=subprocess.PIPE, check=True)
    networks = {n["name"]: n for n in json.loads(done.stdout)["networks"]}
    server = Server(tmp_path / "data", engine=ENGINE)
    try:
        models = server.get("/v1/models?origin=base&limit=100").json()["data"]
    finally:
        server.stop()
    models = [model for model in models if model["kind"] == "image"]
    assert {m["name"] for m in models} == networks.keys()
    for model in models:
        network = networks[model["name"]]
        assert model["architecture"] == model["name"]
        assert model["parameters"] == network.get("parameters")
        assert [group["name"] for group in model["groups"]] == network["groups"]
        top1 = (model["metrics"] or {}).get("accuracy")
        assert top1 == pytest.approx(network["top1"] / 100) if "top1" in network else top1 is None
