"""Jobs whose engines crash, hang and lie; servers that are killed: nothing is lost."""
import os
import signal
import time

import pytest

from conftest import Server, finish
from fake_engine import BAD_FRAMES
from troubles import FAKE, ask, check_whole, engines, events, restart, states, until_running


@pytest.fixture
def troubled(start):
    return start(engine=FAKE)


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("troubled") / "data", engine=FAKE)
    yield server
    finish(server)


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
    running = troubled.job({"steps": 40, "delay": .1})
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


# --- Servers that die -----------------------------------------------------------------------------

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
