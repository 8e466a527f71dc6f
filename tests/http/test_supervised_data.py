"""Datasets, imports and predictions whose engines crash, hang and lie; full disks and memories."""
import json
import os
import re
import pathlib
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from conftest import Server, finish, problem, wait_for
from troubles import FAKE, ask, check_whole, engines, events, restart, until_running


@pytest.fixture
def troubled(start):
    return start(engine=FAKE)


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("troubled") / "data", engine=FAKE)
    yield server
    finish(server)


# --- Datasets -------------------------------------------------------------------------------------

def test_members_that_crash_the_engine_are_rejected_and_the_rest_is_used(shared_server):
    crash = {"kind": "signal", "number": 11}
    dataset = shared_server.dataset({"items": 9, "members": {
        "2": crash, "5": {"kind": "signal", "number": 9}, "8": crash}})
    assert dataset["status"] == "ready", dataset["error"]
    assert dataset["items"] == 6 and dataset["rejected"]["count"] == 3
    assert dataset["rejected"]["items"][1]["path"] == "member 5"


def test_a_member_that_takes_ten_seconds_is_rejected(shared_server):
    begin = time.monotonic()
    dataset = shared_server.dataset({"items": 3, "members": {"1": {"kind": "hang"}}})
    assert dataset["status"] == "ready" and dataset["rejected"]["count"] == 1
    assert 9 < time.monotonic() - begin < 15


def test_more_than_twenty_crashes_fail_the_dataset(shared_server):
    crash = {"kind": "exit", "code": 1}
    dataset = shared_server.dataset({"items": 30, "members": {str(n): crash for n in range(25)}})
    assert dataset["status"] == "failed" and dataset["error"]["code"] == "engine_crashed"


@pytest.mark.parametrize("result", [
    {"items": -1}, {"items": "6"}, {"classes": "ants"}, {"classes": [{"name": 7, "items": 1}]},
    {"splits": None}, {"rejected": {"count": 1}}, {"kind": "x" * 100}])
def test_a_result_of_the_wrong_shape_fails_the_dataset(shared_server, result):
    dataset = shared_server.dataset({"result": result})
    assert dataset["status"] == "failed" and dataset["error"]["code"] == "engine_protocol"
    assert shared_server.uploads() == []


def test_a_job_whose_dataset_fails_fails_with_it(shared_server):
    bad = shared_server.dataset({"pace": .1, "result": {"items": 0}}, wait=False)
    job = shared_server.job({}, dataset=bad["id"])
    assert job["status"] == "queued"
    job = shared_server.wait_job(job["id"])
    assert job["status"] == "failed" and job["error"]["code"] == "dataset_failed"


def test_a_deleted_dataset_stops_its_engine(troubled):
    slow = troubled.dataset({"items": 100, "pace": .2}, wait=False)
    wait_for(lambda: engines(troubled), bool)
    assert troubled.request("DELETE", f"/v1/datasets/{slow['id']}").status_code in (200, 204)
    wait_for(lambda: engines(troubled), lambda pids: not pids, seconds=5)
    assert troubled.uploads() == []


# --- Imports --------------------------------------------------------------------------------------

def test_an_import_that_kills_the_engine_is_refused(shared_server):
    script = {"trouble": {"kind": "signal", "number": 11}}
    body = problem(shared_server.post("/v1/models?name=evil", json.dumps(script).encode()), 422)
    assert "signal 11" in body["detail"]
    assert shared_server.get("/v1/models/evil").status_code == 404


def test_imports_do_not_wait_for_training(troubled):
    job = troubled.job({"steps": 1000, "delay": .02})
    until_running(troubled, job)
    reply = troubled.post("/v1/models?name=mine", json.dumps({"architecture": "resnet18"}).encode())
    assert reply.status_code == 201, reply.text
    assert troubled.get(f"/v1/jobs/{job['id']}").json()["status"] == "running"
    ask(troubled, job, "cancel")
    troubled.wait_job(job["id"])


# --- Predictions ----------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def models(shared_server):
    names = [f"net-{n}" for n in range(3)]
    for name in names:
        reply = shared_server.post(f"/v1/models?name={name}", json.dumps({"of": name}).encode())
        assert reply.status_code == 201, reply.text
    return names


def predict(server, model, image):
    return server.request("POST", f"/v1/models/{model}/predict?top_k=1", data=image,
                          headers={"Content-Type": "image/jpeg"})


