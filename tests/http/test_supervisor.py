"""Jobs whose engines crash, hang and lie; servers that are killed: nothing is lost."""
import json
import os
import pathlib
import signal
import subprocess
import time

import pytest

from conftest import HERE, problem, wait_for
from fake_engine import BAD_FRAMES

FAKE = HERE / "fake_engine.py"


@pytest.fixture
def troubled(start):
    return start(engine=FAKE)


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory):
    from conftest import Server, finish
    server = Server(tmp_path_factory.mktemp("troubled") / "data", engine=FAKE)
    yield server
    finish(server)


def events(server, job, kind=None):
    data, after = [], 0
    while True:
        page = server.get(f"/v1/jobs/{job}/events?limit=100&after={after}").json()
        data += page["data"]
        if not page["has_more"]:
            break
        after = data[-1]["seq"]
    assert [e["seq"] for e in data] == sorted({e["seq"] for e in data})
    return [e for e in data if kind in (None, e["type"])]


def states(server, job):
    return [e["status"] for e in events(server, job, "state")]


def engines(server):
    """Pids of the server's children."""
    listing = subprocess.run(["ps", "-o", "pid=", "--ppid", str(server.process.pid)],
                             capture_output=True, text=True).stdout
    return [int(pid) for pid in listing.split()]


def until_running(server, job, steps=1):
    """Waits for `running` with some steps done."""
    return wait_for(lambda: server.get(f"/v1/jobs/{job['id']}").json(),
                    lambda j: j["status"] == "running" and j["progress"] and
                    (j["progress"]["step"] or 0) >= steps)


def check_whole(server, job):
    """A job that ended well shows what one without troubles shows: each epoch once, in order, both
    stages' checkpoints, a model with weights, `done` at the end."""
    job = server.wait_job(job["id"])
    assert job["status"] == "succeeded", job["error"]
    epochs = [(e["stage_index"], e["epoch"]) for e in events(server, job["id"], "epoch")]
    wanted = [(i, e) for i, s in enumerate(job["spec"]["stages"]) for e in range(s["epochs"])]
    assert epochs == wanted
    names = [c["name"] for c in
             server.get(f"/v1/jobs/{job['id']}/checkpoints").json()["data"]]
    assert {"stage-1", "stage-2", "best", "last"} <= set(names), names
    assert len(names) == len(set(names))
    model = server.get(f"/v1/models/{job['result_model']}").json()
    assert model["origin"] == "job" and model["job"] == job["id"]
    assert len(server.get(f"/v1/models/{model['id']}/weights").content) > 0
    assert events(server, job["id"])[-1]["type"] == "done"
    wait_for((server.data / "jobs" / job["id"] / "checkpoints").exists, lambda there: not there)
    return job


# --- Engines that die -----------------------------------------------------------------------------

def test_an_undisturbed_job_goes_through_its_states(troubled):
    job = check_whole(troubled, troubled.job({"steps": 2}))
    assert states(troubled, job["id"]) == ["queued", "validating", "running", "succeeded"]
    assert job["progress"]["fraction"] == 1 and job["best"]["valid_loss"] > 0
    assert job["engine"]["version"] == "scripted"


def test_a_killed_engine_is_interrupted_and_resumed(troubled):
    plain = check_whole(troubled, troubled.job({"steps": 4}))
    job = troubled.job({"steps": 4, "delay": .05, "trouble": {
        "kind": "signal", "number": 9, "at": 6, "times": 2}})
    job = check_whole(troubled, job)
    assert job["weights_sha256"] == plain["weights_sha256"]
    once = ["interrupted", "queued", "validating", "running"]
    assert states(troubled, job["id"]) == ["queued", "validating", "running", *once, *once,
                                           "succeeded"]


def test_a_kill_from_outside_is_survived(troubled):
    job = troubled.job({"steps": 10, "delay": .03})
    until_running(troubled, job, 3)
    for pid in engines(troubled):
        os.kill(pid, signal.SIGKILL)
    check_whole(troubled, job)
    assert "interrupted" in states(troubled, job["id"])


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGILL, signal.SIGBUS,
                                    signal.SIGSYS])
def test_three_crashes_without_a_checkpoint_are_enough(shared_server, number):
    job = shared_server.job({"trouble": {"kind": "signal", "number": int(number), "at": 1}})
    job = shared_server.wait_job(job["id"])
    assert job["status"] == "failed" and job["error"]["code"] == "engine_crashed"
    assert f"signal {int(number)}" in job["error"]["detail"]
    assert states(shared_server, job["id"]).count("interrupted") == 2


def test_ten_other_deaths_are_enough(shared_server):
    job = shared_server.job({"trouble": {"kind": "exit", "code": 3, "at": 0}})
    job = shared_server.wait_job(job["id"])
    assert job["status"] == "failed" and job["error"]["code"] == "engine_crashed"
    assert "10 times" in job["error"]["detail"] and "exit code 3" in job["error"]["detail"]
    assert states(shared_server, job["id"]).count("interrupted") == 9


