"""Jobs on texts with the real engine: a language model, a classifier on it, what is told."""
import csv
import io
import pickle
import random

import pytest

from conftest import ENGINE, SHARED, problem, wait_for

pytestmark = pytest.mark.skipif(not ENGINE.exists(), reason="thaw-engine was not built")

TOPICS = {
    "animals": (["the cat", "a dog", "the old horse", "our bird", "a fox"],
                ["eats", "sleeps", "runs", "hides"]),
    "weather": (["the rain", "a storm", "the cold wind", "our snow", "a cloud"],
                ["falls", "blows", "comes", "passes"]),
}
PLACES = ["in the garden", "near the house", "every day", "at night"]
SIZES = {"embedding": 24, "hidden": 32, "layers": 2, "seq_len": 12, "max_len": 48, "min_freq": 2,
         "drop_mult": 0.1}
SPAM = SHARED / "data/text/sms_spam.tsv"


def sentence(topic, draw):
    subjects, verbs = TOPICS[topic]
    return f"{draw.choice(subjects)} {draw.choice(verbs)} {draw.choice(PLACES)}."


def table(labelled, unlabelled):
    """A csv of texts about two topics; those without a label come last."""
    draw, rows = random.Random(1), io.StringIO()
    writer = csv.writer(rows)
    writer.writerow(["text", "label"])
    for i in range(labelled + unlabelled):
        topic = list(TOPICS)[i % 2]
        text = " ".join(sentence(topic, draw) for _ in range(draw.randint(1, 4)))
        writer.writerow([text, topic if i < labelled else ""])
    return rows.getvalue().encode()


@pytest.fixture(scope="module")
def dataset(real_server):
    reply = real_server.post("/v1/datasets?name=topics.csv", table(120, 120))
    made = real_server.wait_dataset(reply.json()["id"])
    assert made["status"] == "ready" and made["kind"] == "text", made
    return made["id"]


def spec(dataset, **more):
    return {"dataset": dataset, "model": None, "text": SIZES, "seed": 3, "threads": 1,
            "batch_size": 8, "epochs": 10, "freeze_epochs": 2, "base_lr": 0.1, "lr_mult": 1,
            "lm_epochs": 4,
            "lm_lr": 2e-2, **more}


def finish(server, reply, seconds=300):
    assert reply.status_code == 202, reply.text
    job = wait_for(lambda: server.get(f"/v1/jobs/{reply.json()['id']}").json(),
                   lambda j: j["status"] in ("succeeded", "failed", "paused"), seconds)
    assert job["status"] != "failed", job["error"]
    return job


@pytest.fixture(scope="module")
def job(real_server, dataset):
    return finish(real_server, real_server.post("/v1/jobs", json=spec(dataset)))


def events(server, job, kind):
    listed, after = [], 0
    while True:
        page = server.get(f"/v1/jobs/{job['id']}/events?after={after}&limit=100").json()
        listed += [event for event in page["data"] if event["type"] == kind]
        if not page["has_more"]:
            return listed
        after = page["data"][-1]["seq"]


def test_passes_without_steps_are_told(real_server, job):
    passes = events(real_server, job, "progress")
    assert {event["what"] for event in passes} <= {"texts", "report"}
    assert any(event["what"] == "report" and event["done"] == event["total"] for event in passes)
    assert job["progress"]["pass"] is None


def test_a_dry_run_foretells_phases_groups_and_steps(real_server, dataset, job):
    plan = real_server.post("/v1/jobs?dry_run=true", json=spec(dataset)).json()
    stages = plan["stages"]
    assert [stage["phase"] for stage in stages] == ["language_model"] + 2 * ["classifier"]
    groups = [[group["name"] for group in stage["groups"]] for stage in stages]
    assert groups[0] == ["rnn1", "rnn2", "encoder+decoder"]
    assert groups[1] == ["embedding", "rnn1", "rnn2", "head"]
    assert [group["frozen"] for group in stages[1]["groups"]] == [True, True, True, False]
    assert plan["estimate"]["peak_memory_bytes"] > 1 << 20
    assert plan["estimate"]["basis"] == "measured"  # by the job that ran before
    ran = real_server.get(f"/v1/jobs/{job['id']}/schedule").json()["stages"]
    assert [stage["steps"] for stage in ran] == [stage["steps"] for stage in stages]


