"""Models: imported, listed, downloaded, asked for predictions."""
import hashlib
import json
import os
import threading
import time

import pytest
import requests

from conftest import problem, read_reply, wait_for


def weights(**script):
    return json.dumps({"nonce": os.urandom(6).hex(), **script}).encode()


def make(server, query="", body=None, **arguments):
    reply = server.post(f"/v1/models{query}", body or weights(), **arguments)
    assert reply.status_code == 201, reply.text
    return reply


def test_base_models_are_listed(server):
    names = [m["name"] for m in server.get("/v1/models?origin=base").json()["data"]]
    assert {"resnet18", "resnet34", "resnet50", "squeezenet1_1", "thaw-small"} <= set(names)
    model = server.get("/v1/models/resnet34").json()
    assert model["id"] == "mdl_resnet34" and model["origin"] == "base" and not model["available"]
    assert set(model) >= {"object", "kind", "architecture", "job", "dataset", "classes", "groups",
                          "parameters", "metrics", "sha256", "created_at"}
    problem(server.get("/v1/models?origin=bse"), 422)


def test_an_import_answers_with_the_model(server):
    reply = make(server, "?name=mine&architecture=resnet34")
    model = reply.json()
    assert model["name"] == "mine" and model["architecture"] == "resnet34"
    assert model["origin"] == "import" and model["available"] and model["classes"] is None
    assert reply.headers["Location"] == f"/v1/models/{model['id']}"
    assert server.get("/v1/models/mine").json() == model
    problem(server.post("/v1/models?name=mine", weights()), 409)


def test_its_weights_are_downloaded(server):
    model = make(server, "?name=load").json()
    reply = server.get("/v1/models/load/weights")
    assert hashlib.sha256(reply.content).hexdigest() == model["sha256"]
    assert reply.headers["ETag"] == f'"{model["sha256"]}"'
    assert reply.headers["Content-Disposition"] == 'attachment; filename="load.safetensors"'
    assert reply.headers["Content-Type"] == "application/octet-stream"
    assert "sandbox" in reply.headers["Content-Security-Policy"]
    assert server.get("/v1/models/load/weights",
                      headers={"If-None-Match": reply.headers["ETag"]}).status_code == 304
    assert server.get("/v1/models/load/weights?format=safetensors").status_code == 200
    problem(server.get("/v1/models/load/weights?format=tflite"), 422)
    problem(server.get("/v1/models/resnet34/weights"), 404)


def test_what_holds_no_weights_is_422_with_the_engines_sentence(server):
    assert problem(server.post("/v1/models", b"not weights"), 422)["code"] == "not_weights"
    body = problem(server.post("/v1/models", weights(error={
        "detail": "The tensor layer4.0.conv1.weight is missing.", "hint": "Send the whole file."})),
        422)
    assert "layer4" in body["detail"] and body["hint"] == "Send the whole file."
    assert "curl" in problem(server.post("/v1/models", b""), 422)["detail"]


@pytest.mark.parametrize("name", ["", "a b", "a/b", "mdl_x", "ckpt_1", "x" * 101, "\u00e9"])
def test_a_name_that_could_be_mistaken_is_422(server, name):
    problem(server.post("/v1/models", weights(), params={"name": name}), 422)


def test_classes_come_by_name_by_text_or_by_file(server):
    imagenet = make(server, "?classes=imagenet1k").json()["classes"]
    assert len(imagenet) == len(set(imagenet)) == 1000
    assert imagenet[0] == "tench" and imagenet[999] == "toilet tissue"

    for names in [(None, "cat\ndog\n"), ("names.txt", b"cat\r\ndog\r\n\r\n")]:
        reply = server.post("/v1/models", files={"file": ("w.pth", weights()), "classes": names})
        assert reply.status_code == 201 and reply.json()["classes"] == ["cat", "dog"]


def test_many_class_names_pass(server):
    names = [f"class number {i} of a long list" for i in range(20000)]
    files = {"file": ("w.pth", weights()), "classes": ("c.txt", "\n".join(names))}
    assert server.post("/v1/models", files=files).json()["classes"] == names