def test_an_image_that_kills_the_engine_fails_alone(shared_server, models):
    images = [b"slow", b"a", b"die", b"b", b"c", b"d"]
    with ThreadPoolExecutor(len(images)) as pool:
        replies = list(pool.map(lambda image: predict(shared_server, models[0], image), images))
    for image, reply in zip(images, replies):
        if image == b"die":
            assert problem(reply, 503)["detail"]
        else:
            assert reply.status_code == 200, (image, reply.text)
            assert reply.json()["predictions"][0]["label"] == image.decode()


def test_more_models_than_engines_take_turns(shared_server, models):
    """Of the two engines one makes room for the third model, again and again."""
    for name in models * 2:
        assert predict(shared_server, name, b"x").status_code == 200
    assert len(engines(shared_server)) <= 2


def test_checkpoints_of_a_running_job_predict(troubled):
    job = troubled.job({"steps": 30, "delay": .05})
    wait_for(lambda: troubled.get(f"/v1/jobs/{job['id']}/checkpoints").json()["data"], bool)
    checkpoint = troubled.get(f"/v1/jobs/{job['id']}/checkpoints").json()["data"][0]
    assert checkpoint["name"] == "stage-1"
    reply = predict(troubled, checkpoint["id"], b"bee")
    assert reply.status_code == 200, reply.text
    assert troubled.get(f"/v1/jobs/{job['id']}").json()["status"] == "running"
    ask(troubled, job, "cancel")
    troubled.wait_job(job["id"])


def test_a_dataset_that_was_processing_is_processed_again(start):
    server = start(engine=FAKE)
    slow = server.dataset({"items": 4, "pace": 1}, wait=False)
    job = server.job({"steps": 1}, dataset=slow["id"])
    wait_for(lambda: engines(server), bool)
    server = restart(start, server, signal.SIGKILL)
    assert server.wait_dataset(slow["id"])["status"] == "ready"
    assert server.uploads() == []
    check_whole(server, job)


# --- Full disks and memories ----------------------------------------------------------------------

@pytest.fixture
def little_memory():
    """Runs what is started under it with 200 MB: a group of the kernel's, version 1 or 2."""
    for root, limit in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
                        ("/sys/fs/cgroup", "memory.max")):
        group = pathlib.Path(root) / f"thaw-test-{os.getpid()}"
        try:
            group.mkdir()
            (group / limit).write_text(str(200 << 20))
            break
        except OSError:
            if group.exists():
                group.rmdir()
    else:
        pytest.skip("no memory group can be made here")
    yield group / "cgroup.procs"
    wait_for(lambda: (group / "cgroup.procs").read_text(), lambda pids: not pids)
    group.rmdir()


def test_an_engine_that_takes_all_memory_is_told_apart(little_memory, start):
    server = start(engine=FAKE,
                   preexec_fn=lambda: little_memory.write_text(str(os.getpid())))
    job = server.job({"trouble": {"kind": "memory", "bytes": 600 << 20, "at": 0}})
    job = server.wait_job(job["id"])
    assert job["status"] == "failed" and job["error"]["code"] == "out_of_memory", job["error"]
    assert "batch_size" in job["error"]["hint"]
    assert server.get("/healthz").status_code == 200


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 24 MB, mounted where a server called "disk" has its data."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m,mode=700", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_pauses_the_job_and_room_lets_it_go_on(small_disk, start):
    server = start(engine=FAKE, data="disk")
    job = server.job({"steps": 20, "delay": .03})
    until_running(server, job, 2)
    with pytest.raises(OSError), open(small_disk / "filler", "wb", buffering=0) as filler:
        while filler.write(b"x" * 4096) == 4096:
            pass
        raise OSError
    wait_for(lambda: engines(server), lambda pids: not pids)
    assert server.get("/healthz").status_code == 200
    assert server.get(f"/v1/jobs/{job['id']}").json()["status"] == "running"
    os.unlink(small_disk / "filler")
    error = server.wait_job(job["id"], "paused")["error"]
    assert error["code"] == "disk_full" and "resume" in error["hint"]
    assert events(server, job["id"], "warning")[-1]["code"] == "disk_full"
    assert re.search("warn.*the disk is full", server.log)
    resumed = ask(server, job, "resume")
    assert resumed.status_code == 202 and resumed.json()["error"] is None
    check_whole(server, job)
