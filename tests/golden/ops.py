#!/usr/bin/python3
"""Makes ops.safetensors: what PyTorch, in float64, says about small cases of every operation, for
tests/unit/engine/op/test_golden.c, which runs without PyTorch. Run it again when a case is added:

    /usr/bin/python3 tests/golden/ops.py
"""
import json
import os
import sys

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "oracle"))
import ops  # noqa: E402
import reference  # noqa: E402
import safetensors  # noqa: E402


def conv(name, n, h, w, c, out, *shape, relu=False):
    b = ops.Builder(name)
    x = b.conv(b.observed(b.normal(n, h, w, c)), out, *shape, bias=True)
    if relu:
        b.relu(x)
    return b.done()


def cases():
    """`slope`: whether a difference quotient can be trusted; a kink close by spoils it."""
    yield conv("conv 3x3", 2, 5, 4, 3, 17, 3, 1, 1)
    yield conv("conv 3x3 stride 2", 1, 7, 6, 16, 3, 3, 2, 1)
    yield conv("conv 1x1", 2, 3, 3, 17, 16, 1, 1, 0)
    yield conv("conv 7x7 stride 2", 1, 9, 8, 3, 8, 7, 2, 3)
    yield conv("conv and relu", 1, 5, 5, 8, 8, 3, 1, 1, relu=True)
    for stride in (1, 2):
        b = ops.Builder(f"depthwise stride {stride}")
        b.depthwise(b.observed(b.normal(2, 5, 4, 11)), stride)
        yield b.done()
    b = ops.Builder("depthwise and relu6")
    b.relu6(b.depthwise(b.observed(b.normal(1, 4, 5, 16, scale=6))))
    yield b.done()
    b = ops.Builder("depthwise, folded norm and relu6")
    b.relu6(b.batchnorm(b.depthwise(b.image(1, 6, 5, 19), 2)))
    yield b.done(mode="infer")
    b = ops.Builder("relu6")
    b.relu6(b.observed(b.normal(2, 3, 3, 17, scale=6)))
    yield b.done()
    b = ops.Builder("batchnorm of images")
    b.batchnorm(b.observed(b.normal(2, 3, 4, 17, scale=2, mean=1)))
    yield b.done()
    b = ops.Builder("batchnorm and relu")
    b.relu(b.batchnorm(b.observed(b.normal(1, 5, 3, 8, scale=2, mean=1))))
    yield b.done()
    b = ops.Builder("batchnorm of rows")
    b.batchnorm(b.observed_rows(b.normal(5, 33, mean=1)))
    yield b.done()
    b = ops.Builder("batchnorm with stored statistics")
    b.batchnorm(b.image(1, 3, 2, 17))
    yield b.done(mode="infer")
    for smooth, name in ((False, "relu"), (True, "silu")):
        b = ops.Builder(name)
        b.relu(b.observed(b.normal(2, 3, 3, 17, scale=3)), smooth)
        yield b.done()
    for smooth, name in ((False, "max pool"), (True, "average pool")):
        for shape, ceil in (((3, 2, 1), False), ((3, 2, 0), True)):
            b = ops.Builder(name + (" ceil" if ceil else ""))
            b.pool(b.observed(b.normal(1, 6, 5, 9)), *shape, ceil, smooth)
            yield b.done()
    b = ops.Builder("global average pool")
    b.global_pool(b.observed(b.normal(2, 3, 4, 9)))
    yield b.done()
    b = ops.Builder("concat pool")
    b.concat_pool(b.observed(b.normal(2, 3, 4, 9)))
    yield b.done()
    b = ops.Builder("add, both paths")
    x = b.observed(b.normal(2, 3, 3, 8))
    b.relu(b.join(b.conv(x, 8, 3), x))
    yield b.done(slope=False)
    b = ops.Builder("concat")
    x = b.observed(b.normal(2, 3, 3, 5))
    b.concat(b.relu(x), b.conv(x, 9, 1))
    yield b.done()
    b = ops.Builder("linear and cross-entropy")
    b.linear(b.observed_rows(b.normal(5, 19)), 7)
    yield b.done(labels=b.random.randint(0, 7, 5))
    for smooth, name in ((False, "residual block"), (True, "residual block, smooth")):
        b = ops.Builder(name)
        ops.residual(b, b.observed(b.normal(2, 4, 3, 8)), 8, 1, smooth)
        yield b.done(slope=smooth)
    b = ops.Builder("residual block, folded")
    ops.residual(b, b.image(1, 5, 5, 8), 8, 2)
    yield b.done(mode="infer")


def main():
    described, tensors = [], {}
    for name, case, given in cases():
        described.append({"name": name, **case})
        expected = reference.run(case, given)
        for key, array in given.items():
            if key == "input.0" and "param.x.weight" in given:
                continue  # one-hot: the test makes it
            tensors[f"{name}/{key}"] = np.asarray(array)
        for key, array in expected.items():
            moves = key.endswith(reference.STATISTICS) and not np.array_equal(array, given[key])
            if not key.startswith("param.") or moves:
                tensors[f"{name}/expected.{key}"] = np.asarray(array, np.float32)
    path = os.path.join(HERE, "ops.safetensors")
    safetensors.save(path, tensors, {"cases": json.dumps(described)})
    print(f"{len(described)} cases, {os.path.getsize(path)} bytes: {path}")


if __name__ == "__main__":
    main()