def test_a_misspelt_model_is_put_right(server):
    assert 'did you mean "resnet18"?' in problem(server.get("/v1/models/resnt18"), 404)["detail"]


@pytest.mark.parametrize("names, word", [("cat\ncat", "twice"), ("", "empty"), ("a\n\nb", "1 to"),
                                         ("x" * 201, "200"), ("a\x00b", "")])
def test_a_list_of_classes_that_cannot_be_is_refused(server, names, word):
    files = {"file": ("w", weights()), "classes": ("c.txt", names)}
    assert word in problem(server.post("/v1/models", files=files), 422)["detail"]
    problem(server.post("/v1/models?classes=imagenet2k", weights()), 422)


def test_an_import_under_a_key_is_done_once(server):
    body, headers = weights(), {"Idempotency-Key": "import-1"}
    first = server.post("/v1/models", body, headers=headers)
    again = server.post("/v1/models", body, headers=headers)
    assert first.status_code == again.status_code == 201 and first.text == again.text


def test_the_same_key_while_the_first_still_runs_is_409(server):
    body, headers = weights(delay=0.7), {"Idempotency-Key": "import-2"}
    thread = threading.Thread(target=lambda: requests.post(server.url + "/v1/models", body,
                                                           headers=headers))
    thread.start()
    time.sleep(0.3)
    problem(server.post("/v1/models", body, headers=headers), 409)
    thread.join()
    assert server.post("/v1/models", body, headers=headers).status_code == 201


def test_a_client_that_leaves_during_an_import_harms_nobody(server):
    before = set(server.uploads())
    body = weights(delay=0.5, who="left")
    with server.connect() as sock:
        sock.sendall(b"POST /v1/models?name=left HTTP/1.1\r\nHost: localhost:%d\r\n"
                     b"Content-Length: %d\r\n\r\n" % (server.port, len(body)) + body)
        time.sleep(0.2)
    wait_for(lambda: server.get("/v1/models/left").status_code, lambda status: status == 200)
    wait_for(lambda: set(server.uploads()) - before, lambda left: not left)


def test_other_requests_are_served_while_an_import_runs(server):
    thread = threading.Thread(target=lambda: requests.post(server.url + "/v1/models",
                                                           weights(delay=1)))
    thread.start()
    begin = time.monotonic()
    for _ in range(20):
        assert server.get("/healthz").status_code == 200
    assert time.monotonic() - begin < 0.9
    thread.join()


def test_a_server_that_stops_answers_the_imports_that_wait(start):
    server = start()
    body = weights(delay=20)
    sock = server.connect()
    sock.sendall(b"POST /v1/models HTTP/1.1\r\nHost: localhost:%d\r\nContent-Length: %d\r\n\r\n"
                 % (server.port, len(body)) + body)
    wait_for(lambda: list((server.data / "tmp").iterdir()), bool)
    assert server.stop() == 0
    assert read_reply(sock)[0] == 503
    sock.close()


def test_a_model_is_deleted_but_no_base_model(server):
    make(server, "?name=gone")
    assert server.request("DELETE", "/v1/models/gone").status_code == 204
    problem(server.get("/v1/models/gone"), 404)
    problem(server.request("DELETE", "/v1/models/resnet18"), 409)


# --- Prediction


@pytest.fixture(scope="module")
def model(server):
    return make(server, "?name=seer").json()["id"]


def test_a_picture_gets_a_label(server, model):
    for path in [model, "seer"]:
        reply = server.post(f"/v1/models/{path}/predict", b"cat")
        assert reply.status_code == 200, reply.text
        assert reply.json() == {"model": model, "predictions": [{
            "label": "cat", "probability": 0.75,
            "probabilities": [{"label": "cat", "probability": 0.75},
                              {"label": "other", "probability": 0.25}]}]}


def test_top_k_says_how_many(server, model):
    reply = server.post(f"/v1/models/{model}/predict?top_k=1", b"cat")
    assert len(reply.json()["predictions"][0]["probabilities"]) == 1
    for bad in ["0", "1001", "x"]:
        problem(server.post(f"/v1/models/{model}/predict?top_k={bad}", b"cat"), 422)


