"""Jobs are planned before they run: dry runs, estimates, what does not fit; jobs made of jobs."""
import json
import os
import re
import subprocess

import pytest

from conftest import problem, wait_for
from troubles import events


def spec(server, script=None, **more):
    return {"dataset": more.pop("dataset", None) or server.dataset()["id"], "model": "thaw-small",
            "weights": "random", "preset": "fine_tune",
            "metadata": {"script": json.dumps(script or {})}, **more}


def post(server, script=None, query="", **more):
    return server.post("/v1/jobs" + query, json=spec(server, script, **more))


# --- Dry runs and estimates -----------------------------------------------------------------------

def test_a_dry_run_shows_all_and_queues_nothing(server):
    before = server.get("/v1/jobs?limit=1").json()["data"]
    reply = post(server, {"steps": 10}, "?dry_run=true&points=4")
    assert reply.status_code == 200, reply.text
    body = reply.json()
    assert set(body) == {"spec", "stages", "estimate"}
    assert body["spec"]["stages"] and len(body["stages"][0]["step"]) == 4
    estimate = body["estimate"]
    assert estimate["peak_memory_bytes"] > 0 and estimate["disk_bytes"] > 0
    assert 0 <= estimate["seconds_low"] <= estimate["seconds"] <= estimate["seconds_high"]
    assert server.get("/v1/jobs?limit=1").json()["data"] == before
    problem(post(server, query="?dry_run=perhaps"), 422)


def test_what_the_plan_refuses_is_refused_at_once(server):
    script = {"plan": {"error": {"status": "invalid", "code": "too_few",
                                 "detail": "The sample has no item of class bees."}}}
    for query in ["", "?dry_run=true"]:
        body = problem(post(server, script, query), 422)
        assert body["code"] == "too_few" and "bees" in body["detail"]


def test_a_plan_that_dies_stops_no_job(server):
    problem(post(server, {"plan": {"die": True}}, "?dry_run=true"), 503)
    job = post(server, {"plan": {"die": True}}).json()
    job = server.wait_job(job["id"])
    assert job["status"] == "succeeded" and job["estimate"] is None


def test_a_job_that_does_not_fit_is_507_and_says_what_would(server):
    script = {"plan": {"peak": 1 << 45}}
    body = problem(post(server, script, batch_size=32), 507)
    assert body["code"] == "no_memory" and "batch_size" in body["detail"]
    huge = {"plan": {"peak": 1 << 30}}
    job = post(server, huge, batch_size="auto").json()
    assert job["spec"]["batch_size"] == "auto"
    assert 1 <= job["estimate"]["batch_size"] < 64
    server.wait_job(job["id"])


def test_a_job_shows_its_estimate_against_what_it_took(server):
    job = post(server, {"steps": 5}).json()
    assert job["estimate"]["basis"] in ("arithmetic", "similar", "measured")
    done = server.wait_job(job["id"])
    assert done["estimate"]["actual"]["peak_memory_bytes"] == 1 << 20
    assert done["estimate"]["actual"]["seconds"] == done["progress"]["elapsed_seconds"]


def test_a_job_on_a_dataset_that_is_processing_is_planned_when_it_is_ready(server):
    dataset = server.dataset({"delay": 1, "items": 9}, wait=False)["id"]
    problem(post(server, query="?dry_run=true", dataset=dataset), 409)
    job = post(server, dataset=dataset).json()
    assert job["estimate"] is None
    problem(server.get(f"/v1/jobs/{job['id']}/schedule"), 404)
    done = server.wait_job(job["id"])
    assert done["status"] == "succeeded" and done["estimate"]["disk_bytes"] > 0
    assert server.get(f"/v1/jobs/{job['id']}/schedule").status_code == 200
    dataset = server.dataset({"delay": 1, "items": 10}, wait=False)["id"]
    job = post(server, {"plan": {"peak": 1 << 45}}, dataset=dataset, batch_size=32).json()
    done = server.wait_job(job["id"])
    assert done["status"] == "failed" and done["error"]["code"] == "no_memory"


def test_costs_are_learned_from_stages_that_ran_alone(start):
    server = start()
    server.wait_job(post(server, {"steps": 5}).json()["id"])
    estimate = post(server, {"steps": 5}, "?dry_run=true").json()["estimate"]
    assert estimate["basis"] == "measured", estimate
    assert estimate["seconds_low"] <= estimate["seconds"] <= estimate["seconds_high"] < 60


