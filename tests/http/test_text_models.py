"""Models of text with the real engine: imported from archives and forms, pulled, listed."""
import io
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
    assert "wbd" not in json.dumps(model)


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


# --- predictions ----------------------------------------------------------------------------------

SENTENCE = "wab wac the waf , wae wag"
IDS = [2] + [WORDS.index(word) for word in SENTENCE.split()]


def predict(server, name, status=200, **body):
    reply = server.post(f"/v1/models/{name}/predict", json=body)
    assert reply.status_code == status, reply.text
    return reply.json() if status != 200 else reply.json()["predictions"]


@pytest.fixture(scope="module")
def language_model(real):
    assert real.post("/v1/models?name=speaks", ARCHIVE).status_code == 201
    return "speaks"


@pytest.fixture(scope="module")
def classifier(real):
    net = fastai.network(N, classes=3, seed=5)
    files = {"file": ("c.pth", fastai.torch_bytes(fastai.classifier_state(net, "v2"))),
             "vocabulary": PAIR["vocabulary"], "classes": ("names.txt", b"neg\nneutral\npos\n")}
    reply = real.post("/v1/models?name=judges", files=files)
    assert reply.status_code == 201 and reply.json()["classes"] == ["neg", "neutral", "pos"]
    return net


def test_a_language_model_says_the_perplexity_that_pytorch_says(real, language_model):
    torch = fastai.torch
    tokens = torch.tensor(IDS)[:, None]
    loss = torch.nn.functional.cross_entropy(fastai.logits(NET, tokens)[:-1, 0], tokens[1:, 0])
    answer, = predict(real, language_model, text=SENTENCE)
    assert answer["perplexity"] == pytest.approx(loss.exp().item(), rel=1e-4)
    assert (answer["text"], answer["continuation"], answer["tokens"]) == (SENTENCE, "", len(IDS))


def test_it_goes_on_with_the_most_probable_words_at_temperature_0(real, language_model):
    ids = list(IDS)
    never = [0, 1] + [i for i, word in enumerate(WORDS) if word == "xxfake"]
    while len(ids) < len(IDS) + 12:
        last = fastai.logits(NET, fastai.torch.tensor(ids)[:, None])[-1, 0]
        last[never] = -1e9
        ids.append(int(last.argmax()))
    expected = [WORDS[i] for i in ids[len(IDS):]]
    assert not any(word.startswith("xx") for word in expected)  # else the words would be decoded
    answer, = predict(real, language_model, text=SENTENCE, next=12, temperature=0)
    assert answer["continuation"].replace(" ", "") == "".join(expected)
    assert answer["text"] == SENTENCE + answer["continuation"]


def test_what_it_draws_depends_on_the_seed_alone(real, language_model):
    def draws(**wish):
        return predict(real, language_model, text=SENTENCE, next=30, **wish)[0]["continuation"]

    first = draws(seed=1)
    assert draws(seed=1) == first and draws(seed=2) != first and draws() == draws(seed=0)
    assert draws(seed=1, temperature=.01) != first


def test_a_model_that_reads_backwards_writes_in_front(real, language_model):
    reply = real.post("/v1/models?name=back&backwards=true", ARCHIVE)
    assert reply.status_code == 201
    answer, = predict(real, "back", text=SENTENCE, next=5, temperature=0)
    assert answer["text"] == answer["continuation"] + SENTENCE and answer["continuation"]
    assert answer["perplexity"] != predict(real, language_model, text=SENTENCE)[0]["perplexity"]