def test_the_classifier_learns_and_the_language_model_is_kept(real_server, dataset, job):
    assert job["model"] is None and job["spec"]["task"] == "text_classification"
    assert job["latest"]["accuracy"] > 0.9
    model = real_server.get(f"/v1/models/{job['result_model']}").json()
    assert len(model["lineage"]) == 1
    base = real_server.get(f"/v1/models/{model['lineage'][0]}").json()
    assert model["kind"] == base["kind"] == "text"
    assert model["classes"] == ["animals", "weather"] and base["classes"] is None
    assert base["job"] == model["job"] == job["id"] and base["lineage"] is None
    assert model["text"] == base["text"] and model["text"]["hidden"] == SIZES["hidden"]
    again = finish(real_server, real_server.post("/v1/jobs", json={
        "dataset": dataset, "model": base["id"], "lm_epochs": 0, "epochs": 1, "threads": 1,
        "batch_size": 8, "seed": 3}))
    assert again["model"] == base["id"]
    lineage = real_server.get(f"/v1/models/{again['result_model']}").json()["lineage"]
    assert lineage == [base["name"]]


def test_epochs_of_a_language_model_have_a_perplexity(real_server, job):
    epochs = events(real_server, job, "epoch")
    language = [event for event in epochs if event["stage_index"] == 0]
    assert len(language) == 4
    assert language[-1]["perplexity"] < language[0]["perplexity"]
    assert all("perplexity" not in event for event in epochs if event["stage_index"] > 0)
    steps = [event for event in events(real_server, job, "step") if event["stage_index"] == 0]
    assert all(event["tokens_per_second"] > 0 for event in steps) and steps
    assert all(event["tokens_per_second"] > 0 for event in epochs)
    assert real_server.get(f"/v1/jobs/{job['id']}").json()["progress"]["tokens_per_second"] > 0
    rows = real_server.get(f"/v1/jobs/{job['id']}/metrics").json()["data"]
    assert [row["tokens_per_second"] for row in rows] == [event["tokens_per_second"]
                                                          for event in epochs]
    table = real_server.get(f"/v1/jobs/{job['id']}/metrics", headers={"Accept": "text/csv"}).text
    assert table.splitlines()[0] == ("stage,epoch,train_loss,valid_loss,accuracy,error_rate,"
                                     "perplexity,tokens_per_second,time")


def test_each_stage_is_in_the_report(real_server, job):
    report = real_server.get(f"/v1/jobs/{job['id']}/report").json()
    stages = report["stages"]
    assert [stage["stage"] for stage in stages] == [stage["name"]
                                                    for stage in job["spec"]["stages"]]
    assert [stage["phase"] for stage in stages] == ["language_model"] + 2 * ["classifier"]
    rows = real_server.get(f"/v1/jobs/{job['id']}/metrics").json()["data"]
    for index, stage in enumerate(stages):
        last = [row for row in rows if row["stage_index"] == index][-1]
        assert stage["valid_loss"] == last["valid_loss"]
        assert stage["accuracy"] == last["accuracy"]
        assert stage["tokens"] > 0 and stage["tokens_per_second"] > 0
    assert stages[0]["perplexity"] > 1 and "perplexity" not in stages[1]
    assert report["vocabulary"]["words"] > 9 and report["vocabulary"]["known"] is None


def test_reports_are_those_of_pictures_with_the_texts(real_server, job):
    path = f"/v1/jobs/{job['id']}"
    report = real_server.get(path + "/report").json()
    assert report["n"] == 24 and report["task"] == "text_classification"
    assert report["accuracy"] == job["latest"]["accuracy"]
    assert sum(map(sum, report["confusion_matrix"])) == 24
    worst = real_server.get(path + "/top_losses?k=3").json()["data"]
    assert len(worst) == 3
    assert all(any(place in item["text"] for place in PLACES) for item in worst)
    assert report["baseline"]["accuracy"] > 0.9 and report["baseline"]["n"] == 24
    said = [event["detail"] for event in events(real_server, job, "log")]
    assert any("TF-IDF" in detail for detail in said)


def test_a_model_is_put_over_a_split_again(real_server, dataset, job):
    again = finish(real_server, real_server.post("/v1/jobs", json={
        "dataset": dataset, "model": job["result_model"], "task": "evaluate", "split": "all",
        "threads": 1}))
    report = real_server.get(f"/v1/jobs/{again['id']}/report").json()
    assert report["n"] == 120 and report["accuracy"] > 0.9
    rows = real_server.get(f"/v1/jobs/{again['id']}/predictions").text.splitlines()
    assert len(rows) == 121 and rows[1].startswith("line ")


