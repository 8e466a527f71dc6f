"""thaw-engine import of fastai's language models and classifiers: versions, forms, mistakes."""
import io
import json
import pickle
import zipfile

import pytest

torch = pytest.importorskip("torch")
import fastai_text as fastai  # noqa: E402
from test_import import convert, digest, run  # noqa: E402
import safetensors  # noqa: E402

N = 64


def check_equal(tensors, expected):
    assert tensors.keys() == expected.keys()
    for name, tensor in expected.items():
        assert tensors[name].shape == tuple(tensor.shape), name
        assert tensors[name].tobytes() == tensor.contiguous().numpy().tobytes(), name


def language_model(version):
    net = fastai.network(N)
    if version == "v0":
        net["decoder.bias"] = torch.zeros(N)
    return net, fastai.words(version, N)


def text_of(metadata):
    return json.loads(metadata["text"])


def save(tmp_path, state, vocabulary=None, legacy=False):
    (tmp_path / "net.pth").write_bytes(fastai.torch_bytes(state, legacy))
    if vocabulary is not None:
        (tmp_path / "itos.pkl").write_bytes(pickle.dumps(vocabulary))
    return tmp_path / "net.pth", tmp_path / "itos.pkl"


@pytest.mark.parametrize("version", ["v0", "v1", "v2"])
def test_the_published_archive_of_every_version_is_imported(tmp_path, version):
    net, vocabulary = language_model(version)
    (tmp_path / "wt103.tgz").write_bytes(fastai.published(net, vocabulary, version=version))
    result, tensors, metadata = convert(tmp_path / "wt103.tgz", tmp_path / "out")
    expected, order = fastai.ours(net, vocabulary)
    if version == "v0":
        expected["decoder.bias"] = torch.zeros(len(order))
    check_equal(tensors, expected)
    text = text_of(metadata)
    assert text["vocabulary"] == order and order[:9] == fastai.SPECIALS["v2"]
    assert result["weights_sha256"] == digest(tensors)
    assert result["text"] == {"vocabulary": len(order), "embedding": 8, "hidden": 12, "layers": 3,
                              "backwards": False, "seq_len": 72, "max_len": 1440}
    assert (result["kind"], result["architecture"], metadata["head"]) == (
        "text", "awd-lstm", "decoder")
    assert [group["name"] for group in result["groups"]] == [
        "rnn1", "rnn2", "rnn3", "encoder+decoder"]
    assert json.loads(metadata["lineage"])["names"] == "fastai"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "engine.lock", "result.json", "weights.safetensors"]


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("hidden", [1150, 1152])
def test_two_files_of_published_sizes_are_imported(tmp_path, hidden, legacy):
    vocabulary = fastai.words("v2", 300)
    net = fastai.network(300, embedding=400, hidden=hidden)
    weights, words = save(tmp_path, fastai.language_model_state(net, "v2"), vocabulary, legacy)
    result, tensors, metadata = convert(weights, tmp_path / "out", "--vocabulary", words,
                                        "--backwards")
    check_equal(tensors, net)
    assert result["text"]["hidden"] == hidden and result["text"]["backwards"] is True
    assert text_of(metadata)["backwards"] is True