def test_texts_of_every_length_are_classified_as_pytorch_does(real, classifier):
    lengths = [1, 3, 71, 72, 73, 150, 700, 1600, 2, 9, 30]
    ids = [[14 + (7 * i + 2 * (i * i % 3)) % 48 for i in range(n)] for n in lengths]
    texts = [" ".join(WORDS[i] for i in line) for line in ids]
    answers = predict(real, "judges", texts=texts)
    for line, answer in zip(ids, answers):
        chunks = -(-(len(line) + 1) // 72)
        kept = len(line) + 1 - max(0, chunks - 20) * 72
        odds = fastai.classify(classifier, [2, *line], kept).softmax(0).tolist()
        told = {p["label"]: p["probability"] for p in answer["probabilities"]}
        assert [told[name] for name in ("neg", "neutral", "pos")] == pytest.approx(odds, abs=1e-5)
        assert answer["label"] == max(told, key=told.get) and answer["tokens"] == len(line) + 1
    alone = [predict(real, "judges", text=text)[0] for text in texts[:3]]
    for one, among in zip(alone, answers):
        assert one["probability"] == pytest.approx(among["probability"], abs=1e-5)
    assert len(predict(real, "judges", text=SENTENCE, top_k=1)[0]["probabilities"]) == 1


def test_fields_of_a_text_are_marked(real, classifier):
    joined, = predict(real, "judges", text=["wab wac", "waf"])
    assert joined["tokens"] == 1 + 2 + 2 + 2 + 1  # xxbos, xxfld 1, two words, xxfld 2, one word


@pytest.mark.parametrize("body, status, said", [
    ({"text": ""}, 422, "is empty"),
    ({"text": " \n"}, 422, "is empty"),
    ({"text": "\u0001\u0002"}, 422, "is empty"),
    ({"texts": []}, 422, "1 to 256 texts"),
    ({"texts": ["a"] * 257}, 422, "1 to 256 texts"),
    ({"texts": ["a", 7]}, 422, "a number"),
    ({"text": "a", "texts": ["a"]}, 422, "both given"),
    ({}, 422, "There is no text"),
    ({"txt": "a"}, 400, "did you mean"),
    ({"text": "a", "next": 501}, 422, "0..500"),
    ({"text": "a", "next": -1}, 422, "0..500"),
    ({"text": "a", "temperature": -1}, 422, "0..10"),
    ({"text": "a", "temperature": "hot"}, 422, "0..10"),
    ({"text": "a", "seed": 1.5}, 422, "seed"),
    ({"text": "a" * 300000}, 413, "262144 bytes"),
])
def test_bodies_that_cannot_be_answered_are_refused(real, language_model, body, status, said):
    failure = problem(real.post(f"/v1/models/{language_model}/predict", json=body), status)
    assert said in failure["detail"]


def test_one_bad_text_among_many_is_named(real, classifier):
    body = {"texts": ["waa", "\u0001"]}
    failure = problem(real.post("/v1/models/judges/predict", json=body), 422)
    assert failure["detail"].startswith("/texts/1: ")


def test_a_picture_for_a_text_model_and_the_other_way_round(real, language_model, classifier):
    for name in (language_model, "judges"):
        failure = problem(real.post(f"/v1/models/{name}/predict", b"\x89PNG\r\n\x1a\n"), 422)
        assert "one of text" in failure["detail"]
    failure = problem(real.post("/v1/models/judges/predict", json={"text": "waa", "next": 3}), 422)
    assert "is a classifier" in failure["detail"]


def test_strange_text_is_answered(real, classifier):
    for text in ("\u05e9\u05dc\u05d5\u05dd \u0639\u0644\u0649", "e\u0301" * 50, "\U0001f600" * 5,
                 "a" * 5000, "<br />&eacute;", "\x1f\x1f waa"):
        assert predict(real, "judges", text=text)[0]["label"]


# --- downloads ------------------------------------------------------------------------------------

def test_weights_and_vocabulary_are_downloaded_for_fastai(real, language_model):
    def get(format, status=200):
        reply = real.get(f"/v1/models/{language_model}/weights?format={format}")
        assert reply.status_code == status, reply.text
        return reply

    state = fastai.torch.load(io.BytesIO(get("pth").content))
    assert state.keys() >= {"0.encoder.weight", "0.rnns.2.weight_hh_l0_raw", "1.decoder.bias"}
    assert fastai.torch.equal(state["0.encoder.weight"], NET["encoder.weight"])
    assert pickle.loads(get("itos").content) == WORDS
    assert "rnns.0.weight_hh_l0_raw" in fastai.torch.load(io.BytesIO(get("encoder").content))
    names = {"pth": "speaks.pth", "encoder": "speaks.encoder.pth", "itos": "speaks.pkl"}
    for format, name in names.items():
        assert get(format).headers["Content-Disposition"] == f'attachment; filename="{name}"'
    for format in ("onnx", "bundle"):
        failure = problem(get(format, 422), 422)
        assert failure["code"] == "not_for_text" and "take it as safetensors" in failure["detail"]
    assert json.dumps(WORDS[20])[1:-1].encode() in get("safetensors").content
