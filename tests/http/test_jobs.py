"""Datasets and jobs: made, listed, watched, stopped, deleted, and every way to ask wrongly."""
import json
import os

import pytest

from conftest import TERMINAL, problem, wait_for


# --- Datasets


def test_a_dataset_gets_ready(server):
    dataset = server.dataset({"classes": ["a", "b", "c"], "items": 9})
    assert dataset["status"] == "ready"
    assert dataset["items"] == 9
    assert dataset["classes"] == [{"name": n, "items": 3} for n in "abc"]
    assert dataset["splits"] == {"train": 9, "valid": 0, "test": 0, "unlabelled": 0}
    assert dataset["rejected"] == {"count": 0, "items": []}
    assert dataset["error"] is None and dataset["progress"] is None


def test_what_is_no_archive_makes_the_dataset_fail_with_a_reason(server):
    reply = server.post("/v1/datasets?name=junk", b"no archive " + os.urandom(8))
    dataset = server.wait_dataset(reply.json()["id"])
    assert dataset["status"] == "failed"
    assert dataset["error"]["detail"].endswith(".")
    assert dataset["items"] is None and dataset["classes"] is None


def test_a_failed_dataset_is_processed_again_when_it_comes_again(server):
    body = b"junk " + os.urandom(8)
    first = server.post("/v1/datasets?name=junk", body).json()
    server.wait_dataset(first["id"])
    again = server.post("/v1/datasets?name=junk", body)
    assert again.status_code == 200 and again.json()["id"] == first["id"]
    assert again.json()["status"] == "processing"
    assert server.wait_dataset(first["id"])["status"] == "failed"


def test_a_dataset_is_deleted_but_not_under_a_job(server):
    dataset = server.dataset({"items": 10})["id"]
    job = server.job({"delay": 30}, dataset)
    problem(server.request("DELETE", f"/v1/datasets/{dataset}"), 409)
    server.post(f"/v1/jobs/{job['id']}/cancel")
    server.wait_job(job["id"])
    assert server.request("DELETE", f"/v1/datasets/{dataset}").status_code == 204
    problem(server.get(f"/v1/datasets/{dataset}"), 404)
    assert server.get(f"/v1/jobs/{job['id']}").json()["dataset"] == dataset


def test_lists_go_by_pages_newest_first(start):
    server = start()
    made = [server.dataset({"items": 2 + i}, wait=False)["id"] for i in range(7)]
    seen, after = [], ""
    while True:
        page = server.get(f"/v1/datasets?limit=3{after}").json()
        assert page["object"] == "list" and len(page["data"]) <= 3
        assert page["first_id"] == page["data"][0]["id"]
        assert page["last_id"] == page["data"][-1]["id"]
        seen += [d["id"] for d in page["data"]]
        if not page["has_more"]:
            break
        after = f"&after={page['last_id']}"
    assert seen == made[::-1]
    problem(server.get("/v1/datasets?after=ds_nothing"), 422)


# --- Jobs that run


def test_a_job_trains_both_stages_and_leaves_a_model(server):
    job = server.job(name="bees", epochs=2, metadata={"owner": "lab 3"})
    assert job["status"] == "queued" and job["object"] == "job" and job["name"] == "bees"
    assert set(job) >= {"spec", "metadata", "dataset", "model", "progress", "latest", "best",
                        "queue_position", "created_at", "started_at", "finished_at",
                        "estimated_finish", "error", "result_model", "weights_sha256", "engine"}
    assert job["metadata"] == {"owner": "lab 3"}
    assert [s["name"] for s in job["spec"]["stages"]] == ["stage-1", "stage-2"]

    job = server.wait_job(job["id"])
    assert job["status"] == "succeeded", job
    assert job["started_at"] and job["finished_at"] and job["queue_position"] is None
    assert job["engine"]["version"] == "scripted"
    assert job["latest"]["valid_loss"] > 0
    assert len(job["weights_sha256"]) == 64
    model = server.get(f"/v1/models/{job['result_model']}").json()
    assert model["origin"] == "job" and model["job"] == job["id"] and model["available"]

    names = [c["name"] for c in server.get(f"/v1/jobs/{job['id']}/checkpoints").json()["data"]]
    assert sorted(names) == ["best", "last", "stage-1", "stage-2"]


def test_the_location_of_a_new_job_is_the_job(server):
    reply = server.post("/v1/jobs", json={"dataset": server.dataset()["id"], "weights": "random",
                                          "model": "thaw-small"})
    assert reply.status_code == 202
    assert server.get(reply.headers["Location"]).json()["id"] == reply.json()["id"]
    server.wait_job(reply.json()["id"])