def test_a_language_model_alone_is_a_base_for_later_jobs(real_server, dataset):
    job = finish(real_server, real_server.post("/v1/jobs", json={
        "dataset": dataset, "model": None, "task": "language_model", "text": SIZES, "threads": 1,
        "batch_size": 8, "lm_epochs": 2, "lm_lr": 2e-2}))
    model = real_server.get(f"/v1/models/{job['result_model']}").json()
    assert model["classes"] is None and model["kind"] == "text"
    assert job["latest"]["perplexity"] > 1
    report = real_server.get(f"/v1/jobs/{job['id']}/report").json()
    assert report["task"] == "language_model"
    assert report["perplexity"] == job["latest"]["perplexity"]
    assert report["accuracy"] == job["latest"]["accuracy"]
    for part in ("confusion_matrix", "most_confused", "top_losses"):
        told = problem(real_server.get(f"/v1/jobs/{job['id']}/{part}"), 404)
        assert "no classes" in told["detail"]
    stage, = report["stages"]
    assert stage["tokens"] > 0 and stage["n_valid"] > 0
    assert report["vocabulary"]["words"] == model["text"]["vocabulary"]
    tuned = finish(real_server, real_server.post("/v1/jobs", json={
        "dataset": dataset, "model": model["id"], "epochs": 1, "lm_epochs": 1, "threads": 1,
        "batch_size": 8}))
    assert [stage["phase"] for stage in tuned["spec"]["stages"]].count("language_model") == 2
    assert tuned["spec"]["text"]["hidden"] is None  # the model's
    words = real_server.get(f"/v1/jobs/{tuned['id']}/report").json()["vocabulary"]
    assert 9 < words["matched_rows"] <= words["words"] and 0.9 < words["known"] <= 1


def test_a_pause_changes_nothing(real_server, dataset, job):
    stages = [dict(stage, then="pause") if stage["name"] == "stage-1" else stage
              for stage in job["spec"]["stages"]]
    body = {key: value for key, value in spec(dataset).items()
            if key not in ("epochs", "freeze_epochs", "base_lr", "lr_mult", "lm_epochs", "lm_lr")}
    paused = finish(real_server, real_server.post("/v1/jobs", json={**body, "stages": stages}))
    assert paused["status"] == "paused"
    path = f"/v1/jobs/{paused['id']}"
    less = [*stages[:-1], {**stages[-1], "sample": {"fraction": 0.5}}]
    refused = real_server.request("PATCH", path, json={"stages": less})
    assert refused.status_code == 409 and "vocabulary" in refused.json()["detail"]
    gone_on = finish(real_server, real_server.post(f"/v1/jobs/{paused['id']}/resume"))
    assert gone_on["weights_sha256"] == job["weights_sha256"]


def test_one_percent_first_then_all(real_server, dataset):
    sampled = finish(real_server, real_server.post("/v1/jobs", json=spec(
        dataset, sample={"fraction": 0.01, "min_per_class": 10})))
    stages = events(real_server, sampled, "stage")
    assert stages[1]["n_train"] == 20
    grown = finish(real_server, real_server.post(f"/v1/jobs/{sampled['id']}/promote",
                                                 json={"fraction": 1.0}))
    assert events(real_server, grown, "stage")[1]["n_train"] == 96


def test_a_promoted_job_goes_on_from_the_language_model(real_server, dataset, job):
    path = f"/v1/jobs/{job['id']}/promote"
    grown = finish(real_server, real_server.post(path, json={"fresh": False}))
    made = real_server.get(f"/v1/models/{job['result_model']}").json()
    language_model = real_server.get(f"/v1/models/{made['lineage'][-1]}").json()
    assert grown["model"] == language_model["id"] and grown["parent"] == job["id"]
    again = real_server.get(f"/v1/models/{grown['result_model']}").json()
    assert again["lineage"][0] == language_model["name"] and len(again["lineage"]) == 2
    assert not any(event["code"] == "decoder_is_new" for event in events(real_server, grown,
                                                                         "warning"))
    before = [event for event in events(real_server, job, "epoch") if event["stage_index"] == 0]
    after = [event for event in events(real_server, grown, "epoch") if event["stage_index"] == 0]
    assert after[0]["perplexity"] < before[1]["perplexity"]
    assert grown["latest"]["accuracy"] > 0.9


