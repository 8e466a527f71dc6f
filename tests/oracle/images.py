#!/usr/bin/python3
"""Compares decoding and preprocessing with PIL and torchvision: `make oracle` runs it.

Drawn pictures in every kind of JPEG, PNG and WebP, and the shared photos where they are. Decoding
must be equal byte for byte, and so must preprocessing (to float32 rounding), except where the
engine decodes a JPEG smaller on purpose: there the mean difference is bounded. Augmentation for
drawn parameters is compared with augment.py's."""
import argparse
import io
import os
import subprocess
import sys
import tempfile
import zipfile

import numpy as np
import torch
from PIL import Image, ImageOps
from torchvision import transforms
from torchvision.transforms import functional

import augment

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SHARED = os.environ.get("THAW_SHARED", os.path.join(ROOT, "..", "shared", "data"))
MEAN, STD = [.485, .456, .406], [.229, .224, .225]
NORMALISE = transforms.Compose([transforms.ToTensor(), transforms.Normalize(MEAN, STD)])


class Engine:
    def __init__(self, driver):
        self.process = subprocess.Popen([driver], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, kind, *words):
        self.process.stdin.write((" ".join(map(str, words)) + "\n").encode())
        self.process.stdin.flush()
        line = self.process.stdout.readline().decode()
        if not line or line.startswith("!"):
            raise AssertionError(f"{words}: {line.strip() or 'the driver died'}")
        height, width = map(int, line.split())
        size = height * width * 3 * np.dtype(kind).itemsize
        return np.frombuffer(self.process.stdout.read(size), kind).reshape(height, width, 3)

    def close(self):
        self.process.stdin.close()
        return self.process.wait()


