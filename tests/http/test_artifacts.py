"""What a run leaves behind: reports, predictions, the finder's curve, the schedule, the log."""
import json

import pytest

from conftest import problem, wait_for
from scripted_engine import REPORT, SAMPLES

PARTS = ["report", "confusion_matrix", "most_confused", "top_losses", "predictions", "lr_find"]


@pytest.fixture(scope="module")
def job(server):
    return server.wait_job(server.job({"artifacts": list(SAMPLES)})["id"])["id"]


def test_the_report_is_served_as_the_engine_wrote_it(server, job):
    reply = server.get(f"/v1/jobs/{job}/report")
    assert reply.json() == REPORT and reply.headers["Content-Type"] == "application/json"
    again = server.get(f"/v1/jobs/{job}/report", headers={"If-None-Match": reply.headers["ETag"]})
    assert again.status_code == 304


def test_parts_of_the_report_have_routes_of_their_own(server, job):
    matrix = server.get(f"/v1/jobs/{job}/confusion_matrix").json()
    assert matrix == {"n": 4, "classes": REPORT["classes"],
                      "confusion_matrix": REPORT["confusion_matrix"]}
    confused = server.get(f"/v1/jobs/{job}/most_confused").json()
    assert confused["object"] == "list" and confused["data"] == REPORT["most_confused"]
    assert len(server.get(f"/v1/jobs/{job}/top_losses").json()["data"]) == 9
    some = server.get(f"/v1/jobs/{job}/top_losses?k=3").json()
    assert some["data"] == REPORT["top_losses"][:3] and some["has_more"]
    assert not server.get(f"/v1/jobs/{job}/top_losses?k=100").json()["has_more"]
    for k in ["0", "101", "x"]:
        problem(server.get(f"/v1/jobs/{job}/top_losses?k={k}"), 422)


def test_predictions_are_csv_or_ndjson(server, job):
    path = f"/v1/jobs/{job}/predictions"
    csv = server.get(path)
    assert csv.text == SAMPLES["predictions.csv"]
    assert csv.headers["Content-Type"].startswith("text/csv")
    assert ".csv" in csv.headers["Content-Disposition"]
    for reply in [server.get(path, headers={"Accept": "application/x-ndjson"}),
                  server.get(path + "?format=ndjson", headers={"Accept": "text/csv"})]:
        assert reply.text == SAMPLES["predictions.ndjson"]
    assert "csv or ndjson" in problem(server.get(path + "?format=xml"), 422)["detail"]
    part = server.get(path, headers={"Range": "bytes=0-3"})
    assert part.status_code == 206 and part.text == "path"


def test_the_finders_curve_is_served(server, job):
    assert server.get(f"/v1/jobs/{job}/lr_find").json() == SAMPLES["lr_find.json"]


def test_the_schedule_is_there_before_the_run_and_thinned_on_demand(server):
    first = server.job({"steps": 1000, "delay": .02})
    waiting = server.job({"steps": 50}, dataset=first["dataset"], epochs=4)
    whole = server.get(f"/v1/jobs/{waiting['id']}/schedule").json()
    assert set(whole) == {"spec", "stages", "estimate"}
    stage = whole["stages"][1]
    assert stage["steps"] == 200 and len(stage["step"]) == len(stage["learning_rates"]) == 200
    thin = server.get(f"/v1/jobs/{waiting['id']}/schedule?points=5").json()["stages"][1]
    assert len(thin["step"]) == len(thin["momentum"]) == 5
    assert thin["step"][0] == 0 and thin["step"][-1] == 199
    assert thin["groups"] == stage["groups"]
    problem(server.get(f"/v1/jobs/{waiting['id']}/schedule?points=1"), 422)
    for job in (first, waiting):
        server.post(f"/v1/jobs/{job['id']}/cancel")
        server.wait_job(job["id"])


@pytest.mark.parametrize("part", PARTS)
def test_who_asks_too_early_or_in_vain_is_told_when_it_comes(server, part):
    job = server.job({"steps": 200, "delay": .02})
    detail = problem(server.get(f"/v1/jobs/{job['id']}/{part}"), 404)["detail"]
    assert job["id"] in detail and len(detail) > 60
    server.post(f"/v1/jobs/{job['id']}/cancel")
    server.wait_job(job["id"])
    assert job["id"] in problem(server.get(f"/v1/jobs/{job['id']}/{part}"), 404)["detail"]
    problem(server.get(f"/v1/jobs/job_none/{part}"), 404)


def test_artifacts_outlive_their_run_and_go_with_the_job(start):
    server = start()
    job = server.wait_job(server.job({"artifacts": list(SAMPLES)})["id"])["id"]
    server.stop()
    server = start()
    assert server.get(f"/v1/jobs/{job}/report").json() == REPORT
    assert server.request("DELETE", f"/v1/jobs/{job}").status_code == 204
    problem(server.get(f"/v1/jobs/{job}/report"), 404)
    kept = [path.read_bytes() for path in (server.data / "blobs").rglob("*") if path.is_file()]
    assert json.dumps(REPORT).encode() not in kept


def test_a_report_that_is_no_json_is_not_kept(server):
    job = server.wait_job(server.job({"artifacts": {"report.json": "{broken",
                                                    "lr_find.json": "[1]"}})["id"])
    assert job["status"] == "succeeded"
    problem(server.get(f"/v1/jobs/{job['id']}/report"), 404)
    problem(server.get(f"/v1/jobs/{job['id']}/lr_find"), 404)
    assert "file not stored" in server.log


@pytest.mark.parametrize("task", ["lr_find", "evaluate", "predict"])
def test_tasks_that_train_nothing_succeed_without_a_model(server, task):
    model = server.wait_job(server.job()["id"])["result_model"]
    spec = {"dataset": server.dataset()["id"], "model": model, "task": task,
            "metadata": {"script": json.dumps({"artifacts": list(SAMPLES)})}}
    reply = server.post("/v1/jobs", json=spec)
    assert reply.status_code == 202, reply.text
    job = server.wait_job(reply.json()["id"])
    assert job["status"] == "succeeded", job["error"]
    assert job["result_model"] is None and job["weights_sha256"] is None
    assert server.get(f"/v1/jobs/{job['id']}/report").json() == REPORT


def test_the_log_is_shown(start):
    from troubles import FAKE
    server = start(engine=FAKE)
    job = server.job({"trouble": {"kind": "noise", "bytes": 2000, "at": 1, "times": 1}})
    server.wait_job(job["id"])
    reply = wait_for(lambda: server.get(f"/v1/jobs/{job['id']}/log"),
                     lambda r: r.status_code == 200)
    assert "engine noise" in reply.text and reply.headers["Content-Type"].startswith("text/plain")
