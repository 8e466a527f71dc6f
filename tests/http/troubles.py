"""What tests of troubled jobs share: what they look at, and how long they wait for it."""
import pathlib
import subprocess

from conftest import HERE, wait_for

FAKE = HERE / "fake_engine.py"


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


def ask(server, job, verb):
    return server.post(f"/v1/jobs/{job['id']}/{verb}")


def restart(start, server, number):
    pids = engines(server)
    server.stop(number)
    wait_for(lambda: [p for p in pids if pathlib.Path(f"/proc/{p}").exists() and
                      "State:\tZ" not in pathlib.Path(f"/proc/{p}/status").read_text()],
             lambda alive: not alive, seconds=3)
    return start(engine=FAKE)