def test_a_new_checkpoint_forgives_earlier_deaths(shared_server):
    """Two crashes before each epoch's only step: six in all, never three since a checkpoint."""
    job = shared_server.job({"steps": 1, "trouble": {
        "kind": "signal", "number": 11, "each": 2}}, epochs=2)
    check_whole(shared_server, job)
    assert states(shared_server, job["id"]).count("interrupted") == 6


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


def test_an_end_without_a_result_is_a_death(shared_server):
    job = shared_server.job({"steps": 2, "trouble": {"kind": "quiet", "at": 1, "times": 1}})
    check_whole(shared_server, job)
    assert "interrupted" in states(shared_server, job["id"])


def test_an_error_of_the_engine_fails_the_job_with_its_words(shared_server):
    job = shared_server.job({"error": {"at": 2, "status": "invalid", "code": "loss_is_nan",
                                       "detail": "The loss is no number at step 2.",
                                       "hint": "Lower the learning rate."}})
    job = shared_server.wait_job(job["id"])
    assert job["status"] == "failed"
    assert job["error"] == {"code": "loss_is_nan", "detail": "The loss is no number at step 2.",
                            "hint": "Lower the learning rate."}
    last = events(shared_server, job["id"])[-1]
    assert last["type"] == "done" and last["error"]["code"] == "loss_is_nan"


# --- Engines that break the protocol --------------------------------------------------------------

@pytest.mark.parametrize("name", BAD_FRAMES)
def test_a_broken_protocol_fails_the_job_at_once(shared_server, name):
    job = shared_server.job({"steps": 3, "trouble": {"kind": "frames", "name": name, "at": 2}})
    begin = time.monotonic()
    job = shared_server.wait_job(job["id"])
    assert job["status"] == "failed" and job["error"]["code"] == "engine_protocol", job["error"]
    assert time.monotonic() - begin < 10
    assert "interrupted" not in states(shared_server, job["id"])


def test_a_flood_of_messages_is_stopped(shared_server):
    job = shared_server.job({"trouble": {"kind": "flood", "count": 100000, "at": 0}})
    job = shared_server.wait_job(job["id"])
    assert job["status"] == "failed" and job["error"]["code"] == "engine_protocol"
    assert len(events(shared_server, job["id"], "log")) <= 1000


@pytest.mark.parametrize("link", ["symbolic", "hard"])
def test_a_result_that_is_a_link_is_refused(shared_server, tmp_path, link):
    target = shared_server.data / "jobs" / "target"
    target.write_text("not the engine's")
    job = shared_server.job({"trouble": {"kind": "link", "link": link, "target": str(target)}})
    job = shared_server.wait_job(job["id"])
    assert job["status"] == "failed" and job["error"]["code"] == "engine_protocol", job
    assert job["result_model"] is None
    target.unlink()


def test_the_log_is_bounded(shared_server):
    job = shared_server.job({"trouble": {"kind": "noise", "bytes": 4 << 20, "at": 1, "times": 1}})
    job = check_whole(shared_server, job)
    size = (shared_server.data / "jobs" / job["id"] / "log").stat().st_size
    assert 1 << 20 <= size < (1 << 20) + 200


def test_an_engine_that_closes_its_socket_is_ended(shared_server):
    job = shared_server.job({"steps": 2, "trouble": {"kind": "close", "at": 1, "times": 1}})
    check_whole(shared_server, job)


# --- Asked to stop --------------------------------------------------------------------------------

def ask(server, job, verb):
    return server.post(f"/v1/jobs/{job['id']}/{verb}")


def test_a_running_job_is_cancelled(troubled):
    job = troubled.job({"steps": 1000, "delay": .02})
    until_running(troubled, job)
    assert ask(troubled, job, "cancel").status_code == 202
    job = troubled.wait_job(job["id"])
    assert job["status"] == "cancelled" and job["error"] is None
    assert states(troubled, job["id"])[-2:] == ["cancelling", "cancelled"]
    assert not engines(troubled)
    assert ask(troubled, job, "cancel").status_code == 200


@pytest.mark.parametrize("kind", ["deaf", "hang"])
def test_an_engine_that_ignores_cancel_is_killed(troubled, kind):
    job = troubled.job({"steps": 1000, "delay": .05, "trouble": {"kind": kind, "at": 3}})
    until_running(troubled, job)
    begin = time.monotonic()
    assert ask(troubled, job, "cancel").status_code == 202
    assert troubled.wait_job(job["id"])["status"] == "cancelled"
    assert time.monotonic() - begin < 9
    assert not engines(troubled)


def test_a_job_cancelled_while_queued_never_starts(troubled):
    first = troubled.job({"steps": 1000, "delay": .02})
    second = troubled.job({}, dataset=first["dataset"])
    until_running(troubled, first)
    assert troubled.get(f"/v1/jobs/{second['id']}").json()["status"] == "queued"
    assert ask(troubled, second, "cancel").status_code == 202
    assert ask(troubled, first, "cancel").status_code == 202
    troubled.wait_job(first["id"])
    time.sleep(.3)
    second = troubled.get(f"/v1/jobs/{second['id']}").json()
    assert second["status"] == "cancelled" and second["started_at"] is None
    assert states(troubled, second["id"]) == ["queued", "cancelled"]