def picture(width, height, seed=0):
    """Smooth waves and noise: something that subsampling, cropping and filters all change."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    planes = [127 + 90 * np.sin(x / (5 + 3 * c) + c) * np.cos(y / (7 - c)) for c in range(3)]
    noisy = np.stack(planes, -1) + random.normal(0, 12, (height, width, 3))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags.tobytes()


def drawn_files(folder):
    """name -> path of one file of each kind."""
    files = {}

    def save(name, image, **options):
        files[name] = os.path.join(folder, name)
        image.save(files[name], **options)

    for width, height in (64, 48), (61, 47), (17, 33), (8, 8), (1, 1), (3, 200):
        for sampling in 0, 1, 2:
            save(f"{width}x{height}-{sampling}.jpg", picture(width, height), quality=88,
                 subsampling=sampling)
    large = picture(423, 311)
    save("progressive.jpg", large, quality=85, progressive=True)
    save("progressive-444.jpg", large, quality=85, progressive=True, subsampling=0)
    save("grey.jpg", large.convert("L"), quality=90)
    save("cmyk.jpg", large.convert("CMYK"), quality=92)
    save("restarts.jpg", large, quality=80, restart_marker_blocks=4)
    for orientation in range(1, 9):
        save(f"turned-{orientation}.jpg", large, quality=85, exif=exif(orientation))
    save("rgb.png", large)
    save("rgba.png", Image.merge("RGBA", [*large.split(), large.convert("L")]))
    save("grey.png", large.convert("L"))
    save("grey-alpha.png", Image.merge("LA", [large.convert("L"), large.convert("L")]))
    save("one-bit.png", large.convert("1"))
    save("palette.png", large.quantize(200))
    save("palette-16.png", large.quantize(16), bits=4)
    save("palette-2.png", large.quantize(2), bits=1)
    save("palette-clear.png", large.quantize(64), transparency=3)
    save("turned-6.png", large, exif=exif(6))
    save("lossy.webp", large, quality=80)
    save("lossy-odd.webp", picture(61, 47), quality=60, method=0)
    save("lossy-best.webp", picture(60, 48), quality=99, method=6)
    save("lossy-alpha.webp", Image.open(files["rgba.png"]), quality=70)
    save("lossless.webp", large, lossless=True)
    save("lossless-alpha.webp", Image.open(files["rgba.png"]), lossless=True)
    save("lossless-palette.webp", large.quantize(16).convert("RGB"), lossless=True)
    save("tiny.webp", picture(1, 1), quality=80)
    save("narrow.webp", picture(1, 300), quality=80)
    for orientation in 3, 5, 6:
        save(f"turned-{orientation}.webp", large, quality=85, exif=exif(orientation))
    return files


def photos():
    folder = os.path.join(SHARED, "images")
    archive = os.path.join(folder, "hymenoptera.zip")
    if not os.path.exists(archive):
        print("skipped: the shared photos are not there")
        return
    with zipfile.ZipFile(archive) as members:
        names = [name for name in members.namelist() if name.endswith(".jpg")]
        for name in names[::12]:
            yield name, members.read(name)
    for name in sorted(os.listdir(os.path.join(folder, "imagenet20"))):
        with open(os.path.join(folder, "imagenet20", name), "rb") as file:
            yield name, file.read()


class Checks:
    def __init__(self, engine):
        self.engine, self.count, self.failed = engine, 0, 0

    def note(self, what, good, said=""):
        self.count += 1
        if not good:
            self.failed += 1
            print(f"FAILED {what} {said}")

    def decode(self, name, path):
        want = np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))
        got = self.engine.ask(np.uint8, "decode", path)
        equal = got.shape == want.shape and np.array_equal(got, want)
        worst = "" if got.shape != want.shape else np.abs(got.astype(int) - want).max()
        self.note(f"decode {name}", equal, f"shape {got.shape} {want.shape}, worst {worst}")

    def parts(self, name, path, random):
        """A part equals the same part of the whole, at every scale of the decoder."""
        whole = Image.open(path)
        width, height = whole.size
        for shrink in (1, 2, 4, 8) if path.endswith("jpg") else (1,):
            full = self.engine.ask(np.uint8, "part", path, shrink, 0, 0, width, height)
            for _ in range(6):
                x, y = random.integers(0, width), random.integers(0, height)
                w, h = random.integers(1, width - x + 1), random.integers(1, height - y + 1)
                got = self.engine.ask(np.uint8, "part", path, shrink, x, y, w, h)
                left, top = x // shrink, y // shrink
                want = full[top:-(-(y + h) // shrink), left:-(-(x + w) // shrink)]
                self.note(f"part {name} 1/{shrink} of {x},{y} {w}x{h}", np.array_equal(got, want))

    def eval(self, name, path, size):
        image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
        side = round(1.143 * size)
        small = transforms.CenterCrop(size)(transforms.Resize(side)(image))
        want = NORMALISE(small).permute(1, 2, 0).numpy()
        got = self.engine.ask(np.float32, "eval", path, size)
        # A JPEG of four times the wanted size or more is decoded smaller first.
        if path.endswith("jpg") and min(image.size) >= 8 * side:
            self.note(f"eval {name} at {size}", np.abs(got - want).mean() < .012,
                      f"mean {np.abs(got - want).mean():.4f}")
        else:
            self.note(f"eval {name} at {size}", np.abs(got - want).max() < 1e-6,
                      f"worst {np.abs(got - want).max()}")

    def mapped(self, name, path, size, random):
        """aug_transforms with drawn parameters, against augment.py's reference."""
        image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
        for kind in augment.KINDS:
            drawn = augment.draw(kind, random)
            side = min(drawn["presize"] or size, 2 * size)
            # Smaller than twice the square: then no JPEG is decoded at a reduced size.
            w, h = (random.integers(1, min(n, 2 * side - 1) + 1) for n in image.size)
            x, y = random.integers(0, image.width - w + 1), random.integers(0, image.height - h + 1)
            square = functional.resized_crop(image, int(y), int(x), int(h), int(w), [side, side])
            want = augment.reference(square, size, drawn)
            got = self.engine.ask(np.float32, "train", path, size, x, y, w, h,
                                  *augment.parameters(**drawn))
            said = augment.difference(got, want, size, kind, drawn)
            self.note(f"augment {kind} {name} at {size} from {x},{y} {w}x{h} {drawn}", not said,
                      said)

    def train(self, name, path, size, random):
        image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
        width, height = image.size
        w, h = random.integers(1, width + 1), random.integers(1, height + 1)
        x, y, flip = random.integers(0, width - w + 1), random.integers(0, height - h + 1), \
            random.integers(0, 2)
        small = functional.resized_crop(image, int(y), int(x), int(h), int(w), [size, size])
        small = functional.hflip(small) if flip else small
        want = NORMALISE(small).permute(1, 2, 0).numpy()
        got = self.engine.ask(np.float32, "train", path, size, x, y, w, h,
                              *augment.parameters(turn=flip))
        what = f"train {name} at {size} from {x},{y} {w}x{h} flip {flip}"
        shrunk = path.endswith("jpg") and w >= 2 * size and h >= 2 * size
        if shrunk:
            self.note(what, np.abs(got - want).mean() < .04,
                      f"mean {np.abs(got - want).mean():.4f}")
        else:
            self.note(what, np.abs(got - want).max() < 1e-6, f"worst {np.abs(got - want).max()}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--driver", default=os.path.join(ROOT, "build/oracle/images"))
    options = parser.parse_args()
    # A stream for each: what is added to one moves no other's crops.
    random, drawn, webp = (np.random.default_rng(seed) for seed in (1, 2, 3))
    engine = Engine(options.driver)
    checks = Checks(engine)
    with tempfile.TemporaryDirectory() as folder:
        for name, path in drawn_files(folder).items():
            crops = webp if path.endswith("webp") else random
            checks.decode(name, path)
            checks.parts(name, path, crops)
            for size in 32, 129:
                checks.eval(name, path, size)
                checks.train(name, path, size, crops)
                checks.mapped(name, path, size, drawn)
        for name, content in photos():
            path = os.path.join(folder, "photo.jpg")
            with open(path, "wb") as file:
                file.write(content)
            checks.decode(name, path)
            checks.parts(name, path, random)
            checks.eval(name, path, 224)
            checks.train(name, path, 128, random)
            checks.mapped(name, path, 224, drawn)
    code = engine.close()
    print(f"images: {checks.count} comparisons with PIL and torchvision, {checks.failed} failed")
    return 1 if checks.failed or code else 0


if __name__ == "__main__":
    sys.exit(main())
