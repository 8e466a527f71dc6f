"""The program in docs/MODELS.md, as it stands there: our weights in torchvision's networks."""
import re
import shutil

import pytest

cv2 = pytest.importorskip("cv2")
numpy = pytest.importorskip("numpy")
torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")

from exporting import ROOT, SIZE, done, draw, probabilities, shared, train  # noqa: E402
from test_onnx import normalised  # noqa: E402


@pytest.fixture(scope="module")
def load_model():
    page = (ROOT / "docs/MODELS.md").read_text()
    names = {}
    exec(next(block for block in re.findall(r"```python\n(.*?)```", page, re.S)
              if "def load_model" in block), names)
    return names["load_model"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pytorch")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def pictures(folder):
    return draw(folder)


def check_equal(load_model, weights, pictures, size):
    model, classes = load_model(weights)
    with torch.no_grad():
        batch = torch.from_numpy(numpy.stack([normalised(p, size) for p in pictures]))
        found = torch.softmax(model(batch).flatten(1).double(), 1).numpy()
    for row, ours in zip(found, probabilities(weights, pictures)):
        theirs = dict(zip(classes, row))
        assert max(abs(theirs[name] - ours[name]) for name in ours) < 1e-4


@pytest.mark.parametrize("model, preset", [
    ("resnet18", "fine_tune"), ("squeezenet1_1", "lesson1"), ("mobilenet_v2", "fine_tune")])
def test_a_fine_tuned_model_is_the_same_in_pytorch(load_model, folder, pictures, model, preset):
    check_equal(load_model, train(folder, model, preset), pictures, SIZE)


def test_an_imported_model_is_the_same_in_pytorch(load_model, tmp_path):
    done("import", "--source", shared("weights/squeezenet1_1-imagenet.pth"), "--out", tmp_path)
    photo = tmp_path / "photo.png"
    original = sorted(shared("images/imagenet20").glob("*.JPEG"))[0]
    cv2.imwrite(str(photo), cv2.resize(cv2.imread(str(original)), (256, 256)))
    check_equal(load_model, tmp_path / "weights.safetensors", [photo], 224)
