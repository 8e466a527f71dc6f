"""thaw-engine import against torchvision: random weights in every form people save them in."""
import hashlib
import json
import os
import pathlib
import struct
import subprocess
import sys
import types

import pytest

numpy = pytest.importorskip("numpy")
torch = pytest.importorskip("torch")
torchvision = pytest.importorskip("torchvision")

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/oracle"))
import nets  # noqa: E402
from engine import Engine  # noqa: E402
import safetensors  # noqa: E402

BUILD = pathlib.Path(os.environ.get("THAW_BUILD", ROOT / "build"))
ENGINE, DRIVER = BUILD / "thaw-engine", BUILD / "oracle/driver"
SHARED = pathlib.Path(os.environ.get("THAW_SHARED", ROOT.parent / "shared"))
COUNTER = "num_batches_tracked"


def shared(name):
    path = SHARED / "data/weights" / name
    if not path.is_file():
        pytest.skip(f"{path} is absent")
    return path


def run(source, out, *arguments):
    command = [ENGINE, "import", "--source", source, "--out", out, *arguments]
    return subprocess.run([str(part) for part in command], capture_output=True, text=True,
                          timeout=300)


def convert(source, out, *arguments):
    """(result.json, {name: array}, metadata) of an import that succeeds."""
    done = run(source, out, *arguments)
    assert done.returncode == 0, done.stderr
    tensors, metadata = safetensors.load(out / "weights.safetensors")
    return json.loads((out / "result.json").read_text()), tensors, metadata


def random_state(architecture):
    torch.manual_seed(7)
    state = getattr(torchvision.models, architecture)(weights=None).state_dict()
    for name, tensor in state.items():
        if tensor.is_floating_point():
            tensor.copy_(torch.randn(tensor.shape))
    return state


def digest(tensors):
    """weights_sha256 as engine/format/weights_digest.h defines it."""
    h = hashlib.sha256()
    for name in sorted(tensors, key=str.encode):
        tensor, encoded = tensors[name], name.encode()
        h.update(struct.pack("<I", len(encoded)) + encoded + struct.pack("<I", 3) + b"F32")
        h.update(struct.pack("<I", tensor.ndim))
        h.update(b"".join(struct.pack("<Q", dim) for dim in tensor.shape))
        h.update(tensor.astype("<f4").tobytes())
    return h.hexdigest()


def check_equal(tensors, state):
    expected = {name: tensor.numpy() for name, tensor in state.items()
                if not name.endswith(COUNTER)}
    assert tensors.keys() == expected.keys()
    for name, array in expected.items():
        assert tensors[name].shape == array.shape, name
        assert tensors[name].tobytes() == array.tobytes(), name


def save_zip(state, path):
    torch.save(state, path)


def save_legacy(state, path):
    torch.save(state, path, _use_new_zipfile_serialization=False)


def save_parallel_checkpoint(state, path):
    torch.save({"epoch": 90, "best_acc1": 69.7, "arch": "net",
                "state_dict": {f"module.{name}": tensor for name, tensor in state.items()}}, path)


def save_legacy_parallel_checkpoint(state, path):
    save_legacy({"model": {f"module.{name}": tensor for name, tensor in state.items()},
                 "optimizer": {"state": {}, "param_groups": []}}, path)


def save_half_views(state, path):
    """All float tensors as views into one storage; exact, since half the values are used."""
    names = [name for name, tensor in state.items() if tensor.is_floating_point()]
    flat = torch.cat([state[name].half().float().flatten() for name in names])
    at = 0
    for name in names:
        size = state[name].numel()
        state[name] = flat[at:at + size].reshape(state[name].shape)
        at += size
    torch.save(state, path)


def save_safetensors(state, path):
    safetensors.save(path, {name: tensor.numpy() for name, tensor in state.items()})


FORMS = [save_zip, save_legacy, save_parallel_checkpoint, save_legacy_parallel_checkpoint,
         save_half_views, save_safetensors]


@pytest.mark.parametrize("save", FORMS, ids=lambda save: save.__name__[5:])
def test_every_form_comes_through_bit_for_bit(tmp_path, save):
    state = random_state("resnet18")
    save(state, tmp_path / "source")
    result, tensors, metadata = convert(tmp_path / "source", tmp_path / "out")
    check_equal(tensors, state)
    assert result["architecture"] == metadata["architecture"] == "resnet18"
    assert result["parameters"] == 11689512
    assert result["weights_sha256"] == digest(tensors)
    assert result["n_classes"] == 1000 and result["classes"][999] == "999"
    assert json.loads(metadata["mean"]) == [0.485, 0.456, 0.406]


