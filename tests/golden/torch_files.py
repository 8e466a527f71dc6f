#!/usr/bin/env python3
"""Writes tests/golden/torch/*.pth: small files as torch.save writes them, good and hostile.

Values follow rules that the tests know: element i of the tensor "f32" is i / 8, and so on."""
import collections
import os
import pathlib

import torch

FOLDER = pathlib.Path(__file__).parent / "torch"


def every_type():
    """Each element type, and views: shared storage, offsets, strides, none of it copied."""
    counting = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4) / 8
    state = collections.OrderedDict()
    for name, dtype in [("f64", torch.float64), ("f32", torch.float32), ("f16", torch.float16),
                        ("bf16", torch.bfloat16)]:
        state[name] = counting.to(dtype)
    for name, dtype in [("i64", torch.int64), ("i32", torch.int32), ("i16", torch.int16),
                        ("i8", torch.int8), ("u8", torch.uint8)]:
        state[name] = torch.arange(6).to(dtype)
    state["bool"] = torch.tensor([True, False, True])
    state["scalar"] = torch.tensor(2.5)
    state["empty"] = torch.zeros(0, 3)
    state["transposed"] = counting.permute(2, 0, 1)  # (4, 2, 3)
    state["offset"] = counting[1]                    # (3, 4), starts at element 12
    state["column"] = counting[:, :, 1]              # (2, 3), every fourth
    state["expanded"] = torch.tensor([7.0]).expand(3, 2)
    state["parameter"] = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    state["not a tensor"] = "text"
    return state


def module_state():
    """A state dict with torch's own attributes (_metadata)."""
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
    for tensor in net.state_dict().values():
        tensor.copy_(torch.arange(tensor.numel()).reshape(tensor.shape))
    return net.state_dict()


def checkpoint():
    """What a training script saves: names from DataParallel, numbers and an optimiser around."""
    return {"epoch": 3, "best": 0.5, "arch": "net", "flags": [True, None, (1, 2.5)],
            "large": 2 ** 40, "negative": -5,
            "optimizer": {"state": {0: {"momentum": torch.ones(5)}},
                          "param_groups": [{"lr": 0.1, "params": [0]}]},
            "model": {"state_dict": {"module.a": torch.tensor([1.0, 2.0, 3.0]),
                                     "module.b.weight": torch.full((2, 2), 4.0)}}}


class Command:
    def __reduce__(self):
        return os.system, ("touch /tmp/thaw-was-here",)


def main():
    FOLDER.mkdir(exist_ok=True)
    legacy = {"_use_new_zipfile_serialization": False}
    torch.save(every_type(), FOLDER / "types.pth")
    torch.save(every_type(), FOLDER / "types-legacy.pth", **legacy)
    torch.save(every_type(), FOLDER / "types-protocol4.pth", pickle_protocol=4)
    torch.save(module_state(), FOLDER / "module-state.pth")
    torch.save(module_state(), FOLDER / "module-state-legacy.pth", **legacy)
    torch.save(checkpoint(), FOLDER / "checkpoint.pth")
    torch.save(checkpoint(), FOLDER / "checkpoint-legacy.pth", **legacy)
    torch.save({"a": torch.ones(2), "b": Command()}, FOLDER / "command.pth")
    torch.save({"a": torch.ones(2), "b": Command()}, FOLDER / "command-legacy.pth", **legacy)
    torch.save(torch.nn.Linear(2, 2), FOLDER / "whole-module.pth")
    torch.save([torch.ones(2)], FOLDER / "list.pth")
    torch.save({"a": torch.tensor([1.0, float("nan")]), "b": torch.tensor([float("-inf")]),
                "c": torch.tensor([1e300], dtype=torch.float64)}, FOLDER / "not-finite.pth")


if __name__ == "__main__":
    main()
