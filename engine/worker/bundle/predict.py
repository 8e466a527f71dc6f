#!/usr/bin/env python3
"""predict.py PICTURE...: what is on each, most probable first, as one line of JSON.

Needs numpy, something that reads pictures (Pillow or OpenCV), and something that runs networks:
onnxruntime where it is installed, else OpenCV."""
import json
import pathlib
import sys

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
HOW = json.loads((HERE / "preprocessing.json").read_text())
CLASSES = (HERE / "classes.txt").read_text(encoding="utf-8").split("\n")[:-1]


def read(path):
    """Upright RGB pixels, (height, width, 3)."""
    try:
        from PIL import Image, ImageOps
        return np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))
    except ImportError:
        import cv2
        pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
        return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)


def shrink(pixels, axis, size):
    """Antialiased bilinear along one axis: each new pixel averages under a triangle."""
    scale = pixels.shape[axis] / size
    distance = np.arange(pixels.shape[axis]) + .5 - (np.arange(size)[:, None] + .5) * scale
    weights = np.maximum(0, 1 - np.abs(distance) / max(scale, 1))
    mixed = np.tensordot(weights / weights.sum(1, keepdims=True), pixels, (1, axis))
    return np.floor(np.moveaxis(mixed, 0, axis) + .5).clip(0, 255)


def prepare(pixels):
    """Short side to `resize`, the middle of it, normalised: (1, 3, size, size)."""
    (height, width), side, size = pixels.shape[:2], HOW["resize"], HOW["size"]
    wide, high = max(side, side * width // height), max(side, side * height // width)
    pixels = shrink(shrink(pixels, 1, wide), 0, high)
    top, left = round((high - size) / 2), round((wide - size) / 2)
    crop = pixels[top:top + size, left:left + size] / 255
    crop = (crop - HOW["mean"]) / HOW["std"]
    return crop.transpose(2, 0, 1)[None].astype(np.float32)


def network(path):
    """A function from a batch to its logits."""
    try:
        import onnxruntime
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        return lambda batch: session.run([HOW["output"]], {HOW["input"]: batch})[0]
    except ImportError:
        import cv2
        net = cv2.dnn.readNetFromONNX(path)
        return lambda batch: [net.setInput(batch), net.forward()][1]


def probabilities(logits):
    """One choice among all classes, or a yes or no for each of them."""
    if HOW["probabilities"] == "sigmoid":
        return 1 / (1 + np.exp(-logits))
    odds = np.exp(logits - logits.max())
    return odds / odds.sum()


def main():
    run = network(str(HERE / "model.onnx"))
    for path in sys.argv[1:]:
        chances = probabilities(run(prepare(read(path)))[0].astype(np.float64))
        best = [{"label": CLASSES[i], "probability": float(chances[i])}
                for i in np.argsort(-chances)[:5]]
        print(json.dumps({"picture": path, "predictions": best}, ensure_ascii=False))


if __name__ == "__main__":
    main()