def test_curl_needs_no_content_type(server):
    spec = {"dataset": server.dataset()["id"], "model": "thaw-small", "weights": "random"}
    reply = server.post("/v1/jobs", json.dumps(spec),
                        headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert reply.status_code == 202
    server.wait_job(reply.json()["id"])


def test_a_job_waits_for_a_dataset_that_is_still_processing(server):
    dataset = server.dataset({"delay": 0.6, "items": 20}, wait=False)
    assert dataset["status"] == "processing"
    job = server.job(dataset=dataset["id"])
    assert job["status"] == "queued"
    assert server.wait_job(job["id"])["status"] == "succeeded"


def test_a_job_whose_dataset_fails_meanwhile_fails_with_dataset_failed(server):
    reply = server.post("/v1/datasets?name=x", json.dumps(
        {"delay": 0.6, "items": 30, "error": {"detail": "No."}}).encode())
    job = server.wait_job(server.job(dataset=reply.json()["id"])["id"])
    assert job["status"] == "failed" and job["error"]["code"] == "dataset_failed"


def test_a_job_that_diverges_fails_with_code_detail_and_hint(server):
    job = server.job({"error": {"at": 2, "detail": "The loss is not a number at step 2.",
                                "code": "diverged", "hint": "Use a smaller base_lr."}})
    job = server.wait_job(job["id"])
    assert job["status"] == "failed"
    assert job["error"] == {"code": "diverged", "detail": "The loss is not a number at step 2.",
                            "hint": "Use a smaller base_lr."}


def test_a_job_queued_behind_another_shows_its_place(server):
    first = server.job({"delay": 30})
    second, third = server.job(), server.job(priority=5)
    server.wait_job(first["id"], "running")
    assert server.get(f"/v1/jobs/{second['id']}").json()["queue_position"] == 1
    assert server.get(f"/v1/jobs/{third['id']}").json()["queue_position"] == 0
    listed = server.get("/v1/jobs?status=queued").json()["data"]
    assert {j["id"] for j in listed} == {second["id"], third["id"]}
    for job in (first, second, third):
        server.post(f"/v1/jobs/{job['id']}/cancel")
    for job in (first, second, third):
        server.wait_job(job["id"])


# --- Cancel, pause, resume, delete


def test_a_running_job_is_cancelled(server):
    job = server.job({"delay": 30})
    server.wait_job(job["id"], "running")
    reply = server.post(f"/v1/jobs/{job['id']}/cancel")
    assert reply.status_code == 202 and reply.json()["status"] == "cancelling"
    assert server.wait_job(job["id"])["status"] == "cancelled"
    again = server.post(f"/v1/jobs/{job['id']}/cancel")
    assert again.status_code == 200 and again.json()["status"] == "cancelled"
    problem(server.post(f"/v1/jobs/{job['id']}/pause"), 409)
    problem(server.post(f"/v1/jobs/{job['id']}/resume"), 409)


def test_a_job_cancelled_in_the_queue_never_starts(server):
    first, second = server.job({"delay": 30}), server.job()
    assert server.post(f"/v1/jobs/{second['id']}/cancel").json()["status"] == "cancelled"
    server.post(f"/v1/jobs/{first['id']}/cancel")
    server.wait_job(first["id"])
    assert server.get(f"/v1/jobs/{second['id']}").json()["started_at"] is None


def test_what_has_ended_cannot_be_cancelled(server):
    job = server.wait_job(server.job()["id"])
    assert job["status"] == "succeeded"
    for verb in ("cancel", "pause", "resume"):
        assert job["id"] in problem(server.post(f"/v1/jobs/{job['id']}/{verb}"), 409)["detail"]


def test_a_job_is_paused_and_goes_on_where_it_was(server):
    job = server.job({"delay": 0.2})
    server.wait_job(job["id"], "running")
    assert server.post(f"/v1/jobs/{job['id']}/pause").status_code == 202
    server.wait_job(job["id"], "paused")
    assert server.post(f"/v1/jobs/{job['id']}/pause").status_code == 200
    assert server.post(f"/v1/jobs/{job['id']}/resume").status_code == 202
    assert server.wait_job(job["id"])["status"] == "succeeded"
    epochs = server.get(f"/v1/jobs/{job['id']}/metrics").json()["data"]
    assert [(e["stage"], e["epoch"]) for e in epochs] == [("stage-1", 0), ("stage-2", 0),
                                                         ("stage-2", 1), ("stage-2", 2)]


def test_only_a_job_that_has_ended_is_deleted(server):
    job = server.job({"delay": 30})
    problem(server.request("DELETE", f"/v1/jobs/{job['id']}"), 409)
    server.post(f"/v1/jobs/{job['id']}/cancel")
    server.wait_job(job["id"])
    assert server.request("DELETE", f"/v1/jobs/{job['id']}").status_code == 204
    problem(server.get(f"/v1/jobs/{job['id']}"), 404)
    problem(server.get(f"/v1/jobs/{job['id']}/events"), 404)


def test_a_body_where_none_is_expected_is_ignored(server):
    job = server.job({"delay": 30})
    reply = server.post(f"/v1/jobs/{job['id']}/cancel", json={"reason": "x"})
    assert reply.status_code == 202
    server.wait_job(job["id"])


# --- Specs that are wrong


def spec_error(server, status, **fields):
    spec = {"dataset": "ds_x", "model": "thaw-small", "weights": "random", **fields}
    body = problem(server.post("/v1/jobs", json={k: v for k, v in spec.items() if v != "-"}),
                   status)
    return body["detail"], [e["pointer"] for e in body["errors"]]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"{} x", b'{"a":1,"a":2}',
                                  b'{"dataset":"\\u0000"}', b"\xff", b'{"seed":1e999}',
                                  b"[" * 100 + b"]" * 100, b'{"base_lr": NaN}'])