def test_tta_is_true_or_false(server, model):
    for wish, label in [("true", "cat in views"), ("false", "cat")]:
        reply = server.post(f"/v1/models/{model}/predict?tta={wish}", b"cat")
        assert reply.json()["predictions"][0]["label"] == label
    form = {"tta": (None, "true"), "file": ("a.jpg", b"cat")}
    reply = server.post(f"/v1/models/{model}/predict", files=form)
    assert reply.json()["predictions"][0]["label"] == "cat in views"
    for bad in ["", "1", "yes", "TRUE", "4"]:
        reply = server.post(f"/v1/models/{model}/predict?tta={bad}", b"cat")
        detail = problem(reply, 400)["detail"]
        assert "true or false" in detail


def test_a_form_whose_part_has_another_name_is_told_the_name(server, model):
    for part in ["data", "image"]:
        reply = server.post(f"/v1/models/{model}/predict", files={part: ("a.jpg", b"cat")})
        assert 'called "file"' in problem(reply, 422)["detail"]


def test_several_pictures_of_a_form_are_answered_in_order(server, model):
    files = [("file", (f"{i}.jpg", f"picture {i}".encode())) for i in range(30)]
    reply = server.post(f"/v1/models/{model}/predict", files=files)
    assert [p["label"] for p in reply.json()["predictions"]] == [f"picture {i}" for i in range(30)]


def test_a_damaged_picture_is_422_and_named(server, model):
    assert problem(server.post(f"/v1/models/{model}/predict", b"bad"), 422)["code"] == "bad_image"
    files = [("file", ("good.jpg", b"good")), ("file", ("broken.jpg", b"bad one"))]
    detail = problem(server.post(f"/v1/models/{model}/predict", files=files), 422)["detail"]
    assert "broken.jpg" in detail


def test_nothing_to_predict_is_422(server, model):
    problem(server.post(f"/v1/models/{model}/predict", b""), 422)
    problem(server.post(f"/v1/models/{model}/predict", files={"top_k": (None, "1")}), 422)
    problem(server.post(f"/v1/models/{model}/predict", json={"picture": "x"}), 400)


def test_what_cannot_predict_says_so(server):
    problem(server.post("/v1/models/nothing/predict", b"cat"), 404)
    assert "weights" in problem(server.post("/v1/models/resnet34/predict", b"cat"), 422)["detail"]


def test_a_picture_has_a_size_limit(server, model):
    with server.connect() as sock:
        sock.sendall(b"POST /v1/models/%s/predict HTTP/1.1\r\nHost: localhost:%d\r\n"
                     b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n"
                     % (model.encode(), server.port, (64 << 20) + 1))
        assert read_reply(sock)[0] == 413


def test_a_checkpoint_predicts_while_its_job_trains(server):
    job = server.job({"delay": 0.2, "steps": 5})
    path = f"/v1/jobs/{job['id']}/checkpoints"
    checkpoint = wait_for(lambda: server.get(path).json()["data"], bool)[0]["id"]
    reply = server.post(f"/v1/models/{checkpoint}/predict", b"dog")
    assert reply.json()["predictions"][0]["label"] == "dog"
    assert reply.json()["model"] == checkpoint
    server.post(f"/v1/jobs/{job['id']}/cancel")
    server.wait_job(job["id"])


def test_50_predictions_at_once_keep_apart(server, model):
    answers = {}

    def ask(i):
        reply = requests.post(f"{server.url}/v1/models/{model}/predict", f"p{i}".encode())
        answers[i] = reply.json()["predictions"][0]["label"] if reply.ok else reply.status_code

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {i: f"p{i}" for i in range(50)}


def test_no_upload_of_a_prediction_stays(server, model):
    before = set(server.uploads())
    server.post(f"/v1/models/{model}/predict", b"cat")
    wait_for(lambda: set(server.uploads()) - before, lambda left: not left)