def test_a_promoted_classifier_goes_on_with_its_head(real_server, dataset, job):
    base = real_server.get(f"/v1/models/{job['result_model']}").json()["lineage"][0]
    alone = finish(real_server, real_server.post("/v1/jobs", json={
        "dataset": dataset, "model": base, "threads": 1, "batch_size": 8, "seed": 3, "stages": [
            {"freeze_to": -1, "epochs": 12, "lr": 0.1}]}))
    grown = finish(real_server, real_server.post(f"/v1/jobs/{alone['id']}/promote",
                                                 json={"fresh": False}))
    assert grown["model"] == alone["result_model"]
    first = [next(iter(events(real_server, job, "epoch"))) for job in (alone, grown)]
    assert first[1]["valid_loss"] < first[0]["valid_loss"]


def test_a_promotion_whose_language_model_is_gone_says_so(real_server, dataset):
    short = finish(real_server, real_server.post("/v1/jobs", json={
        **spec(dataset), "epochs": 1, "freeze_epochs": 0, "lm_epochs": 1}))
    model = real_server.get(f"/v1/models/{short['result_model']}").json()
    language_model = real_server.get(f"/v1/models/{model['lineage'][-1]}").json()["id"]
    assert real_server.request("DELETE", f"/v1/models/{language_model}").status_code == 204
    told = problem(real_server.post(f"/v1/jobs/{short['id']}/promote", json={"fresh": False}), 409)
    assert "language model" in told["detail"] and "fresh" in told["detail"]


@pytest.mark.parametrize("more, status, pointer", [
    ({"image": {"size": 64}}, 422, "/image"),
    ({"task": "image_classification"}, 422, None),
    ({"model": "resnet18", "text": {}}, 422, None),
    ({"model": "no-such-model", "text": {}}, 422, "/model"),
    ({"class_weights": {"birds": 2}}, 422, "/class_weights"),
])
def test_what_does_not_go_with_texts_is_refused(real_server, dataset, more, status, pointer):
    refused = problem(real_server.post("/v1/jobs", json={**spec(dataset), **more}), status)
    assert pointer is None or refused["errors"][0]["pointer"] == pointer, refused


@pytest.mark.skipif(not SPAM.exists(), reason=f"{SPAM} is not here")
def test_a_sample_of_real_messages_trains_to_the_end(real_server):
    made = real_server.post(
        "/v1/datasets?name=sms.tsv&header=false&label_column=0&text_column=1", SPAM.read_bytes())
    ready = real_server.wait_dataset(made.json()["id"])
    assert ready["status"] == "ready", ready
    job = finish(real_server, real_server.post("/v1/jobs", json=spec(
        ready["id"], sample={"fraction": 0.05}, lm_epochs=2, epochs=2)))
    report = real_server.get(f"/v1/jobs/{job['id']}/report").json()
    assert report["accuracy"] > 0.8


def test_a_job_may_be_sent_before_its_texts_are_read(real_server, job):
    base = real_server.get(f"/v1/models/{job['result_model']}").json()["lineage"][0]
    made = real_server.post("/v1/datasets?name=more.csv", table(60, 20)).json()
    later = finish(real_server, real_server.post("/v1/jobs", json={
        "dataset": made["id"], "model": base, "epochs": 1, "lm_epochs": 1, "threads": 1,
        "batch_size": 8}))
    assert later["spec"]["task"] == "text_classification"
    assert later["spec"]["preset"] == "ulmfit"


def test_rates_are_sought_and_fractions_compared(real_server, dataset):
    sought = finish(real_server, real_server.post("/v1/jobs", json={
        "dataset": dataset, "model": None, "task": "lr_find", "text": SIZES, "threads": 1,
        "batch_size": 8}))
    assert real_server.get(f"/v1/jobs/{sought['id']}/lr_find").json()["stage"] == "stage-1"
    body = {key: value for key, value in spec(dataset).items() if key != "freeze_epochs"}
    parts = finish(real_server, real_server.post("/v1/jobs", json={
        **body, "freeze_epochs": 0, "fractions": [0.2, 1.0], "lm_epochs": 2}))
    names = [stage["name"] for stage in parts["spec"]["stages"]]
    assert names == ["stage-1@0.2", "stage-2@0.2", "stage-1@1", "stage-2@1"]
    curve = real_server.get(f"/v1/jobs/{parts['id']}/report").json()["learning_curve"]
    assert [point["n_train"] for point in curve] == [20, 96]


