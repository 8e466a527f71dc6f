"""Plans, pauses, promotions and reports with the real engine, on drawn images."""
import csv
import io
import subprocess

import pytest

from conftest import ENGINE, problem, wait_for

pytestmark = pytest.mark.skipif(not ENGINE.exists(), reason="thaw-engine was not built")

STAGES = [{"name": "head", "freeze_to": -1, "epochs": 1, "lr": 2e-3},
          {"name": "all", "freeze_to": 0, "epochs": 2, "lr": {"slice": [1e-4, 1e-3]}}]
CLASSES, TRAIN, VALID = 3, 24, 8


def has_plan():
    return not subprocess.run([ENGINE, "plan", "--help"], capture_output=True,
                              check=False).returncode


needs_plan = pytest.mark.skipif(ENGINE.exists() and not has_plan(),
                                reason="this engine has no verb plan")


def upload_drawn(server, folder, classes):
    path = folder / "images.zip"
    subprocess.run([ENGINE, "synth", "--set", "b", "--out", path, "--classes", str(classes),
                    "--per-class", str(TRAIN), "--valid", str(VALID), "--size", "32", "--seed",
                    "5"], check=True, stdout=subprocess.DEVNULL)
    made = server.post("/v1/datasets?name=drawn", path.read_bytes()).json()
    assert server.wait_dataset(made["id"])["status"] == "ready"
    return made["id"]


@pytest.fixture(scope="module")
def dataset(real_server, tmp_path_factory):
    return upload_drawn(real_server, tmp_path_factory.mktemp("synth"), CLASSES)


def spec(dataset, **more):
    return {"dataset": dataset, "model": "thaw-small", "weights": "random", "batch_size": 8,
            "image": {"size": 32}, "seed": 3, "stages": STAGES, **more}


def run(server, body, path="/v1/jobs"):
    reply = server.post(path, json=body)
    assert reply.status_code == 202, reply.text
    job = wait_for(lambda: server.get(f"/v1/jobs/{reply.json()['id']}").json(),
                   lambda j: j["status"] in ("succeeded", "failed", "paused"), 120)
    assert job["status"] != "failed", job["error"]
    return job


@pytest.fixture(scope="module")
def job(real_server, dataset):
    return run(real_server, spec(dataset))


@needs_plan
def test_a_dry_run_foretells_the_run(real_server, dataset, job):
    plan = real_server.post("/v1/jobs?dry_run=true", json=spec(dataset)).json()
    stages = plan["stages"]
    assert [stage["steps"] for stage in stages] == [9, 18]
    assert [group["frozen"] for group in stages[0]["groups"]] == [True, True, False]
    assert not any(group["frozen"] for group in stages[1]["groups"])
    assert len(stages[1]["learning_rates"]) == len(stages[1]["momentum"]) == 18
    assert job["progress"]["steps"] == 18
    assert plan["estimate"]["peak_memory_bytes"] > 1 << 20
    assert plan["estimate"]["basis"] == "measured"  # by the job that ran before
    ran = real_server.get(f"/v1/jobs/{job['id']}/schedule").json()
    assert ran["stages"] == stages


@needs_plan
def test_what_cannot_run_is_refused_before_it_is_queued(real_server, dataset):
    huge = spec(dataset, model="resnet50", batch_size=72, image={"size": 1024})
    refused = problem(real_server.post("/v1/jobs", json=huge), 507)
    assert refused["code"] == "no_memory" and "batch_size of" in refused["detail"]
    assert real_server.get("/v1/jobs?status=queued").json()["data"] == []


def test_the_report_and_its_parts_agree(real_server, job):
    path = f"/v1/jobs/{job['id']}"
    report = real_server.get(path + "/report").json()
    assert report["n"] == CLASSES * VALID and len(report["classes"]) == CLASSES
    matrix = real_server.get(path + "/confusion_matrix").json()["confusion_matrix"]
    assert [sum(row) for row in matrix] == [VALID] * CLASSES
    right = sum(matrix[i][i] for i in range(CLASSES))
    assert report["accuracy"] == pytest.approx(right / report["n"])
    losses = [e["loss"] for e in real_server.get(path + "/top_losses?k=5").json()["data"]]
    assert len(losses) == 5 and losses == sorted(losses, reverse=True)
    rows = list(csv.DictReader(io.StringIO(real_server.get(path + "/predictions").text)))
    assert len(rows) == report["n"]
    assert sum(row["label"] == row["predicted"] for row in rows) == right


def test_a_rerun_has_the_same_weights(real_server, job):
    again = run(real_server, {"rerun_of": job["id"]})
    assert again["rerun"]["equal"] is True and again["rerun"]["differs"] == []