def test_jobs_that_do_not_fit_beside_each_other_run_one_after_the_other(start):
    server = start("--max-jobs", "2")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    half = {"steps": 10, "delay": .03, "plan": {"peak": int(memory * .6 / 8)}}
    first = post(server, half, batch_size=8)
    if first.status_code == 507:
        pytest.skip("a control group leaves less than the machine has")
    second = post(server, half, batch_size=8, dataset=first.json()["dataset"])
    small = post(server, {"steps": 1}, dataset=first.json()["dataset"], priority=-1)
    done = [server.wait_job(reply.json()["id"]) for reply in (first, second, small)]
    assert done[1]["started_at"] >= done[0]["finished_at"]
    assert done[2]["started_at"] >= done[1]["started_at"]  # the order of the queue stays


def test_little_disk_refuses_new_jobs_and_pauses_those_that_wait(tmp_path, start):
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=28m", "none", folder],
                          capture_output=True, check=False)
    if made.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        folder.chmod(0o700)
        server = start(data="disk")
        server.stop()
        server = start("--min-free", "20M", data="disk")
        first = server.job({"steps": 60, "delay": .05})
        waiting = server.job({}, dataset=first["dataset"])
        with open(folder / "filler", "wb") as filler:
            filler.write(b"x" * (6 << 20))
        body = problem(post(server, dataset=first["dataset"]), 507)
        assert body["code"] == "disk_low" and "MB" in body["detail"]
        paused = server.wait_job(waiting["id"], "paused")
        assert paused["error"]["code"] == "disk_low" and "resume" in paused["error"]["hint"]
        assert re.search("warn.*job paused.*disk_low", server.log)
        os.unlink(folder / "filler")
        assert server.post(f"/v1/jobs/{waiting['id']}/resume").json()["error"] is None
        assert server.wait_job(waiting["id"])["status"] == "succeeded"
        server.stop()
    finally:
        subprocess.run(["umount", "-l", folder], check=False)


# --- Pauses and changes ---------------------------------------------------------------------------

def test_a_stage_that_says_then_pause_pauses_and_later_stages_can_be_changed(server):
    stages = [{"name": "head", "freeze_to": -1, "epochs": 1, "then": "pause"},
              {"name": "all", "freeze_to": 0, "epochs": 1}]
    job = post(server, stages=stages).json()
    job = server.wait_job(job["id"], "paused")
    assert job["reason"]["code"] == "stage_done" and "head" in job["reason"]["detail"]
    assert job["error"] is None
    path = f"/v1/jobs/{job['id']}"
    stages = job["spec"]["stages"]

    changed = [stages[0], {**stages[1], "epochs": 3, "lr": 1e-4}]
    reply = server.request("PATCH", path, json={"stages": changed, "name": "better"})
    assert reply.status_code == 200, reply.text
    assert reply.json()["spec"]["stages"][1]["epochs"] == 3 and reply.json()["name"] == "better"
    body = problem(server.request("PATCH", path, json={
        "stages": [{**stages[0], "epochs": 2}, stages[1]]}), 409)
    assert body["errors"][0]["pointer"] == "/stages/0" and "begun" in body["detail"]
    problem(server.request("PATCH", path, json={"stages": stages[:0]}), 422)
    problem(server.request("PATCH", path, json={"stages": [stages[0], {"epochs": "x"}]}), 400)
    assert "stages" in problem(server.request("PATCH", path, json={"stage": []}), 400)["detail"]
    problem(server.request("PATCH", path, json={"seed": 1}), 400)
    problem(server.request("PATCH", path, json={}), 422)

    resumed = server.post(path + "/resume").json()
    assert resumed["reason"] is None
    job = server.wait_job(job["id"])
    assert job["status"] == "succeeded", job["error"]
    ran = [(e["stage_index"], e["epoch"]) for e in events(server, job["id"], "epoch")]
    assert ran == [(0, 0), (1, 0), (1, 1), (1, 2)]
    problem(server.request("PATCH", path, json={"name": "x"}), 409)


