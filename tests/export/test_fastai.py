"""Models of text in fastai's shapes: modules built as fastai builds its own load them, strictly."""
import json
import os
import pathlib
import pickle
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch")
ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/weights"))
sys.path.insert(0, str(ROOT / "tests/oracle"))
import fastai_text as fastai  # noqa: E402

ENGINE = pathlib.Path(os.environ.get("THAW_BUILD", ROOT / "build")) / "thaw-engine"
N, EMBEDDING, HIDDEN, LAYERS = 64, 8, 12, 3
WORDS = fastai.words("v2", N)


# --- fastai's modules: their parameters' names, their forward pass without dropout ----------------

class WeightDropout(torch.nn.Module):
    def __init__(self, module):
        super().__init__()
        self.module = module
        raw = module.weight_hh_l0
        del module.weight_hh_l0
        self.weight_hh_l0_raw = torch.nn.Parameter(raw.data)
        module.weight_hh_l0 = raw.data
        module.flatten_parameters = lambda: None

    def forward(self, x):
        self.module.weight_hh_l0 = self.weight_hh_l0_raw.data
        return self.module(x)[0]


class EmbeddingDropout(torch.nn.Module):
    def __init__(self, emb):
        super().__init__()
        self.emb = emb


class Encoder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = torch.nn.Embedding(N, EMBEDDING)
        self.encoder_dp = EmbeddingDropout(self.encoder)
        sizes = [EMBEDDING] + [HIDDEN] * (LAYERS - 1) + [EMBEDDING]
        self.rnns = torch.nn.ModuleList(
            WeightDropout(torch.nn.LSTM(sizes[i], sizes[i + 1])) for i in range(LAYERS))

    def forward(self, x):
        x = self.encoder(x)
        for rnn in self.rnns:
            x = rnn(x)
        return x


class Decoder(torch.nn.Module):
    def __init__(self, encoder):
        super().__init__()
        self.decoder = torch.nn.Linear(EMBEDDING, N)
        self.decoder.weight = encoder.encoder.weight

    def forward(self, x):
        return self.decoder(x)


class SentenceEncoder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.module = Encoder()


class Pooling(torch.nn.Module):
    def __init__(self, classes, flat):
        super().__init__()
        nn = torch.nn
        blocks = [[nn.BatchNorm1d(i), nn.Dropout(.1), nn.Linear(i, o, bias=flat)]
                  for i, o in ((3 * EMBEDDING, 50), (50, classes))]
        blocks[0].append(nn.ReLU())
        self.layers = (nn.Sequential(*blocks[0], *blocks[1]) if flat
                       else nn.Sequential(*[nn.Sequential(*block) for block in blocks]))


def language_model():
    encoder = Encoder()
    return torch.nn.Sequential(encoder, Decoder(encoder))


def clean_raw_keys(state):
    """fastai v2's: a hidden weight that is there raw is not taken twice."""
    return {name: tensor for name, tensor in state.items()
            if not name.endswith("module.weight_hh_l0")
            or name.replace("module.weight_hh_l0", "weight_hh_l0_raw") not in state}


# --- files ----------------------------------------------------------------------------------------