def test_a_stage_pauses_the_job_and_what_follows_is_changed(real_server, dataset):
    stages = [{**STAGES[0], "then": "pause"}, STAGES[1]]
    job = run(real_server, spec(dataset, stages=stages))
    assert job["status"] == "paused" and job["reason"]["code"] == "stage_done"
    path = f"/v1/jobs/{job['id']}"
    changed = [job["spec"]["stages"][0], {**job["spec"]["stages"][1], "epochs": 1}]
    assert real_server.request("PATCH", path, json={"stages": changed}).status_code == 200
    assert real_server.post(path + "/resume").status_code == 202
    job = real_server.wait_job(job["id"])
    assert job["status"] == "succeeded", job["error"]
    epochs = [row["stage"] for row in real_server.get(path + "/metrics").json()["data"]]
    assert epochs == ["head", "all"]


def test_a_rehearsal_grows(real_server, dataset):
    small = run(real_server, spec(dataset, sample={"fraction": .5, "min_per_class": 4}))
    grown = run(real_server, {"fraction": 1.0}, f"/v1/jobs/{small['id']}/promote")
    assert grown["parent"] == small["id"] and grown["progress"]["steps"] == 18
    assert small["progress"]["steps"] < 18


@pytest.mark.parametrize("task", ["evaluate", "predict"])
def test_a_model_goes_over_a_split(real_server, dataset, job, task):
    body = {"dataset": dataset, "model": job["result_model"], "task": task, "tta": 2}
    done = run(real_server, body)
    assert done["result_model"] is None
    said = done["estimate"]
    assert 0 < said["seconds_low"] <= said["seconds"] <= said["seconds_high"]
    assert said["actual"]["seconds"] > 0 and said["actual"]["peak_memory_bytes"] > 0
    stage, = real_server.get(f"/v1/jobs/{done['id']}/schedule").json()["stages"]
    assert stage["steps"] == done["progress"]["steps"] == done["progress"]["step"]
    assert all(group["frozen"] for group in stage["groups"]) and stage["learning_rates"] == []
    assert real_server.post("/v1/jobs?dry_run=true", json=body).json()["estimate"]["basis"] == \
        "measured"  # the first has taught how long such a pass takes
    report = real_server.get(f"/v1/jobs/{done['id']}/report").json()
    assert report["accuracy"] == pytest.approx(job["best"]["accuracy"], abs=.2)
    lines = real_server.get(f"/v1/jobs/{done['id']}/predictions?format=ndjson").text.splitlines()
    assert len(lines) == report["n"] == stage["n_valid"]


def test_an_evaluation_over_unknown_classes_is_refused_before_it_runs(real_server, job, tmp_path):
    wider = upload_drawn(real_server, tmp_path, CLASSES + 1)
    reply = real_server.post("/v1/jobs", json={
        "dataset": wider, "model": job["result_model"], "task": "evaluate"})
    assert "1 of the data set's 4 classes are unknown to the model" in \
        problem(reply, 422)["detail"]


def test_the_rate_finder_leaves_its_curve(real_server, dataset):
    done = run(real_server, spec(dataset, task="lr_find", stages=STAGES[:1],
                                 lr_find={"steps": 20}))
    curve = real_server.get(f"/v1/jobs/{done['id']}/lr_find").json()
    assert len(curve["learning_rates"]) == len(curve["losses"]) and "suggestions" in curve


# --- several models -------------------------------------------------------------------------------

def test_models_of_pictures_are_averaged_too(real_server, dataset, job):
    other = run(real_server, spec(dataset, seed=8, image={"size": 48}))
    ids = [job["result_model"], other["result_model"]]
    body = {"dataset": dataset, "task": "evaluate"}
    tables = []
    for more in ({"model": ids[0]}, {"model": ids[1]}, {"model": ids[0], "ensemble": [ids[1]]}):
        done = run(real_server, {**body, **more})
        text = real_server.get(f"/v1/jobs/{done['id']}/predictions").text
        tables.append({row["path"]: row for row in csv.DictReader(io.StringIO(text))})
    assert len(tables[2]) == CLASSES * VALID
    columns = [name for name in next(iter(tables[2].values()))
               if name not in ("path", "label", "predicted")]
    assert len(columns) == CLASSES
    for path, row in tables[2].items():
        for name in columns:
            mean = (float(tables[0][path][name]) + float(tables[1][path][name])) / 2
            assert float(row[name]) == pytest.approx(mean, abs=1e-6)
    item, = real_server.get(f"/v1/datasets/{dataset}/items?limit=1").json()["data"]
    picture = real_server.get(f"/v1/datasets/{dataset}/items/{item['item']}/content").content
    answers = []
    for model, query in ((ids[0], {}), (ids[1], {}), (ids[0], {"ensemble": ids[1]})):
        reply = real_server.request("POST", f"/v1/models/{model}/predict", data=picture,
                                    params=query, headers={"Content-Type": "image/jpeg"})
        assert reply.status_code == 200, reply.text
        answers.append({entry["label"]: entry["probability"]
                        for entry in reply.json()["predictions"][0]["probabilities"]})
    for label, probability in answers[2].items():
        mean = (answers[0][label] + answers[1][label]) / 2
        assert probability == pytest.approx(mean, abs=1e-6)