@pytest.mark.parametrize("architecture, parameters", [
    ("resnet34", 21797672), ("resnet50", 25557032), ("resnet101", 44549160),
    ("wide_resnet50_2", 68883240), ("squeezenet1_1", 1235496), ("mobilenet_v2", 3504872)])
def test_every_network_is_recognised_and_equal(tmp_path, architecture, parameters):
    state = random_state(architecture)
    save_zip(state, tmp_path / "source")
    result, tensors, _ = convert(tmp_path / "source", tmp_path / "out")
    check_equal(tensors, state)
    assert (result["architecture"], result["parameters"]) == (architecture, parameters)
    assert sum(group["parameters"] for group in result["groups"]) == parameters


def logits_of(folder, net, size=96):
    """What the engine makes of a picture with the imported weights, and torch with its own."""
    torch.manual_seed(3)
    case = dict(network=dict(architecture=net["architecture"], head=net["head"],
                             classes=net["classes"]),
                mode="infer", batch=2, height=size, width=size, seed=1)
    image = torch.randn(2, 3, size, size)
    tensors, _ = safetensors.load(folder / "weights.safetensors")
    given = {f"param.{name}": array for name, array in tensors.items()}
    given["input.0"] = image.permute(0, 2, 3, 1).numpy()
    engine = Engine(DRIVER)
    made, _ = engine.run(case, given)
    engine.close()
    model = net["model"].double().eval()
    with torch.no_grad():
        return made["output.0"].reshape(2, -1), model(image.double()).numpy()


def check_logits(folder, net):
    made, expected = logits_of(folder, net)
    error = numpy.sqrt(numpy.mean((made - expected) ** 2) / numpy.mean(expected ** 2))
    assert error < 1e-4, error


def sensible(model):
    """Random weights whose signal neither fades nor grows."""
    torch.manual_seed(5)
    nets.randomise(model)
    model.eval()
    nets.scale_to_signal(model)
    return model


def timm_name(name):
    """timm's name of a tensor of torchvision's mobilenet_v2, after timm's own sources."""
    stages = (1, 2, 3, 4, 3, 3, 1)
    first = {"conv.0.0": "conv_dw", "conv.0.1": "bn1", "conv.1": "conv_pw", "conv.2": "bn2"}
    other = {"conv.0.0": "conv_pw", "conv.0.1": "bn1", "conv.1.0": "conv_dw", "conv.1.1": "bn2",
             "conv.2": "conv_pwl", "conv.3": "bn3"}
    outside = {"features.0.0": "conv_stem", "features.0.1": "bn1", "features.18.0": "conv_head",
               "features.18.1": "bn2", "classifier.1": "classifier"}
    module, leaf = name.rsplit(".", 1)
    if module in outside:
        return f"{outside[module]}.{leaf}"
    _, block, inner = module.split(".", 2)
    index, stage = int(block) - 1, 0
    while index >= stages[stage]:
        index, stage = index - stages[stage], stage + 1
    return f"blocks.{stage}.{index}.{(first if block == '1' else other)[inner]}.{leaf}"


@pytest.mark.parametrize("save", [save_zip, save_safetensors], ids=lambda save: save.__name__[5:])
def test_timms_mobilenet_is_torchvisions_under_other_names(tmp_path, save):
    model = sensible(torchvision.models.mobilenet_v2(num_classes=37))
    state = model.state_dict()
    save({timm_name(name): tensor for name, tensor in state.items()}, tmp_path / "source")
    result, tensors, metadata = convert(tmp_path / "source", tmp_path / "out")
    check_equal(tensors, state)
    assert (result["architecture"], result["n_classes"]) == ("mobilenet_v2", 37)
    assert json.loads(metadata["lineage"])["names"] == "timm"
    check_logits(tmp_path / "out", dict(architecture="mobilenet_v2", head="original", classes=37,
                                        model=model))


