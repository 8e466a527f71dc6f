"""A bundle, unpacked somewhere: its predict.py by Debian's Python, without anything of ours."""
import json
import shutil
import subprocess
import sys
import zipfile

import pytest

pytest.importorskip("cv2")
pytest.importorskip("numpy")

from exporting import ENGINE, done, probabilities, safetensors, shared  # noqa: E402

MEMBERS = {"model.onnx", "model.safetensors", "classes.txt", "preprocessing.json", "predict.py",
           "README.txt"}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """(weights, folder of the unpacked bundle)"""
    folder = tmp_path_factory.mktemp("bundle")
    names = shared("weights/imagenet-synset-words.txt")
    done("import", "--source", shared("weights/squeezenet1_1-imagenet.pth"), "--classes", names,
         "--out", folder)
    done("export", "--weights", folder / "weights.safetensors", "--format", "bundle", "--out",
         folder / "out")
    with zipfile.ZipFile(folder / "out/bundle.zip") as file:
        assert file.testzip() is None
        file.extractall(folder / "unpacked")
    yield folder / "weights.safetensors", folder / "unpacked"
    shutil.rmtree(folder)


def predict(folder, pictures, *without):
    """What predict.py prints; modules `without` cannot be imported."""
    hide = "import sys; sys.modules.update(dict.fromkeys(sys.argv[1].split(','))); " \
        "sys.argv = sys.argv[2:]; import runpy; runpy.run_path(sys.argv[0], run_name='__main__')"
    ended = subprocess.run(
        [sys.executable, "-c", hide, ",".join(without), str(folder / "predict.py"),
         *map(str, pictures)], capture_output=True, text=True, timeout=200, cwd="/")
    assert ended.returncode == 0, ended.stderr
    return [json.loads(line) for line in ended.stdout.splitlines()]


def test_it_holds_what_it_takes(bundle):
    weights, folder = bundle
    assert {path.name for path in folder.iterdir()} == MEMBERS
    assert (folder / "model.safetensors").read_bytes() == weights.read_bytes()
    how = json.loads((folder / "preprocessing.json").read_text())
    assert (how["size"], how["resize"], how["input"], how["output"]) == (
        224, 256, "input", "logits")
    names = shared("weights/imagenet-synset-words.txt").read_text()
    assert (folder / "classes.txt").read_text() == names
    assert len((folder / "predict.py").read_text().splitlines()) < 90


@pytest.mark.parametrize("without", [["onnxruntime"], ["onnxruntime", "PIL"]])
def test_predict_py_says_what_we_say_of_real_photos(bundle, without):
    weights, folder = bundle
    photos = sorted(shared("images/imagenet20").glob("*.JPEG"))
    ours = probabilities(weights, photos)
    for found, expected in zip(predict(folder, photos, *without), ours):
        best = max(expected, key=expected.get)
        second = sorted(expected.values())[-2]
        # JPEGs are decoded by other code, and large ones smaller by ours: some thousandths.
        assert abs(found["predictions"][0]["probability"] - expected[best]) < .03
        if expected[best] - second > .03:
            assert found["predictions"][0]["label"] == best


def test_a_model_of_several_labels_says_yes_or_no_to_each(bundle, tmp_path):
    weights, _ = bundle
    tensors, metadata = safetensors.load(weights)
    lineage = {**json.loads(metadata["lineage"]), "task": "image_multilabel"}
    safetensors.save(tmp_path / "m", tensors, {**metadata, "lineage": json.dumps(lineage)})
    done("export", "--weights", tmp_path / "m", "--format", "bundle", "--out", tmp_path)
    with zipfile.ZipFile(tmp_path / "bundle.zip") as file:
        file.extractall(tmp_path / "unpacked")
    photos = sorted(shared("images/imagenet20").glob("*.JPEG"))[:3]
    ours = probabilities(tmp_path / "m", photos)
    for found, expected in zip(predict(tmp_path / "unpacked", photos, "onnxruntime"), ours):
        assert sum(p["probability"] for p in found["predictions"]) > 1.5
        for p in found["predictions"]:
            assert abs(p["probability"] - expected[p["label"]]) < .03


def test_a_bundle_is_the_same_each_time(bundle, tmp_path):
    weights, folder = bundle
    done("export", "--weights", weights, "--format", "bundle", "--out", tmp_path)
    first = (folder.parent / "out/bundle.zip").read_bytes()
    assert (tmp_path / "bundle.zip").read_bytes() == first
    assert not (tmp_path / "model.onnx").exists()
    assert ENGINE.exists()
