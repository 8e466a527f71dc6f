#!/usr/bin/python3
"""Accuracy on real photos, beside PyTorch's: a live thawd against recipe.py, seed by seed.

    /usr/bin/python3 tests/accuracy/compare.py [--parts imagenet20,hymenoptera,clothing10]

hymenoptera   fine_tune with 1 + 3 epochs, squeezenet1_1, 224 px, batch 32, for each seed; fails
              when our mean is more than .015 below PyTorch's
clothing10    the same job on ten classes; fails below .5 (chance is .1)
imagenet20    predictions of the imported network; fails when fewer than 19 of 20 top-1 answers are
              torchvision's, or a probability differs by more than 1e-3 on the same decoded pixels
Needs the shared photos and weights (README.md). Nothing is kept.
"""
import argparse
import io
import os
import pathlib
import statistics
import sys
import tempfile
import zipfile

import torch
import torchvision
from PIL import Image

import recipe

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "bench"))
import live  # noqa: E402

WEIGHTS = live.SHARED / "weights" / "squeezenet1_1-imagenet.pth"
IMAGES = live.SHARED / "images"
SPEC = {"model": "squeezenet", "preset": "fine_tune", "freeze_epochs": 1, "epochs": 3,
        "image": {"size": recipe.SIZE}, "batch_size": recipe.BATCH}
MARGIN, CLOTHING_LEAST, AGREE_LEAST, PROBABILITY_BOUND = .015, .5, 19, 1e-3


def parse():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=live.BUILD)
    parser.add_argument("--parts", default="imagenet20,hymenoptera,clothing10")
    parser.add_argument("--seeds", default="0,1,2,3,4")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    return parser.parse_args()


def show(name, values):
    mean = statistics.mean(values)
    print(f"  {name:8}" + " ".join(f"{value:.3f}" for value in values) + f"   mean {mean:.4f}",
          flush=True)
    return mean


def train(server, dataset, seed):
    """Our accuracy after the last epoch, and the seconds."""
    job = server.submit({**SPEC, "dataset": dataset["id"], "seed": seed})
    job = server.finish(job["id"])
    return job["latest"]["accuracy"], job["progress"]["elapsed_seconds"]


def hymenoptera(server, options):
    archive = IMAGES / "hymenoptera.zip"
    dataset = server.upload(archive, name="hymenoptera")
    print(f"hymenoptera: {dataset['splits']['train']} photos to train, "
          f"{dataset['splits']['valid']} to validate; seeds {options.seeds}", flush=True)
    seeds = [int(seed) for seed in options.seeds.split(",")]
    ours = [train(server, dataset, seed) for seed in seeds]
    mean = show("thaw", [accuracy for accuracy, _ in ours])
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(archive) as file:
            file.extractall(folder)
        root = next(path.parent for path in sorted(pathlib.Path(folder).rglob("train")))
        theirs = [recipe.run(root, "val", WEIGHTS, seed) for seed in seeds]
    their_mean = show("PyTorch", [accuracy for accuracy, _ in theirs])
    print(f"  difference of the means {mean - their_mean:+.4f}, allowed -{MARGIN}; seconds a run: "
          f"thaw {statistics.median(s for _, s in ours):.0f}, "
          f"PyTorch {statistics.median(s for _, s in theirs):.0f}")
    return mean >= their_mean - MARGIN


def clothing10(server, _):
    dataset = server.upload(IMAGES / "clothing10.tar", name="clothing10")
    accuracy, seconds = train(server, dataset, 0)
    print(f"clothing10: {dataset['splits']['train']} photos to train, "
          f"{len(dataset['classes'])} classes: accuracy {accuracy:.3f} in {seconds:.0f} s")
    return accuracy >= CLOTHING_LEAST


def their_probabilities(network, image):
    with torch.no_grad():
        return network(recipe.EVALUATION(image)[None])[0].softmax(0)


def our_probabilities(server, classes, body, kind):
    """Of the 700 most probable classes (a reply holds no more); the rest counts as 0."""
    answer = server.call("POST", "/v1/models/squeezenet/predict?top_k=700", data=body,
                         headers={"Content-Type": kind})
    found = {row["label"]: row["probability"] for row in answer["predictions"][0]["probabilities"]}
    return torch.tensor([found.get(label, 0.) for label in classes])


def imagenet20(server, _):
    """Each photo twice: as it is, and as a PNG of the pixels that PIL decodes, which both read."""
    network = torchvision.models.squeezenet1_1()
    network.load_state_dict(torch.load(WEIGHTS))
    network.eval()
    classes = server.call("GET", "/v1/models/squeezenet")["classes"]
    agree, worst, worst_jpeg, photos = 0, 0., 0., sorted((IMAGES / "imagenet20").iterdir())
    for path in photos:
        image = Image.open(path).convert("RGB")
        pixels = io.BytesIO()
        image.save(pixels, "png")
        theirs = their_probabilities(network, image)
        jpeg = our_probabilities(server, classes, path.read_bytes(), "image/jpeg")
        same = our_probabilities(server, classes, pixels.getvalue(), "image/png")
        agree += int(jpeg.argmax() == theirs.argmax())
        worst = max(worst, (same - theirs).abs().max().item())
        worst_jpeg = max(worst_jpeg, (jpeg - theirs).abs().max().item())
    print(f"imagenet20: top-1 as torchvision's for {agree} of {len(photos)}; largest difference of "
          f"a probability {worst:.1e} on the same pixels, {worst_jpeg:.1e} from the JPEG")
    return agree >= AGREE_LEAST and worst <= PROBABILITY_BOUND


def main():
    options = parse()
    if not WEIGHTS.exists():
        print(f"skipped: there are no weights and photos in {live.SHARED}")
        return 0
    torch.set_num_threads(options.threads)
    parts = {"imagenet20": imagenet20, "hymenoptera": hymenoptera, "clothing10": clothing10}
    with live.Thawd(options.build) as server:
        server.import_model(WEIGHTS, name="squeezenet", architecture="squeezenet1_1",
                            classes="imagenet1k")
        results = {name: parts[name](server, options) for name in options.parts.split(",")}
    for name, good in results.items():
        print(f"{'pass' if good else 'FAIL'}  {name}")
    return 0 if all(results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