# --- what was trained answers ---------------------------------------------------------------------

def predict(server, model, **body):
    reply = server.post(f"/v1/models/{model}/predict", json=body)
    assert reply.status_code == 200, reply.text
    return reply.json()["predictions"]


def test_a_trained_classifier_and_its_checkpoints_answer(real_server, job):
    draw, topics = random.Random(9), list(TOPICS) * 3
    texts = [" ".join(sentence(topic, draw) for _ in range(3)) for topic in topics]
    answers = predict(real_server, job["result_model"], texts=texts)
    assert [answer["label"] for answer in answers] == topics
    kept = real_server.get(f"/v1/jobs/{job['id']}/checkpoints").json()["data"]
    names = {checkpoint["name"]: checkpoint["id"] for checkpoint in kept}
    last = max(name for name in names if name.startswith("stage-"))
    answers = predict(real_server, names[last], texts=texts)
    assert [answer["label"] for answer in answers] == topics


def test_predict_says_what_the_report_says(real_server, job):
    """The batches of training and those of predictions are cut differently."""
    rows = real_server.get(f"/v1/jobs/{job['id']}/top_losses?k=24").json()["data"]
    assert len(rows) == 24
    answers = predict(real_server, job["result_model"], texts=[row["text"] for row in rows])
    for row, answer in zip(rows, answers):
        assert answer["label"] == row["predicted"]
        assert answer["probability"] == pytest.approx(row["probability"], abs=1e-4)


# --- forward and backward, averaged ---------------------------------------------------------------

@pytest.fixture(scope="module")
def backward(real_server, dataset):
    """A small language model that reads from the end, and a classifier on it."""
    return finish(real_server, real_server.post("/v1/jobs", json=spec(
        dataset, text={**SIZES, "backwards": True, "min_freq": 3}, epochs=2, lm_epochs=1)))


def probabilities(answers):
    return [{entry["label"]: entry["probability"] for entry in answer["probabilities"]}
            for answer in answers]


def ask(server, model, texts, **query):
    return server.request("POST", f"/v1/models/{model}/predict", json={"texts": texts},
                          params=query)


def test_an_ensemble_answers_the_mean_of_its_models(real_server, job, backward):
    draw = random.Random(4)
    texts = [sentence(topic, draw) + " " + sentence("weather", draw)
             for topic in list(TOPICS) * 4]
    ids = [job["result_model"], backward["result_model"]]
    assert real_server.get(f"/v1/models/{ids[1]}").json()["text"]["backwards"] is True
    alone = [probabilities(ask(real_server, model, texts).json()["predictions"]) for model in ids]
    reply = ask(real_server, ids[0], texts, ensemble=ids[1])
    assert reply.status_code == 200, reply.text
    assert reply.json()["model"] == ids[0] and reply.json()["models"] == ids
    both = probabilities(reply.json()["predictions"])
    apart = 0
    for one, two, mean in zip(*alone, both):
        assert set(one) == set(two) == set(mean)
        for label in mean:
            assert mean[label] == pytest.approx((one[label] + two[label]) / 2, abs=1e-6)
            apart += abs(one[label] - two[label])
    assert apart > 0.01
    named = [answer["label"] for answer in reply.json()["predictions"]]
    assert named == [max(mean, key=mean.get) for mean in both]
    name = real_server.get(f"/v1/models/{ids[1]}").json()["name"]
    first, = ask(real_server, ids[0], texts[:1], ensemble=name, top_k=1).json()["predictions"]
    assert len(first["probabilities"]) == 1
    assert first["probability"] == pytest.approx(max(both[0].values()), abs=1e-6)


def rows_of(server, job):
    text = server.get(f"/v1/jobs/{job['id']}/predictions").text
    return {row["path"]: row for row in csv.DictReader(io.StringIO(text))}


