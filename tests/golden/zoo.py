"""Writes zoo.txt: every tensor of torchvision's networks, one line each: network, name, shape.

    /usr/bin/python3 tests/golden/zoo.py > tests/golden/zoo.txt

num_batches_tracked is left out: a counter that no network's output depends on.
"""
import torchvision

for name in ("resnet18", "resnet34", "resnet50", "resnet101", "wide_resnet50_2", "squeezenet1_1",
             "mobilenet_v2"):
    for key, tensor in getattr(torchvision.models, name)().state_dict().items():
        if not key.endswith("num_batches_tracked"):
            print(name, key, "x".join(map(str, tensor.shape)))
