"""Models of text with the real engine: imported from archives and forms, pulled, listed."""
import json
import pathlib
import pickle
import subprocess
import sys

import pytest

pytest.importorskip("torch")
sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "weights"))
import fastai_text as fastai  # noqa: E402
from conftest import ENGINE, THAWD, Server, finish, problem  # noqa: E402
from test_pull import Mirror, settled  # noqa: E402

N = 64
NET = fastai.network(N)
WORDS = fastai.words("v2", N)
PAIR = {"file": ("fwd_wt103.pth", fastai.torch_bytes(fastai.language_model_state(NET, "v2"))),
        "vocabulary": ("itos_wt103.pkl", pickle.dumps(WORDS))}
ARCHIVE = fastai.published(NET, WORDS)
TEXT = {"vocabulary": N, "embedding": 8, "hidden": 12, "layers": 3, "seq_len": 72,
        "max_len": 1440, "backwards": False}


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    if not ENGINE.is_file():
        pytest.skip(f"{ENGINE} was not built")
    server = Server(tmp_path_factory.mktemp("text") / "data", engine=ENGINE)
    yield server
    finish(server)


def test_an_archive_is_imported_and_its_words_stay_out_of_the_lists(real):
    reply = real.post("/v1/models?name=archive", ARCHIVE)
    assert reply.status_code == 201, reply.text
    model = reply.json()
    assert (model["kind"], model["architecture"], model["classes"]) == ("text", "awd-lstm", None)
    assert model["text"] == TEXT and model["lineage"] is None
    assert [group["name"] for group in model["groups"]] == [
        "rnn1", "rnn2", "rnn3", "encoder+decoder"]
    listed = [m for m in real.get("/v1/models").json()["data"] if m["name"] == "archive"]
    assert listed == [model]
    assert "word17" not in json.dumps(model)


def test_a_form_with_two_files_is_imported_the_same(real):
    reply = real.post("/v1/models?name=form&backwards=true", files=PAIR)
    assert reply.status_code == 201, reply.text
    assert reply.json()["text"] == {**TEXT, "backwards": True}
    assert reply.json()["weights_sha256"] == real.get("/v1/models/archive").json()["weights_sha256"]


def test_what_does_not_fit_is_refused_with_both_numbers(real):
    files = {**PAIR, "vocabulary": ("itos.pkl", pickle.dumps(WORDS[:-1]))}
    failure = problem(real.post("/v1/models", files=files), 422)
    assert failure["code"] == "bad_vocabulary"
    assert "63 words, but encoder.weight has 64 rows" in failure["detail"]
    failure = problem(real.post("/v1/models", PAIR["file"][1]), 422)
    assert "no vocabulary came with them" in failure["detail"]


def test_a_vocabulary_with_code_in_it_is_refused_by_name(real, tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    files = {**PAIR, "vocabulary": ("itos.pkl", pickle.dumps([*WORDS, Evil()]))}
    failure = problem(real.post("/v1/models", files=files), 422)
    assert "asks Python for" in failure["detail"] and "open" in failure["detail"]
    assert not (tmp_path / "ran").exists()


def test_form_parts_that_are_not_known_are_refused(real):
    files = {**PAIR, "itos": ("itos.pkl", b"x")}
    assert '"itos" too many' in problem(real.post("/v1/models", files=files), 422)["detail"]
    problem(real.post("/v1/models?backwards=perhaps", PAIR["file"][1]), 400)


# --- published archives, from a mirror on this machine -------------------------------------------

@pytest.fixture
def mirror():
    mirror = Mirror({f"wt103-{way}.tgz": fastai.published(fastai.network(N, seed=seed), WORDS)
                     for seed, way in enumerate(("fwd", "bwd"))})
    yield mirror
    mirror.shutdown()
    mirror.server_close()


@pytest.fixture
def served(tmp_path, mirror):
    server = Server(tmp_path / "data", "--pull-base", mirror.url, engine=ENGINE)
    yield server
    if server.process.returncode is None:
        finish(server)


def test_wt103_is_pulled_in_both_directions(served, mirror):
    before = served.get("/v1/models/wt103-fwd").json()
    assert (before["kind"], before["architecture"]) == ("text", "awd-lstm")
    assert before["published"] == {"file": "wt103-fwd.tgz", "bytes": 105067061, "accuracy": None}
    assert not before["available"]
    mirror.cut_after = [5000]
    for name in ("wt103-fwd", "wt103-bwd"):
        assert served.post("/v1/models", json={"pull": name}).status_code == 202
        model = settled(served, name)
        assert model["available"] and model["error"] is None, model
        assert model["text"] == {**TEXT, "backwards": name == "wt103-bwd"}
        assert model["parameters"] == 3584 and model["kind"] == "text"
    assert mirror.ranges() == [None, "bytes=5000-", None]


def test_a_mirror_that_has_something_else_is_refused(served, mirror):
    mirror.files["wt103-fwd.tgz"] = fastai.archive_bytes({"a.pth": b"nothing", "i.pkl": b"N."})
    served.post("/v1/models", json={"pull": "wt103-fwd"})
    model = settled(served, "wt103-fwd")
    assert not model["available"] and "no weights file" in model["error"]["detail"]


def test_the_command_pulls_and_says_the_hash(tmp_path, mirror):
    done = subprocess.run([THAWD, "pull", "wt103-bwd", "--data", tmp_path / "data",
                           "--pull-base", mirror.url, "--engine", ENGINE],
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "wt103-bwd.tgz has the SHA-256" in done.stderr and "wt103-bwd is ready" in done.stdout