def test_a_job_evaluates_an_ensemble(real_server, dataset, job, backward):
    ids = [job["result_model"], backward["result_model"]]
    body = {"dataset": dataset, "task": "evaluate", "split": "all", "threads": 1}
    alone = [rows_of(real_server, finish(real_server, real_server.post("/v1/jobs", json={
        **body, "model": model}))) for model in ids]
    name = real_server.get(f"/v1/models/{ids[1]}").json()["name"]
    both = finish(real_server, real_server.post("/v1/jobs", json={
        **body, "model": ids[0], "ensemble": [name]}))
    assert both["spec"]["ensemble"] == ids[1:]
    report = real_server.get(f"/v1/jobs/{both['id']}/report").json()
    assert report["models"] == ids and report["n"] == 120
    mean = rows_of(real_server, both)
    assert set(mean) == set(alone[0]) and len(mean) == 120
    column = next(key for key in next(iter(mean.values())) if "weather" in key)
    for path, row in mean.items():
        expected = sum(float(one[path][column]) for one in alone) / 2
        assert float(row[column]) == pytest.approx(expected, abs=1e-6)


@pytest.fixture(scope="module")
def other_classes(real_server):
    rows = "text,label\n" + "".join(f"the {word} number {i},{word}\n" for i in range(30)
                                     for word in ("one", "two"))
    made = real_server.wait_dataset(real_server.post("/v1/datasets?name=numbers.csv",
                                                     rows.encode()).json()["id"])
    small = {**SIZES, "min_freq": 1}
    return finish(real_server, real_server.post("/v1/jobs", json={
        "dataset": made["id"], "model": None, "text": small, "threads": 1, "batch_size": 8,
        "epochs": 1, "freeze_epochs": 0, "lm_epochs": 1}))


def test_what_is_no_ensemble_is_refused(real_server, dataset, job, backward, other_classes):
    mine, other = job["result_model"], other_classes["result_model"]
    language_model = real_server.get(f"/v1/models/{mine}").json()["lineage"][-1]
    for ensemble, said in [(other, "only"), ("no-such-model", "no-such-model"), (mine, "twice"),
                           (f"{backward['result_model']},{backward['result_model']}", "twice"),
                           ("", "commas"), (language_model, "language model")]:
        told = problem(ask(real_server, mine, ["a dog eats"], ensemble=ensemble), 422)
        assert said in told["detail"], told
    body = {"dataset": dataset, "task": "evaluate", "model": mine, "threads": 1}
    for ensemble, said, at in [([other], "lacks \"animals\", \"weather\"", "/ensemble/0"),
                               ([backward["result_model"], "no-such-model"], "no-such-model",
                                "/ensemble/1"),
                               ([mine], "twice", "/ensemble/0"),
                               (["resnet18"], "resnet18", "/ensemble/0"),
                               (["thaw-small"], "models of one kind", "/ensemble/0"),
                               ([language_model], "no classifier", "/ensemble/0")]:
        told = problem(real_server.post("/v1/jobs", json={**body, "ensemble": ensemble}), 422)
        assert said in told["detail"] and told["errors"][0]["pointer"] == at, told
    problem(real_server.post("/v1/jobs", json={**spec(dataset), "ensemble": [mine]}), 422)


def test_a_trained_language_model_goes_on_with_a_text(real_server, job):
    model = real_server.get(f"/v1/models/{job['result_model']}").json()
    known, = predict(real_server, model["lineage"][0], text="The old horse sleeps", next=8, seed=2)
    odd, = predict(real_server, model["lineage"][0], text="sleeps horse The the old")
    assert known["perplexity"] < odd["perplexity"]
    assert known["text"].startswith("The old horse sleeps") and known["continuation"].strip()


def test_a_trained_model_is_had_for_fastai(real_server, job):
    torch = pytest.importorskip("torch")
    weights = real_server.get(f"/v1/models/{job['result_model']}/weights?format=pth").content
    words = real_server.get(f"/v1/models/{job['result_model']}/weights?format=itos").content
    state = torch.load(io.BytesIO(weights))
    assert state["0.module.encoder.weight"].shape == (len(pickle.loads(words)), SIZES["embedding"])
    again = real_server.post("/v1/models?name=again", files={
        "file": ("a.pth", weights), "vocabulary": ("a.pkl", words),
        "classes": ("names.txt", b"animals\nweather\n")}).json()
    trained = real_server.get(f"/v1/models/{job['result_model']}").json()
    assert again["weights_sha256"] == trained["weights_sha256"]