def test_jobs_run_one_after_the_other_by_priority(troubled):
    running = troubled.job({"steps": 3, "delay": .1})
    until_running(troubled, running)
    rest = [troubled.job({"steps": 1}, dataset=running["dataset"], priority=p)
            for p in (0, 5, 0, 9)]
    assert [troubled.get(f"/v1/jobs/{j['id']}").json()["queue_position"] for j in rest] == \
        [2, 1, 3, 0]
    done = [troubled.wait_job(j["id"]) for j in [running, *rest]]
    order = sorted(done, key=lambda j: j["started_at"])
    assert [j["id"] for j in order] == [running["id"], *(rest[i]["id"] for i in (3, 1, 0, 2))]
    for earlier, later in zip(order, order[1:]):
        assert earlier["finished_at"] <= later["started_at"]


def test_two_jobs_run_at_once_where_allowed(start):
    server = start("--max-jobs", "2", engine=FAKE)
    first = server.job({"steps": 1000, "delay": .02})
    second = server.job({"steps": 1000, "delay": .02}, dataset=first["dataset"])
    third = server.job({"steps": 1}, dataset=first["dataset"])
    until_running(server, first)
    until_running(server, second)
    assert server.get(f"/v1/jobs/{third['id']}").json()["status"] == "queued"
    for job in (first, second):
        ask(server, job, "cancel")
    check_whole(server, third)


def test_pause_and_resume_lose_nothing(troubled):
    job = troubled.job({"steps": 10, "delay": .03})
    until_running(troubled, job, 2)
    assert ask(troubled, job, "pause").status_code == 202
    troubled.wait_job(job["id"], "paused")
    assert not engines(troubled)
    assert ask(troubled, job, "pause").status_code == 200
    other = check_whole(troubled, troubled.job({"steps": 1}, dataset=job["dataset"]))
    assert ask(troubled, job, "resume").status_code == 202
    check_whole(troubled, job)
    assert ask(troubled, other, "resume").status_code == 409


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
    server.wait_job(job["id"], "paused")
    assert events(server, job["id"], "warning")[-1]["code"] == "disk_full"
    assert ask(server, job, "resume").status_code == 202
    check_whole(server, job)


# --- Servers that die -----------------------------------------------------------------------------

def restart(start, server, number):
    pids = engines(server)
    server.stop(number)
    wait_for(lambda: [p for p in pids if pathlib.Path(f"/proc/{p}").exists() and
                      "State:\tZ" not in pathlib.Path(f"/proc/{p}/status").read_text()],
             lambda alive: not alive, seconds=3)
    return start(engine=FAKE)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_job_goes_on_after_the_server_died(start, number):
    server = start(engine=FAKE)
    plain = check_whole(server, server.job({"steps": 8}))
    job = server.job({"steps": 8, "delay": .05})
    until_running(server, job, 3)
    before = events(server, job["id"])
    server = restart(start, server, number)
    job = check_whole(server, job)
    assert job["weights_sha256"] == plain["weights_sha256"]
    after = events(server, job["id"])
    durable = [e for e in before if e["type"] != "step"]
    assert [e for e in after if e["type"] != "step"][:len(durable)] == durable
    assert states(server, job["id"]).count("interrupted") == 1


def test_a_stop_is_quick_even_if_an_engine_hangs(start):
    server = start(engine=FAKE)
    job = server.job({"steps": 100, "delay": .05, "trouble": {"kind": "hang", "at": 2}})
    until_running(server, job, 2)
    begin = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - begin < 10


def test_every_open_state_finds_its_way_after_a_kill(start):
    server = start(engine=FAKE)
    running = server.job({"steps": 1000, "delay": .02, "trouble": {"kind": "deaf"}})
    queued = server.job({"steps": 1}, dataset=running["dataset"])
    until_running(server, running)
    assert ask(server, running, "cancel").status_code == 202
    assert server.get(f"/v1/jobs/{running['id']}").json()["status"] == "cancelling"
    server = restart(start, server, signal.SIGKILL)
    assert server.wait_job(running["id"])["status"] == "cancelled"
    check_whole(server, queued)


def test_a_dataset_that_was_processing_is_processed_again(start):
    server = start(engine=FAKE)
    slow = server.dataset({"items": 4, "pace": 1}, wait=False)
    job = server.job({"steps": 1}, dataset=slow["id"])
    wait_for(lambda: engines(server), bool)
    server = restart(start, server, signal.SIGKILL)
    assert server.wait_dataset(slow["id"])["status"] == "ready"
    assert server.uploads() == []
    check_whole(server, job)


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
    from concurrent.futures import ThreadPoolExecutor
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