def test_half_precision_and_a_zip_with_a_json_list_are_read(tmp_path):
    net, vocabulary = language_model("v2")
    half = {name: tensor.half() for name, tensor in fastai.language_model_state(net, "v2").items()}
    with zipfile.ZipFile(tmp_path / "pair.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("model.pth", fastai.torch_bytes(half))
        file.writestr("vocabulary.json", json.dumps(vocabulary))
        file.writestr("README.md", "passed over")
    _, tensors, _ = convert(tmp_path / "pair.zip", tmp_path / "out")
    check_equal(tensors, {name: tensor.half().float() for name, tensor in net.items()})


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_classifier_is_imported_with_its_head(tmp_path, version):
    vocabulary = fastai.words(version, N)
    net = fastai.network(N, classes=3, head_bias=version == "v1")
    weights, words = save(tmp_path, fastai.classifier_state(net, version), vocabulary)
    (tmp_path / "classes.txt").write_text("neg\nneutral\npos\n")
    result, tensors, metadata = convert(weights, tmp_path / "out", "--vocabulary", words,
                                        "--classes", tmp_path / "classes.txt")
    check_equal(tensors, fastai.ours(net, vocabulary)[0])
    assert (result["head"], result["classes"]) == ("pooling", ["neg", "neutral", "pos"])
    assert [group["name"] for group in result["groups"]] == [
        "embedding", "rnn1", "rnn2", "rnn3", "head"]
    assert json.loads(metadata["classes"]) == result["classes"]


def test_an_encoder_alone_is_a_model_without_a_head(tmp_path):
    net, vocabulary = language_model("v2")
    weights, words = save(tmp_path, fastai.encoder_state(net, "", "v2"), vocabulary)
    result, tensors, metadata = convert(weights, tmp_path / "out", "--vocabulary", words)
    del net["decoder.bias"]
    check_equal(tensors, net)
    assert (metadata["head"], result["classes"]) == ("none", None)
    assert [group["name"] for group in result["groups"]] == ["embedding", "rnn1", "rnn2", "rnn3"]


def test_what_was_imported_is_imported_again_unchanged(tmp_path):
    net, vocabulary = language_model("v1")
    (tmp_path / "a.tgz").write_bytes(fastai.published(net, vocabulary))
    first, tensors, metadata = convert(tmp_path / "a.tgz", tmp_path / "one")
    again, same, told = convert(tmp_path / "one/weights.safetensors", tmp_path / "two")
    assert first == again and metadata == told
    assert all(same[name].tobytes() == tensor.tobytes() for name, tensor in tensors.items())


# --- mistakes ------------------------------------------------------------------------------------

def refused(tmp_path, source, *arguments):
    done = run(source, tmp_path / "out", *arguments)
    assert done.returncode != 0
    assert not (tmp_path / "out/weights.safetensors").exists()
    return done.stderr


def test_a_vocabulary_of_another_size_is_refused_with_both_numbers(tmp_path):
    net, vocabulary = language_model("v2")
    weights, words = save(tmp_path, fastai.language_model_state(net, "v2"), vocabulary[:-3])
    said = refused(tmp_path, weights, "--vocabulary", words)
    assert "The vocabulary has 61 words, but encoder.weight has 64 rows" in said


def test_a_vocabulary_with_code_in_it_is_refused_by_name_and_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    net, vocabulary = language_model("v2")
    weights, words = save(tmp_path, fastai.language_model_state(net, "v2"), [*vocabulary, Evil()])
    said = refused(tmp_path, weights, "--vocabulary", words)
    assert "The vocabulary asks Python for" in said and "open" in said
    assert not (tmp_path / "ran").exists()


def test_weights_without_a_vocabulary_are_refused(tmp_path):
    net, _ = language_model("v2")
    weights, _ = save(tmp_path, fastai.language_model_state(net, "v2"))
    assert "64 words, but no vocabulary came with them" in refused(tmp_path, weights)


@pytest.mark.parametrize("lost, said", [
    ("0.rnns.1.module.weight_ih_l0", "1 tensor is missing: rnns.1.weight_ih_l0"),
    ("0.rnns.0.weight_hh_l0_raw", "lack the tensor rnns.0.weight_hh_l0"),
    ("0.encoder.weight", "of no AWD-LSTM"),
    ("0.rnns.2.weight_hh_l0_raw", "rnns.1.weight_ih_l0 has the shape"),
])
def test_missing_tensors_are_named(tmp_path, lost, said):
    net, vocabulary = language_model("v2")
    state = fastai.language_model_state(net, "v2")
    del state[lost]
    (tmp_path / "a.tgz").write_bytes(fastai.archive_bytes({
        "net.pth": fastai.torch_bytes(state), "itos.pkl": pickle.dumps(vocabulary)}))
    assert said in refused(tmp_path, tmp_path / "a.tgz")


def test_a_decoder_that_is_not_tied_is_refused(tmp_path):
    net, vocabulary = language_model("v2")
    state = fastai.language_model_state(net, "v2")
    state["1.decoder.weight"] = state["1.decoder.weight"] + 1
    weights, words = save(tmp_path, state, vocabulary)
    assert "not tied" in refused(tmp_path, weights, "--vocabulary", words)


@pytest.mark.parametrize("members, said", [
    ({"a.pth": b"x", "b.h5": b"x", "itos.pkl": b"x"}, "more than one weights file (b.h5"),
    ({"a.pth": b"x", "itos.pkl": b"x", "other.pkl": b"x"}, "more than one vocabulary (other.pkl"),
    ({"itos.pkl": b"x"}, "holds no weights file"),
    ({"a.pth": b"x", "itos.pkl": b"x"}, "no weights file that is known here"),
])
def test_archives_that_are_no_pair_are_refused(tmp_path, members, said):
    (tmp_path / "a.tgz").write_bytes(fastai.archive_bytes(members))
    assert said in refused(tmp_path, tmp_path / "a.tgz")


def test_a_vocabulary_beside_a_network_of_pictures_is_refused(tmp_path):
    state = {"conv1.weight": torch.zeros(2, 3, 1, 1)}
    (tmp_path / "net.pth").write_bytes(fastai.torch_bytes(state))
    (tmp_path / "itos.json").write_text(json.dumps(fastai.words("v2", N)))
    assert "of no AWD-LSTM" in refused(tmp_path, tmp_path / "net.pth", "--vocabulary",
                                       tmp_path / "itos.json")


def test_a_damaged_archive_is_refused(tmp_path):
    net, vocabulary = language_model("v2")
    whole = fastai.published(net, vocabulary)
    (tmp_path / "a.tgz").write_bytes(whole[:len(whole) // 2])
    assert "damaged or cut off" in refused(tmp_path, tmp_path / "a.tgz")
    assert not list((tmp_path / "out").glob("unpacked*"))


def test_words_that_stand_twice_are_refused(tmp_path):
    net, vocabulary = language_model("v2")
    weights, words = save(tmp_path, fastai.language_model_state(net, "v2"),
                          [*vocabulary[:-3], "the", *vocabulary[-2:]])
    assert 'The word "the" is in the vocabulary twice' in refused(
        tmp_path, weights, "--vocabulary", words)


def test_a_tensor_that_claims_more_than_its_file_has_is_refused(tmp_path):
    """A view with a stride of 0: a few bytes that say they are gigabytes."""
    net, vocabulary = language_model("v2")
    state = fastai.language_model_state(net, "v2")
    huge = torch.zeros(1, 1).expand(1 << 17, 1 << 14)
    state["0.encoder.weight"] = state["1.decoder.weight"] = huge
    out = io.BytesIO()
    torch.save(state, out)
    (tmp_path / "net.pth").write_bytes(out.getvalue())
    (tmp_path / "itos.json").write_text(json.dumps(vocabulary))
    assert "too large" in refused(tmp_path, tmp_path / "net.pth", "--vocabulary",
                                  tmp_path / "itos.json")


def test_a_model_of_ours_whose_vocabulary_does_not_fit_is_refused(tmp_path):
    net, vocabulary = language_model("v2")
    (tmp_path / "a.tgz").write_bytes(fastai.published(net, vocabulary))
    _, tensors, metadata = convert(tmp_path / "a.tgz", tmp_path / "one")
    text = text_of(metadata)
    text["vocabulary"].append("more")
    metadata["text"] = json.dumps(text)
    safetensors.save(tmp_path / "changed.safetensors", tensors, metadata)
    assert "65 words, but encoder.weight has 64 rows" in refused(
        tmp_path, tmp_path / "changed.safetensors")