def test_a_queued_job_can_be_changed_and_a_running_one_cannot(server):
    running = server.job({"steps": 500, "delay": .02})
    waiting = server.job({}, dataset=running["dataset"])
    reply = server.request("PATCH", f"/v1/jobs/{waiting['id']}",
                           json={"priority": 7, "metadata": {"owner": "lab"}})
    assert reply.status_code == 200
    assert reply.json()["spec"]["priority"] == 7
    assert reply.json()["metadata"] == {"owner": "lab"}
    shown = server.get(f"/v1/jobs/{waiting['id']}")
    server.request("PATCH", f"/v1/jobs/{waiting['id']}", json={"priority": 8})
    again = server.get(f"/v1/jobs/{waiting['id']}",
                       headers={"If-None-Match": shown.headers["ETag"]})
    assert again.status_code == 200 and again.json()["spec"]["priority"] == 8
    server.wait_job(running["id"], "running")
    detail = problem(server.request("PATCH", f"/v1/jobs/{running['id']}", json={"name": "x"}),
                     409)["detail"]
    assert "pause it first" in detail
    for job in (running, waiting):
        server.post(f"/v1/jobs/{job['id']}/cancel")
        server.wait_job(job["id"])


# --- Files that are gone --------------------------------------------------------------------------

def blob_files(server):
    return {path.name: path for path in (server.data / "blobs").rglob("*") if path.is_file()}


def test_a_paused_job_whose_data_is_missing_says_so_and_loses_nothing(start):
    server = start()
    job = server.job({"steps": 20, "delay": .03})
    wait_for(lambda: server.get(f"/v1/jobs/{job['id']}").json(),
             lambda j: (j["progress"] or {}).get("step"))
    server.post(f"/v1/jobs/{job['id']}/pause")
    server.wait_job(job["id"], "paused")
    pack = next(path for path in blob_files(server).values()
                if path.read_bytes().startswith(b"pack"))
    pack.rename(server.data / "away")
    body = problem(server.post(f"/v1/jobs/{job['id']}/resume"), 409)
    assert body["code"] == "file_missing" and pack.name in body["detail"]
    assert "stays paused" in body["detail"]
    assert server.get(f"/v1/jobs/{job['id']}").json()["status"] == "paused"
    body = problem(post(server, dataset=job["dataset"]), 409)
    assert body["code"] == "file_missing"
    (server.data / "away").rename(pack)
    assert server.post(f"/v1/jobs/{job['id']}/resume").status_code == 202
    assert server.wait_job(job["id"])["status"] == "succeeded"


def test_a_queued_job_whose_data_vanishes_is_paused(start):
    server = start()
    running = server.job({"steps": 40, "delay": .03})
    waiting = server.job({}, dataset=running["dataset"])
    index = next(path for path in blob_files(server).values()
                 if path.read_bytes().startswith(b"index"))
    index.rename(server.data / "away")
    paused = server.wait_job(waiting["id"], "paused")
    assert paused["error"]["code"] == "file_missing" and index.name in paused["error"]["detail"]
    (server.data / "away").rename(index)
    server.post(f"/v1/jobs/{waiting['id']}/resume")
    assert server.wait_job(waiting["id"])["status"] == "succeeded"


def test_a_checkpoint_that_is_damaged_is_told_when_a_job_starts_from_it(start):
    server = start()
    job = server.wait_job(server.job()["id"])
    rows = server.get(f"/v1/jobs/{job['id']}/checkpoints").json()["data"]
    damaged, lost = rows[0], rows[1]
    files = blob_files(server)
    files[damaged["sha256"]].write_bytes(b"another thing")
    more = {"dataset": job["dataset"], "model": damaged["id"]}
    body = problem(server.post("/v1/jobs", json=more), 422)
    assert body["code"] == "file_damaged" and "backup" in body["detail"]
    files[lost["sha256"]].unlink()
    body = problem(server.post("/v1/jobs", json={**more, "model": lost["id"]}), 409)
    assert body["code"] == "file_missing"
    body = problem(server.get(f"/v1/checkpoints/{lost['id']}/weights"), 404)
    assert lost["sha256"] in body["detail"] and "backup" in body["detail"]


# --- Promoted and repeated ------------------------------------------------------------------------

