"""Engines and servers killed at random steps of both stages: the weights are those of a run that
nobody disturbed, bit for bit.

The short form kills a few; THAW_LONG=1 (`make test-long`) kills engines 20 times and servers 5
times. THAW_SEED repeats a draw, which a failure names."""
import os
import random
import signal
import subprocess

import pytest

from conftest import ENGINE, Server, wait_for
from test_end_to_end import images  # noqa: F401 (a fixture)

pytestmark = pytest.mark.skipif(not ENGINE.exists(), reason="thaw-engine was not built")

LONG = bool(os.environ.get("THAW_LONG"))
SEED = int(os.environ.get("THAW_SEED", random.randrange(1 << 30)))
STEPS_AN_EPOCH = 9  # 72 items train, 8 a batch
STAGES = [{"name": "stage-1", "freeze_to": -1, "epochs": 8, "lr": 2e-3},
          {"name": "stage-2", "freeze_to": 0, "epochs": 12, "lr": {"slice": [1e-4, 1e-3]}}]
ALL_STEPS = [(index, step) for index, stage in enumerate(STAGES)
             for step in range(1, stage["epochs"] * STEPS_AN_EPOCH)]
ENGINE_KILLS = [5, 5, 5, 5] if LONG else [2]  # one job each
SERVER_KILLS = 5 if LONG else 1


def submit(server, archive):
    dataset = server.post("/v1/datasets?name=drawn", archive.read_bytes()).json()
    reply = server.post("/v1/jobs", json={
        "dataset": dataset["id"], "model": "thaw-small", "weights": "random", "batch_size": 8,
        "image": {"size": 64}, "seed": 11, "threads": 1, "stages": STAGES,
        "save_best": {"monitor": "valid_loss"}, "accumulate": 24})
    assert reply.status_code == 202, reply.text
    return reply.json()["id"]


def place(state):
    progress = state["progress"] or {}
    return progress.get("stage_index") or 0, progress.get("step") or 0


def wait_place(server, job, target):
    """Until the job has come to that step of that stage; False: it was over before."""
    state = wait_for(lambda: server.get(f"/v1/jobs/{job}").json(),
                     lambda s: (s["status"] == "running" and place(s) >= target)
                     or s["status"] in ("succeeded", "failed"), 240)
    assert state["status"] != "failed", state
    return state["status"] == "running"


def living_engine(server, dead=None):
    """The train process below this server, once there is another one than the one killed."""
    def look():
        lines = subprocess.run(["ps", "--ppid", str(server.process.pid), "-o", "pid=,stat=,args="],
                               stdout=subprocess.PIPE, text=True).stdout.splitlines()
        return [int(line.split()[0]) for line in lines
                if " train " in line + " " and not line.split()[1].startswith("Z")
                and int(line.split()[0]) != dead]
    return wait_for(look, bool)[0]


def draw(count):
    """Steps in the order in which the job comes to them, of both stages where there are two."""
    chance = random.Random(SEED)
    while True:
        targets = sorted(chance.sample(ALL_STEPS, count))
        if count < 2 or {index for index, _ in targets} == {0, 1}:
            return targets


@pytest.fixture(scope="module")
def weights(tmp_path_factory, images):  # noqa: F811
    server = Server(tmp_path_factory.mktemp("undisturbed") / "data", engine=ENGINE)
    state = wait_for(lambda j=submit(server, images): server.get(f"/v1/jobs/{j}").json(),
                     lambda s: s["status"] in ("succeeded", "failed"), 240)
    server.stop()
    assert state["status"] == "succeeded", state
    return state["weights_sha256"]


def end_of(server, job):
    return wait_for(lambda: server.get(f"/v1/jobs/{job}").json(),
                    lambda s: s["status"] in ("succeeded", "failed"), 240)


@pytest.mark.parametrize("job_number", range(len(ENGINE_KILLS)))
def test_engines_killed_at_random_steps_change_nothing(tmp_path, images, weights,  # noqa: F811
                                                       job_number):
    global SEED
    SEED += job_number
    server = Server(tmp_path / "data", engine=ENGINE)
    try:
        job, killed, engine = submit(server, images), 0, None
        for target in draw(ENGINE_KILLS[job_number]):
            if wait_place(server, job, target):
                engine = living_engine(server, engine)
                os.kill(engine, signal.SIGKILL)
                killed += 1
        state = end_of(server, job)
        assert state["status"] == "succeeded", (SEED, state)
        assert state["weights_sha256"] == weights, f"THAW_SEED={SEED}"
        assert killed == ENGINE_KILLS[job_number]
    finally:
        server.stop()


def test_servers_killed_at_random_steps_change_nothing(tmp_path, images, weights):  # noqa: F811
    server = Server(tmp_path / "data", engine=ENGINE)
    job = submit(server, images)
    try:
        for target in draw(SERVER_KILLS):
            assert wait_place(server, job, target), f"THAW_SEED={SEED}: it was over too soon"
            engine = living_engine(server)
            server.stop(signal.SIGKILL)
            wait_for(lambda: os.path.exists(f"/proc/{engine}"), lambda there: not there, 10)
            server = Server(tmp_path / "data", engine=ENGINE)
        state = end_of(server, job)
        assert state["status"] == "succeeded", (SEED, state)
        assert state["weights_sha256"] == weights, f"THAW_SEED={SEED}"
    finally:
        server.stop()
