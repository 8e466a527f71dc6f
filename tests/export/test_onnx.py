"""thaw-engine export against the onnx package (is the file valid?) and OpenCV (is it the same
network?)."""
import json
import shutil

import pytest

cv2 = pytest.importorskip("cv2")
numpy = pytest.importorskip("numpy")
onnx = pytest.importorskip("onnx")
numpy_helper = pytest.importorskip("onnx.numpy_helper")

from exporting import SIZE, done, draw, probabilities, run, safetensors, shared, train  # noqa: E402

MEAN, STD = [.485, .456, .406], [.229, .224, .225]
TRAINED = [("thaw-small", "fine_tune"), ("resnet18", "fine_tune"), ("resnet18", "lesson1"),
           ("squeezenet1_1", "fine_tune"), ("squeezenet1_1", "lesson1"),
           ("mobilenet_v2", "fine_tune")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def pictures(folder):
    return draw(folder)


def export(weights, out):
    done("export", "--weights", weights, "--format", "onnx", "--out", out)
    assert json.loads((out / "result.json").read_text())["bytes"] == (
        out / "model.onnx").stat().st_size
    return out / "model.onnx"


def normalised(path, size):
    """The middle of a picture that needs no resizing: (3, size, size)."""
    pixels = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    top, left = round((pixels.shape[0] - size) / 2), round((pixels.shape[1] - size) / 2)
    crop = pixels[top:top + size, left:left + size].astype(numpy.float32) / 255
    return ((crop - MEAN) / STD).transpose(2, 0, 1).astype(numpy.float32)


def theirs(path, batch):
    """OpenCV's probabilities, (N, classes)."""
    net = cv2.dnn.readNetFromONNX(str(path))
    net.setInput(batch, "input")
    logits = net.forward("logits").astype(numpy.float64)
    odds = numpy.exp(logits - logits.max(1, keepdims=True))
    return odds / odds.sum(1, keepdims=True)


def check_equal(weights, model, pictures, size):
    classes = json.loads(metadata_of(model)["classes"])
    for picture, ours in zip(pictures, probabilities(weights, pictures)):
        found = dict(zip(classes, theirs(model, normalised(picture, size)[None])[0]))
        assert max(found, key=found.get) == max(ours, key=ours.get), picture
        assert max(abs(found[name] - ours[name]) for name in ours) < 1e-4, picture
        assert sum(ours.values()) > .999  # with a thousand classes the least are left out


def metadata_of(path):
    return {entry.key: entry.value for entry in onnx.load(str(path)).metadata_props}


@pytest.mark.parametrize("model, preset", TRAINED)
def test_opencv_computes_what_we_compute(folder, pictures, model, preset):
    weights = train(folder, model, preset)
    path = export(weights, folder / "onnx")
    onnx.checker.check_model(onnx.load(str(path)), full_check=True)
    check_equal(weights, path, pictures, SIZE)
    for ours in probabilities(weights, pictures):
        assert max(ours.values()) < .999, "certainties would hide differences"


def test_the_published_squeezenet_on_real_photos(tmp_path):
    photos = sorted(shared("images/imagenet20").glob("*.JPEG"))[:8]
    done("import", "--source", shared("weights/squeezenet1_1-imagenet.pth"), "--out", tmp_path)
    path, ready = export(tmp_path / "weights.safetensors", tmp_path / "onnx"), []
    for number, photo in enumerate(photos):  # of the size that needs no resizing
        ready.append(tmp_path / f"{number}.png")
        cv2.imwrite(str(ready[-1]), cv2.resize(cv2.imread(str(photo)), (256, 256)))
    onnx.checker.check_model(onnx.load(str(path)), full_check=True)
    check_equal(tmp_path / "weights.safetensors", path, ready, 224)


@pytest.fixture(scope="module")
def small(folder, pictures):
    weights = train(folder, "thaw-small", "lesson1")
    return weights, export(weights, folder / "small")


def test_names_shapes_and_metadata_are_as_promised(small):
    weights, path = small
    model = onnx.load(str(path))
    (given,), (answer,) = model.graph.input, model.graph.output
    dims = [[dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
            for value in (given, answer)]
    assert (given.name, answer.name) == ("input", "logits")
    assert dims == [["N", 3, SIZE, SIZE], ["N", 3]]
    assert model.opset_import[0].version >= 13
    assert metadata_of(path) == safetensors.load(weights)[1]
    assert json.loads(metadata_of(path)["mean"]) == MEAN


def test_the_weights_are_those_of_the_model_bit_for_bit(small):
    weights, path = small
    tensors, _ = safetensors.load(weights)
    stored = {t.name: numpy_helper.to_array(t) for t in onnx.load(str(path)).graph.initializer}
    assert tensors.keys() == stored.keys()
    for name, array in tensors.items():
        assert stored[name].tobytes() == array.tobytes(), name


def test_any_number_of_pictures_makes_a_batch(small, pictures):
    batch = numpy.stack([normalised(picture, SIZE) for picture in pictures[:5]])
    together = theirs(small[1], batch)
    for one, row in zip(batch, together):
        assert numpy.abs(theirs(small[1], one[None])[0] - row).max() < 1e-6


def test_the_same_model_gives_the_same_bytes(small, tmp_path):
    again = export(small[0], tmp_path)
    assert again.read_bytes() == small[1].read_bytes()


def test_a_body_without_a_classifier_is_refused_with_what_to_do(small, tmp_path):
    tensors, metadata = safetensors.load(small[0])
    body = {name: array for name, array in tensors.items() if not name.startswith("head.")}
    safetensors.save(tmp_path / "body", body, {**metadata, "head": "none", "classes": "null"})
    ended = run("export", "--weights", tmp_path / "body", "--format", "onnx", "--out", tmp_path)
    assert ended.returncode == 1 and "no classifier" in ended.stderr
    assert "safetensors" in ended.stderr and not (tmp_path / "model.onnx").exists()


@pytest.mark.parametrize("format", ["tflite", ""])
def test_another_format_is_refused(small, tmp_path, format):
    ended = run("export", "--weights", small[0], "--format", format, "--out", tmp_path)
    assert ended.returncode != 0 and "it can be onnx, bundle" in ended.stderr


def test_a_damaged_model_is_refused(small, tmp_path):
    (tmp_path / "cut").write_bytes(small[0].read_bytes()[:-4])
    ended = run("export", "--weights", tmp_path / "cut", "--format", "bundle", "--out", tmp_path)
    assert ended.returncode == 1 and not (tmp_path / "bundle.zip").exists()
