"""A stand-in for torchvision's squeezenet1_1-b8a52dc0.pth: a network of that shape with made-up
numbers, whose SHA-256 begins as the published name says. Its last two numbers were searched for."""
import array
import json
import struct

NONCE = 2715108405
FIRES = {3: (64, 16, 64), 4: (128, 16, 64), 6: (128, 32, 128), 7: (256, 32, 128),
         9: (256, 48, 192), 10: (384, 48, 192), 11: (384, 64, 256), 12: (512, 64, 256)}


def shapes():
    """{name: shape} as torchvision's squeezenet1_1 has them."""
    convs = {"features.0": (64, 3, 3, 3), "classifier.1": (1000, 512, 1, 1)}
    for index, (inputs, squeeze, expand) in FIRES.items():
        convs[f"features.{index}.squeeze"] = (squeeze, inputs, 1, 1)
        convs[f"features.{index}.expand1x1"] = (expand, squeeze, 1, 1)
        convs[f"features.{index}.expand3x3"] = (expand, squeeze, 3, 3)
    found = {}
    for name, shape in convs.items():
        found[name + ".weight"], found[name + ".bias"] = shape, shape[:1]
    return found


def numbers(n):
    """n floats of about +-0.01, by arithmetic that is the same everywhere."""
    return array.array("I", [i * 2654435761 & 0x807fffff | 0x3c000000 for i in range(n)])


def squeezenet(nonce=NONCE):
    """The file's bytes, in the safetensors format."""
    header, offset = {}, 0
    for name, shape in sorted(shapes().items()):
        n = 1
        for dim in shape:
            n *= dim
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + 4 * n]}
        offset += 4 * n
    words = numbers(offset // 4)
    words[-2] = 0x3c000000 | nonce & 0x7fffff
    words[-1] = 0x3c000000 | nonce >> 23 & 0x7fffff
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * ((24 - len(text) - offset) % 64)
    return struct.pack("<Q", len(text)) + text + words.tobytes()