def test_what_is_not_json_or_no_object_is_400(server, body):
    problem(server.post("/v1/jobs", body), 400)


def test_a_misspelt_field_is_named_with_the_nearest(server):
    detail, pointers = spec_error(server, 400, epocs=3)
    assert "epocs" in detail and "epochs" in detail and pointers == ["/epocs"]


def test_a_missing_field_is_named(server):
    assert "dataset" in spec_error(server, 400, dataset="-")[0]
    assert "model" in spec_error(server, 400, model="-")[0]


@pytest.mark.parametrize("fields, status, pointer", [
    ({"epochs": 0}, 422, "/epochs"),
    ({"epochs": 10**9}, 422, "/epochs"),
    ({"epochs": "3"}, 400, "/epochs"),
    ({"epochs": 1.5}, 400, "/epochs"),
    ({"base_lr": -1}, 422, "/base_lr"),
    ({"base_lr": None}, 400, "/base_lr"),
    ({"batch_size": 0}, 422, "/batch_size"),
    ({"preset": "fine-tune"}, 422, "/preset"),
    ({"stages": []}, 422, "/stages"),
    ({"image": {"sise": 64}}, 400, "/image/sise"),
])
def test_a_value_that_cannot_be_is_refused_where_it_stands(server, fields, status, pointer):
    _, pointers = spec_error(server, status, **fields)
    assert pointers == [pointer]


def test_an_unknown_dataset_or_model_inside_a_body_is_422(server):
    assert spec_error(server, 422)[1] == ["/dataset"]
    dataset = server.dataset()["id"]
    detail, pointers = spec_error(server, 422, dataset=dataset, model="resnet35")
    assert "resnet35" in detail and pointers == ["/model"]
    assert spec_error(server, 422, dataset=dataset, model="ckpt_x", weights="-")[1] == ["/model"]


def test_a_failed_dataset_is_422(server):
    reply = server.post("/v1/datasets?name=x", b"junk " + os.urandom(8))
    dataset = server.wait_dataset(reply.json()["id"])["id"]
    assert dataset in spec_error(server, 422, dataset=dataset)[0]


def test_a_base_model_without_its_weights_says_how_to_get_them(server):
    detail, _ = spec_error(server, 422, dataset=server.dataset()["id"], model="resnet34",
                           weights="-")
    assert "POST /v1/models" in detail and "resnet34" in detail
    assert '"weights": "random"' in detail


def test_an_unknown_status_is_422_with_the_nearest(server):
    assert "running" in problem(server.get("/v1/jobs?status=runing"), 422)["detail"]


def test_an_idempotent_job_is_submitted_once(server):
    spec = {"dataset": server.dataset()["id"], "model": "thaw-small", "weights": "random"}
    headers = {"Idempotency-Key": "job-key"}
    first = server.post("/v1/jobs", json=spec, headers=headers)
    again = server.post("/v1/jobs", json=spec, headers=headers)
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json()["id"] == first.json()["id"]
    assert again.headers["Location"] == first.headers["Location"]
    spec["seed"] = 1
    problem(server.post("/v1/jobs", json=spec, headers=headers), 422)


# --- Documents


def test_the_etag_of_a_job_changes_with_its_status(server):
    job = server.job({"delay": 0.1})
    path = f"/v1/jobs/{job['id']}"
    tags = {server.get(path).headers["ETag"]}
    server.wait_job(job["id"])
    reply = server.get(path)
    assert reply.headers["ETag"] not in tags
    assert server.get(path, headers={"If-None-Match": reply.headers["ETag"]}).status_code == 304