def run(*command):
    done = subprocess.run([ENGINE, *map(str, command)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


@pytest.fixture(scope="module", params=["language model", "classifier v2", "classifier v1"])
def made(request, tmp_path_factory):
    """(what it is, its numbers, the model file)."""
    folder = tmp_path_factory.mktemp("model")
    version = request.param[-2:] if "classifier" in request.param else "v2"
    if "classifier" in request.param:
        net = fastai.network(N, classes=3, head_bias=version == "v1", seed=2)
        state = fastai.classifier_state(net, version)
    else:
        net = fastai.network(N, seed=2)
        state = fastai.language_model_state(net, version)
    (folder / "net.pth").write_bytes(fastai.torch_bytes(state))
    (folder / "itos.pkl").write_bytes(pickle.dumps(WORDS))
    run("import", "--source", folder / "net.pth", "--vocabulary", folder / "itos.pkl",
        "--out", folder / "model")
    return request.param, net, folder / "model/weights.safetensors"


def export(model, format, out):
    run("export", "--weights", model, "--format", format, "--out", out)
    return out / json.loads((out / "result.json").read_text())["file"]


def test_the_state_dict_is_loaded_strictly_and_computes_the_same(made, tmp_path):
    kind, net, model = made
    state = torch.load(export(model, "pth", tmp_path))
    tokens = torch.randint(9, N - 2, (30, 4), generator=torch.Generator().manual_seed(1))
    if kind == "language model":
        theirs = language_model()
        theirs.load_state_dict(clean_raw_keys(state))
        assert state["0.encoder.weight"].data_ptr() == state["1.decoder.weight"].data_ptr()
        assert torch.equal(theirs(tokens), theirs(tokens))
        assert (theirs(tokens) - fastai.logits(net, tokens)).abs().max() < 1e-4
        return
    theirs = torch.nn.Sequential(SentenceEncoder(), Pooling(3, kind.endswith("v1"))).eval()
    theirs.load_state_dict(state)
    x = theirs[0].module(tokens[:, :1])[:, 0]
    odds = theirs[1].layers(torch.cat([x[-1], x.max(0).values, x.mean(0)])[None])[0]
    assert (odds - fastai.classify(net, tokens[:, 0].tolist())).abs().max() < 1e-4


def test_the_encoder_alone_is_loaded_strictly(made, tmp_path):
    _, net, model = made
    encoder = Encoder()
    encoder.load_state_dict(clean_raw_keys(torch.load(export(model, "encoder", tmp_path))))
    tokens = torch.arange(9, 39)[:, None]
    assert (encoder(tokens) - fastai.encode(net, tokens)).abs().max() < 1e-4


def test_the_vocabulary_is_a_pickled_list(made, tmp_path):
    with open(export(made[2], "itos", tmp_path), "rb") as file:
        assert pickle.load(file) == WORDS


def test_what_was_exported_is_imported_as_it_was(made, tmp_path):
    kind, _, model = made
    weights = export(model, "pth", tmp_path / "pth")
    words = export(model, "itos", tmp_path / "itos")
    run("import", "--source", weights, "--vocabulary", words, "--out", tmp_path / "again")
    again = json.loads((tmp_path / "again/result.json").read_text())
    assert again == json.loads((model.parent / "result.json").read_text()), kind


def test_the_same_model_gives_the_same_bytes(made, tmp_path):
    one, two = (export(made[2], "pth", tmp_path / name).read_bytes() for name in "ab")
    assert one == two


@pytest.mark.parametrize("format", ["onnx", "bundle"])
def test_what_there_is_not_for_text_is_said(made, tmp_path, format):
    done = subprocess.run([ENGINE, "export", "--weights", made[2], "--format", format, "--out",
                           tmp_path], capture_output=True, text=True, timeout=60)
    assert done.returncode != 0 and f"A model of text is not had as {format}" in done.stderr
    assert not list(tmp_path.glob("*.onnx"))


def test_a_network_of_pictures_is_had_as_a_state_dict(tmp_path):
    torchvision = pytest.importorskip("torchvision")
    net = torchvision.models.resnet18(weights=None).eval()
    torch.save(net.state_dict(), tmp_path / "net.pth")
    run("import", "--source", tmp_path / "net.pth", "--out", tmp_path / "model")
    state = torch.load(export(tmp_path / "model/weights.safetensors", "pth", tmp_path))
    again = torchvision.models.resnet18(weights=None).eval()
    again.load_state_dict(state)
    x = torch.rand(1, 3, 64, 64)
    assert torch.equal(net(x), again(x))
    for format, said in (("encoder", "one of pictures"), ("itos", "no vocabulary")):
        done = subprocess.run([ENGINE, "export", "--weights",
                               tmp_path / "model/weights.safetensors", "--format", format,
                               "--out", tmp_path], capture_output=True, text=True, timeout=60)
        assert done.returncode != 0 and said in done.stderr
