"""PARITY (d): the recipe in two stages, free-running, on real photos.

The head alone first, then all layers, each with one cycle of rates up to 1e-4 and a fresh
optimiser; the engine and PyTorch (float64) start from the same weights, see the same batches of 64
photos and use the engine's dropout masks, and never look at each other again. The losses on the way
agree; the results are compared by what they say of photos that were held out, not by their weights.
"""
import io
import os
import zipfile

import numpy as np
import torch
from PIL import Image

import nets
from comparison import Check
from engine import ROOT

SHARED = os.environ.get("THAW_SHARED", os.path.join(ROOT, "..", "shared"))
PHOTOS = os.path.join(SHARED, "data/images/hymenoptera.zip")
WEIGHTS = os.path.join(SHARED, "data/weights/squeezenet1_1-imagenet.pth")
MEAN, STD = (.485, .456, .406), (.229, .224, .225)
N_PHOTOS, N_HELD_OUT, BATCH, CLASSES = 64, 64, 16, 2
LOSS_BOUND = 2e-3
MAY_DIFFER = 2 / N_HELD_OUT  # in accuracy: photos that lie on the border between the classes


def photos(part, n, size):
    """(N,H,W,3) and labels, the same number of each class, class by class in turn."""
    images, labels = [], []
    with zipfile.ZipFile(PHOTOS) as archive:
        names = [sorted(name for name in archive.namelist()
                        if f"{part}/{kind}/" in name and name.endswith(".jpg"))
                 for kind in ("ants", "bees")]
        for i in range(n // 2):
            for label, of_class in enumerate(names):
                picture = Image.open(io.BytesIO(archive.read(of_class[i]))).convert("RGB")
                side = min(picture.size)
                left, top = (picture.width - side) // 2, (picture.height - side) // 2
                picture = picture.resize((size, size), Image.BILINEAR,
                                         (left, top, left + side, top + side))
                images.append((np.asarray(picture, np.float32) / 255 - MEAN) / STD)
                labels.append(label)
    return np.stack(images).astype(np.float32), np.array(labels)


def one_cycle(steps, pct_start=.3, div=25, final=1e5):
    """Shares of the highest rate, and momenta (PARITY section 2, v2)."""
    def anneal(start, end, p):
        return start + (1 + np.cos(np.pi * (1 - p))) * (end - start) / 2

    scale, momentum = [], []
    for p in np.arange(steps) / steps:
        up, at = (True, p / pct_start) if p < pct_start else (False, (p - pct_start) /
                                                              (1 - pct_start))
        scale.append(anneal(1 / div, 1, at) if up else anneal(1, 1 / final, at))
        momentum.append(anneal(.95, .85, at) if up else anneal(.85, .95, at))
    return [float(s) for s in scale], [float(m) for m in momentum]


def stages(architecture, norms_train, epochs):
    """[(frozen groups, batch norm trains there, highest rate of each group, epochs)]"""
    n_groups = 2 if architecture == "mobilenet_v2" else 3
    rates = [1e-4 / 100 ** (1 - g / (n_groups - 1)) for g in range(n_groups)]
    return [(n_groups - 1, norms_train, rates, epochs[0]), (0, True, rates, epochs[1])]


def make_case(network, frozen, norms_train, rates, steps, size):
    scale, momentum = one_cycle(steps)
    return dict(network=network, mode="train", batch=BATCH, height=size, width=size, seed=21,
                first_step=0, steps=steps, frozen_groups=frozen, frozen_norm_trains=norms_train,
                optimizer=dict(beta2=.99, eps=1e-5, weight_decay=.01, decay_norm_bias=False,
                               rates=rates, scale=scale, momentum=momentum))


def batches(images, labels, epochs, seed):
    random = np.random.RandomState(seed)
    tensors, k = {}, 0
    for _ in range(epochs):
        order = random.permutation(len(images))
        for start in range(0, len(images), BATCH):
            chosen = order[start:start + BATCH]
            tensors[f"input.{k}"], tensors[f"labels.{k}"] = images[chosen], labels[chosen]
            k += 1
    return tensors, k


def start_weights(network):
    """squeezenet's published ones where they are; else random ones whose signal keeps its size."""
    model = nets.build(network, 4)
    if network["architecture"] == "squeezenet1_1" and os.path.exists(WEIGHTS):
        state = {name: value.double() for name, value in torch.load(WEIGHTS).items()
                 if not name.startswith("classifier")}
        model.load_state_dict({**model.state_dict(), **state})
    return model


def engines_accuracy(engine, network, made, images, labels):
    """Of the weights in the driver's OUT, on the held-out photos."""
    case = dict(network=network, mode="infer", batch=len(images), height=images.shape[1],
                width=images.shape[2], seed=1)
    given = {name: array for name, array in made.items() if name.startswith("param.")}
    answer, _ = engine.run(case, {**given, "input.0": images})
    return np.mean(answer["output.0"].reshape(len(images), -1).argmax(1) == labels)


def torchs_accuracy(model, images, labels):
    with torch.no_grad():
        logits = model.eval()(torch.tensor(images.transpose(0, 3, 1, 2), dtype=torch.float64))
    return np.mean(logits.argmax(1).numpy() == labels)


def run(engine, architecture, form, norms_train, epochs, size):
    """One network through both stages on both sides."""
    check = Check(name_of(architecture, form, norms_train, size))
    network = dict(architecture=architecture, head=form, classes=CLASSES)
    images, labels = photos("train", N_PHOTOS, size)
    model = start_weights(network)
    params = {f"param.{name}": array for name, array in nets.parameters(model).items()}
    for stage, (frozen, trains, rates, n) in enumerate(stages(architecture, norms_train, epochs)):
        tensors, steps = batches(images, labels, n, stage)
        case = make_case(network, frozen, trains, rates, steps, size)
        twin = nets.Twin(case, model)
        made, _ = engine.run(case, {**tensors, **params})
        twin.start_optimizer()
        for k in range(steps):
            twin.set_masks(made, k)
            _, loss = twin.forward(tensors[f"input.{k}"], tensors[f"labels.{k}"])
            check.compare(f"loss of stage {stage + 1}, step {k}", made[f"loss.{k}"],
                          [loss.item()], LOSS_BOUND)
            twin.backward(loss)
            twin.step(k)
        params = {name: array for name, array in made.items() if name.startswith("param.")}
        model = twin.model
    held_out, truth = photos("val", N_HELD_OUT, size)
    ours = engines_accuracy(engine, network, made, held_out, truth)
    theirs = torchs_accuracy(model, held_out, truth)
    check.add(f"validation accuracy {ours:.3f} against {theirs:.3f}", abs(ours - theirs),
              MAY_DIFFER)
    return check


def name_of(architecture, form, norms_train, size):
    return f"{architecture} {form}, norms {'train' if norms_train else 'stored'} {size}px"


def cases(long):
    """(architecture, head, batch norm trains in the frozen body, epochs of each stage, size)"""
    yield "resnet18", "v2", True, (1, 2), 64
    yield "resnet18", "v1", False, (1, 1), 64
    yield "squeezenet1_1", "v2", False, (1, 2), 64
    yield "mobilenet_v2", "v2", True, (1, 1), 64
    yield "mobilenet_v2", "v2", False, (1, 1), 64
    yield "resnet50", "v2", False, (1, 1), 64
    if long:
        yield "resnet50", "v1", True, (1, 2), 96
        for architecture in ("resnet18", "squeezenet1_1", "mobilenet_v2"):
            for norms_train in (True, False):
                yield architecture, "v2", norms_train, (3, 5), 96