def test_a_rehearsal_is_promoted_to_all_of_the_data(server):
    small = server.wait_job(post(server, sample={"fraction": .1}, epochs=2).json()["id"])
    path = f"/v1/jobs/{small['id']}/promote"
    reply = server.post(path, json={"fraction": 1.0})
    assert reply.status_code == 202, reply.text
    grown = reply.json()
    assert reply.headers["Location"] == f"/v1/jobs/{grown['id']}"
    assert grown["parent"] == small["id"] and grown["model"] == "thaw-small"
    assert not grown["spec"]["sample"] and small["spec"]["sample"]["fraction"] == .1
    assert grown["spec"]["stages"] == small["spec"]["stages"]
    assert grown["id"] in server.get(f"/v1/jobs/{small['id']}").json()["children"]
    server.wait_job(grown["id"])

    more = server.post(path, json={"fraction": .5, "fresh": False}).json()
    assert more["model"] == small["result_model"] and more["spec"]["sample"]["fraction"] == .5
    server.wait_job(more["id"])


def test_a_promotion_leaves_the_last_fractions_stages(server):
    job = server.wait_job(post(server, fractions=[.1, .5], epochs=1).json()["id"])
    assert any("@0.1" in stage["name"] for stage in job["spec"]["stages"])
    grown = server.post(f"/v1/jobs/{job['id']}/promote", json={}).json()
    names = [stage["name"] for stage in grown["spec"]["stages"]]
    assert len(names) == len(job["spec"]["stages"]) / 2 and not any("@" in name for name in names)
    assert not any(stage.get("sample") for stage in grown["spec"]["stages"])
    server.wait_job(grown["id"])


def test_only_what_succeeded_is_promoted(server):
    running = server.job({"steps": 500, "delay": .02})
    path = f"/v1/jobs/{running['id']}/promote"
    assert "wait for its end" in problem(server.post(path, json={}), 409)["detail"]
    server.post(f"/v1/jobs/{running['id']}/cancel")
    server.wait_job(running["id"])
    problem(server.post(path, json={}), 409)
    failed = server.wait_job(server.job({"error": {"at": 0, "detail": "No."}})["id"])
    assert "failed" in problem(server.post(f"/v1/jobs/{failed['id']}/promote", json={}),
                               409)["detail"]
    problem(server.post("/v1/jobs/job_none/promote", json={}), 404)


@pytest.mark.parametrize("body, status", [
    ({"fraction": 0}, 422), ({"fraction": 1.5}, 422), ({"fraction": "all"}, 400),
    ({"fractoin": .5}, 400), ({"fresh": 1}, 400)])
def test_a_promotion_that_cannot_be_is_refused(server, body, status):
    job = server.wait_job(server.job()["id"])
    problem(server.post(f"/v1/jobs/{job['id']}/promote", json=body), status)


def test_a_rerun_says_whether_the_weights_are_equal(server):
    first = server.wait_job(server.job()["id"])
    reply = server.post("/v1/jobs", json={"rerun_of": first["id"], "name": "again"})
    assert reply.status_code == 202, reply.text
    again = server.wait_job(reply.json()["id"])
    assert again["rerun_of"] == first["id"] and again["name"] == "again"
    assert again["rerun"] == {"of": first["id"], "equal": True, "differs": [],
                              "weights_sha256": first["weights_sha256"]}


def test_a_rerun_that_differs_says_in_what(start):
    server = start()
    first = server.wait_job(server.job()["id"])
    script = {"digest": "ab" * 32}
    again = server.post("/v1/jobs", json={"rerun_of": first["id"], "metadata": {
        "script": json.dumps(script)}}).json()
    again = server.wait_job(again["id"])
    assert again["rerun"]["equal"] is False and again["weights_sha256"] == "ab" * 32
    assert again["rerun"]["differs"] == []  # all that is known was equal


@pytest.mark.parametrize("body, status", [
    ({"rerun_of": "job_none"}, 422), ({"rerun_of": 7}, 400),
    ({"rerun_of": "job_none", "seed": 3}, 422)])
def test_a_rerun_that_cannot_be_is_refused(server, body, status):
    problem(server.post("/v1/jobs", json=body), status)
    assert wait_for(lambda: server.get("/healthz").status_code, lambda code: code == 200)