class FastaiLearner:
    """What fastai's vision_learner makes: Sequential(create_body(net), create_head(...))."""

    def __init__(self, architecture, form, classes):
        whole = getattr(torchvision.models, architecture)()
        children = list(whole.children())
        body = torch.nn.Sequential(*children[:-1 if architecture == "squeezenet1_1" else -2])
        head = nets.new_head(nets.CHANNELS.get(architecture, 512), classes, form,
                             torch.nn.Dropout)
        self.model = sensible(torch.nn.Sequential(body, head))

    def save(self, path, **options):
        """learn.save: weights and the optimiser's state, whose settings are a list of fastcore's
        with numbers of numpy's in it."""
        foundation = types.ModuleType("fastcore.foundation")
        exec("class L:\n    def __init__(self, items):\n        self.items = items",
             foundation.__dict__)
        foundation.L.__module__ = "fastcore.foundation"
        modules = {"fastcore": types.ModuleType("fastcore"), "fastcore.foundation": foundation}
        hypers = [{"lr": rate, "mom": .9, "wd": .01} for rate in numpy.array([1e-5, 1e-4, 1e-3])]
        state = [{"grad_avg": torch.ones(3), "step": 7, "do_wd": False} for _ in range(4)]
        sys.modules.update(modules)
        try:
            torch.save({"model": self.model.state_dict(),
                        "opt": {"state": state, "hypers": foundation.L(hypers)}}, path, **options)
        finally:
            for name in modules:
                del sys.modules[name]


@pytest.mark.parametrize("architecture, form, options", [
    ("resnet18", "v2", {}), ("resnet50", "v1", {}), ("squeezenet1_1", "v2", {}),
    ("resnet18", "v1", {"_use_new_zipfile_serialization": False})])
def test_what_fastai_saved_comes_with_its_head(tmp_path, architecture, form, options):
    learner = FastaiLearner(architecture, form, 5)
    learner.save(tmp_path / "stage-1.pth", **options)
    (tmp_path / "names").write_text("ants\nbees\ncrabs\ndogs\nelks\n")
    result, _, metadata = convert(tmp_path / "stage-1.pth", tmp_path / "out", "--classes",
                                  tmp_path / "names")
    assert (result["architecture"], result["head"]) == (architecture, form)
    assert result["classes"] == ["ants", "bees", "crabs", "dogs", "elks"]
    assert json.loads(metadata["lineage"])["names"] == "fastai"
    check_logits(tmp_path / "out", dict(architecture=architecture, head=form, classes=5,
                                        model=learner.model))


def test_weights_of_another_architecture_say_which_tensor_differs_and_how(tmp_path):
    save_zip(random_state("wide_resnet50_2"), tmp_path / "source")
    done = run(tmp_path / "source", tmp_path / "out", "--architecture", "resnet50")
    assert done.returncode == 1
    assert ("layer1.0.conv1.weight has the shape (128, 64, 1, 1) where (64, 64, 1, 1) is expected"
            in done.stderr)
    save_zip(random_state("resnet18"), tmp_path / "source")
    done = run(tmp_path / "source", tmp_path / "out", "--architecture", "mobilenet_v2")
    assert done.returncode == 1 and "features.0.0.weight" in done.stderr


def test_the_published_squeezenet_is_imported_with_its_class_names(tmp_path):
    source = shared("squeezenet1_1-imagenet.pth")
    names = shared("imagenet-synset-words.txt")
    result, tensors, metadata = convert(source, tmp_path, "--classes", names)
    check_equal(tensors, torch.load(source))
    assert result["classes"] == names.read_text().splitlines()
    assert json.loads(metadata["classes"]) == result["classes"]


def test_a_file_without_layer4_says_so(tmp_path):
    done = run(shared("resnet18-imagenet-conv1-to-layer3.pth"), tmp_path)
    assert done.returncode == 1
    assert "resnet18" in done.stderr and "layer4.0.conv1.weight" in done.stderr
    assert not (tmp_path / "weights.safetensors").exists()


def test_a_network_of_another_family_is_refused_with_what_is_known(tmp_path):
    done = run(shared("cifar10-resnet20-legacy-format.th"), tmp_path)
    assert done.returncode == 1
    assert "(torch legacy, 97 tensors)" in done.stderr and "resnet34" in done.stderr


def test_a_pickle_that_calls_a_command_runs_nothing(tmp_path):
    marker = tmp_path / "ran"

    class Command:
        def __reduce__(self):
            return os.system, (f"touch {marker}",)

    torch.save({"conv1.weight": torch.ones(1), "x": Command()}, tmp_path / "evil.pth")
    done = run(tmp_path / "evil.pth", tmp_path / "out")
    assert done.returncode == 1 and "posix.system" in done.stderr
    assert not marker.exists()
