"""thaw-engine import against torchvision: random weights in every form people save them in."""
import hashlib
import json
import os
import pathlib
import struct
import subprocess
import sys

import pytest

numpy = pytest.importorskip("numpy")
torch = pytest.importorskip("torch")
torchvision = pytest.importorskip("torchvision")

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/oracle"))
import safetensors  # noqa: E402

ENGINE = pathlib.Path(os.environ.get("THAW_BUILD", ROOT / "build")) / "thaw-engine"
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
    ("resnet34", 21797672), ("resnet50", 25557032), ("squeezenet1_1", 1235496)])
def test_every_network_is_recognised_and_equal(tmp_path, architecture, parameters):
    state = random_state(architecture)
    save_zip(state, tmp_path / "source")
    result, tensors, _ = convert(tmp_path / "source", tmp_path / "out")
    check_equal(tensors, state)
    assert (result["architecture"], result["parameters"]) == (architecture, parameters)
    assert sum(group["parameters"] for group in result["groups"]) == parameters


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