def test_metrics_come_as_json_csv_and_ndjson(server):
    job = server.wait_job(server.job(epochs=2)["id"])
    path = f"/v1/jobs/{job['id']}/metrics"
    rows = server.get(path).json()["data"]
    assert [(r["stage"], r["stage_index"], r["epoch"]) for r in rows] == [
        ("stage-1", 0, 0), ("stage-2", 1, 0), ("stage-2", 1, 1)]
    assert rows[0]["time"] == 0.5 and rows[0]["train_loss"] > rows[2]["train_loss"]

    csv = server.get(path, headers={"Accept": "text/csv"})
    assert csv.headers["Content-Type"].startswith("text/csv")
    lines = csv.text.splitlines()
    assert lines[0] == "stage,epoch,train_loss,valid_loss,accuracy,error_rate,time"
    assert lines[1].startswith("stage-1,0,") and len(lines) == 4

    nd = server.get(path, headers={"Accept": "application/x-ndjson"})
    assert [json.loads(line) for line in nd.text.splitlines()] == rows
    for accept in ["*/*", "application/json", "text/csv;q=0"]:
        assert server.get(path, headers={"Accept": accept}).json()["data"] == rows


def test_a_checkpoint_is_downloaded_whole_and_in_parts(server):
    job = server.wait_job(server.job()["id"])
    checkpoint = server.get(f"/v1/jobs/{job['id']}/checkpoints").json()["data"][0]
    path = f"/v1/checkpoints/{checkpoint['id']}/weights"
    whole = server.get(path)
    assert len(whole.content) == checkpoint["bytes"]
    assert whole.headers["ETag"] == f'"{checkpoint["sha256"]}"'
    assert whole.headers["Accept-Ranges"] == "bytes"
    assert ".safetensors" in whole.headers["Content-Disposition"]
    size = len(whole.content)
    for text, first, last in [("bytes=0-0", 0, 0), ("bytes=2-4", 2, 4), ("bytes=3-", 3, size - 1),
                              ("bytes=-2", size - 2, size - 1), ("bytes=1-999", 1, size - 1),
                              ("bytes=-999", 0, size - 1)]:
        part = server.get(path, headers={"Range": text})
        assert part.status_code == 206, text
        assert part.headers["Content-Range"] == f"bytes {first}-{last}/{size}"
        assert part.content == whole.content[first:last + 1]
    for text in [f"bytes={size}-", "bytes=-0"]:
        reply = server.get(path, headers={"Range": text})
        problem(reply, 416)
        assert reply.headers["Content-Range"] == f"bytes */{size}"
    for text in ["bytes=4-2", "bytes=a-b", "bytes=", "items=0-1", "bytes=0-1,3-4", "bytes=-"]:
        assert server.get(path, headers={"Range": text}).status_code == 200
    fresh = {"Range": "bytes=0-1", "If-Range": whole.headers["ETag"]}
    assert server.get(path, headers=fresh).status_code == 206
    assert server.get(path, headers={**fresh, "If-Range": '"other"'}).status_code == 200
    head = server.request("HEAD", path)
    assert head.headers["Content-Length"] == str(size) and head.content == b""


# --- Crashes


def test_an_engine_that_dies_is_started_again(server):
    job = server.wait_job(server.job({"die": 2})["id"])
    assert job["status"] == "failed" and job["error"]["code"] == "engine_crashed"


def test_a_killed_server_goes_on_with_its_jobs(start):
    server = start()
    waiting = server.dataset({"delay": 1, "items": 12}, wait=False)
    job = server.job({"delay": 0.3, "steps": 4})
    wait_for(lambda: len(server.get(f"/v1/jobs/{job['id']}/checkpoints").json()["data"]),
             lambda n: n >= 1)
    server.process.kill()
    server.process.wait()
    again = start()
    assert again.wait_dataset(waiting["id"])["status"] == "ready"
    done = again.wait_job(job["id"])
    assert done["status"] == "succeeded"
    events = again.get(f"/v1/jobs/{job['id']}/events?limit=100").json()["data"]
    states = [e["status"] for e in events if e["type"] == "state"]
    assert "interrupted" in states and states[-1] == "succeeded"
    assert [e["type"] for e in events].count("done") == 1 and events[-1]["type"] == "done"


def test_a_stopped_server_goes_on_with_its_jobs(start):
    server = start()
    job = server.job({"delay": 0.1})
    server.wait_job(job["id"], "running")
    assert server.stop() == 0
    again = start()
    assert again.wait_job(job["id"])["status"] == "succeeded"
    assert set(TERMINAL) >= {again.get(f"/v1/jobs/{job['id']}").json()["status"]}
