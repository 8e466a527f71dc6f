"""Weights in other formats: made once, kept, downloaded like any other file."""
import hashlib
import json
import threading

import requests

from conftest import problem, wait_for
from test_models import make, weights


def path(name, format="onnx"):
    return f"/v1/models/{name}/weights?format={format}"


def test_an_export_is_made_once_and_downloaded_like_a_file(server):
    make(server, "?name=out")
    for format, ending, kind in [("onnx", "onnx", "application/octet-stream"),
                                 ("bundle", "zip", "application/zip")]:
        first = server.get(path("out", format))
        assert first.status_code == 200 and first.content.startswith(format.encode())
        assert first.headers["Content-Disposition"] == f'attachment; filename="out.{ending}"'
        assert first.headers["Content-Type"] == kind
        assert first.headers["ETag"] == f'"{hashlib.sha256(first.content).hexdigest()}"'
        again = server.get(path("out", format))  # it names the process that made it
        assert again.content == first.content and again.headers["ETag"] == first.headers["ETag"]


def test_ranges_conditions_and_head_work_on_it(server):
    make(server, "?name=ranged")
    head = server.request("HEAD", path("ranged"))
    whole = server.get(path("ranged"))
    assert head.status_code == 200 and head.content == b""
    assert head.headers["Content-Length"] == str(len(whole.content))
    part = server.get(path("ranged"), headers={"Range": "bytes=3-6"})
    assert part.status_code == 206 and part.content == whole.content[3:7]
    tag = whole.headers["ETag"]
    assert server.get(path("ranged"), headers={"If-None-Match": tag}).status_code == 304
    part = server.get(path("ranged"), headers={"Range": "bytes=0-0", "If-Range": '"other"'})
    assert part.status_code == 200


def test_a_first_download_may_be_a_range_too(server):
    make(server, "?name=early")
    assert server.get(path("early"), headers={"Range": "bytes=0-3"}).content == b"onnx"


def test_two_who_ask_at_once_get_the_same_file(server):
    make(server, "?name=twice", weights(export_delay=.3))
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(
        requests.get(server.url + path("twice")).content)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 4 and len(set(answers)) == 1


def test_checkpoints_are_exported_as_well(server):
    job = server.wait_job(server.job()["id"])
    checkpoint = server.get(f"/v1/jobs/{job['id']}/checkpoints").json()["data"][0]
    for format, ending in [("safetensors", "safetensors"), ("onnx", "onnx"), ("bundle", "zip")]:
        reply = server.get(f"/v1/checkpoints/{checkpoint['id']}/weights?format={format}")
        name = f"{job['id']}-{checkpoint['name']}.{ending}"
        assert reply.headers["Content-Disposition"] == f'attachment; filename="{name}"'


def test_what_the_engine_refuses_is_refused_with_its_words(server):
    error = {"code": "no_classifier", "detail": "The model has no classifier.", "hint": "Train."}
    make(server, "?name=body", weights(export_error=error))
    for _ in range(2):
        found = problem(server.get(path("body")), 422)
        assert (found["code"], found["hint"]) == ("no_classifier", "Train.")


def test_unknown_formats_and_missing_weights_say_what_there_is(server):
    make(server, "?name=formats")
    assert "onnx" in problem(server.get(path("formats", "tflite")), 422)["detail"]
    found = problem(server.get(path("resnet34")), 404)
    assert found["code"] == "weights_missing" and "pull" in found["hint"]
    problem(server.get(path("nothing")), 404)


def test_an_export_goes_with_its_model_and_survives_a_restart(start):
    server = start()
    make(server, "?name=gone")
    first = server.get(path("gone"))
    server.stop()
    server = start()
    assert server.get(path("gone")).content == first.content
    blob = server.data / "blobs" / first.headers["ETag"][1:3] / first.headers["ETag"].strip('"')
    assert blob.is_file()
    server.request("DELETE", "/v1/models/gone")
    wait_for(blob.exists, lambda there: not there)


def test_a_lost_export_is_made_again(server):
    make(server, "?name=lost")
    tag = server.get(path("lost")).headers["ETag"].strip('"')
    (server.data / "blobs" / tag[:2] / tag).unlink()
    again = server.get(path("lost"))
    assert again.status_code == 200 and json.loads(json.dumps(again.text)).startswith("onnx")


def test_a_server_that_stops_answers_those_who_wait_for_an_export(start):
    server = start()
    make(server, "?name=late", weights(export_delay=20))
    codes = []
    thread = threading.Thread(target=lambda: codes.append(
        requests.get(server.url + path("late")).status_code))
    thread.start()
    wait_for(lambda: list((server.data / "tmp").iterdir()), bool)
    assert server.stop() == 0
    thread.join()
    assert codes == [503]
