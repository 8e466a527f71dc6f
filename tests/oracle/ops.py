"""The cases of PARITY (a): every op, every pass, many shapes, against float64.

A plan gives the gradients of parameters, not of its input. So what an op reads is itself a
parameter here: an image of N*H*W positions is fed in as a one-hot code of the position, and a 1x1
convolution "x" without bias turns it into the image that its weights hold. Products with 0 and 1
and sums with zeros are exact, hence the op sees exactly those numbers and x.weight's gradient is
exactly the gradient of the op's input. Rows work the same with a linear layer "x".
"""
import itertools
import zlib

import numpy as np

from reference import output_shape, parameters_of

OP_BOUND, WINOGRAD_BOUND = 1e-5, 5e-5  # PARITY (a)
NET_BOUND = 1e-4  # PARITY (b): through batch norms over few rows rounding grows


class Builder:
    """Layers (network.h), and the numbers they start from, as float32."""

    def __init__(self, name):
        self.name = name
        self.random = np.random.RandomState(zlib.crc32(name.encode()))
        self.layers, self.channels, self.tensors = [], [], {}
        self.batch, self.size, self.next_group = 1, (1, 1), None
        self.options = {}

    def normal(self, *shape, scale=1.0, mean=0.0):
        return (mean + scale * self.random.standard_normal(shape)).astype(np.float32)

    def uniform(self, low, high, *shape):
        return self.random.uniform(low, high, shape).astype(np.float32)

    def group(self, group):
        self.next_group = group

    def add(self, op, produces, /, **fields):
        layer = dict(op=op, **fields)
        if self.next_group is not None:
            layer["group"], self.next_group = self.next_group, None
        self.layers.append(layer)
        self.channels.append(produces)
        return len(self.layers) - 1

    def param(self, name, array):
        self.tensors[f"param.{name}"] = array

    # What the graph reads.
    def image(self, n, h, w, c):
        self.batch, self.size = n, (h, w)
        self.tensors["input.0"] = self.normal(n, h, w, c)
        return self.add("input", c, channels=c)

    def observed(self, image):
        """An (N,H,W,C) array as the weights of a convolution."""
        n, h, w, c = image.shape
        positions = n * h * w
        self.batch, self.size = n, (h, w)
        self.tensors["input.0"] = np.eye(positions, dtype=np.float32).reshape(n, h, w, positions)
        x = self.add("input", positions, channels=positions)
        self.param("x.weight", image.reshape(positions, c).T.reshape(c, positions, 1, 1))
        return self.add("conv", c, x=x, name="x", channels=c, kernel=1, stride=1, padding=0,
                        bias=False)

    def observed_rows(self, rows):
        """An (N,C) array as the weights of a linear layer."""
        n, c = rows.shape
        self.batch, self.size = n, (1, 1)
        self.tensors["input.0"] = np.eye(n, dtype=np.float32).reshape(n, 1, 1, n)
        x = self.add("input", n, channels=n)
        x = self.add("global_average_pool", n, x=x)
        self.param("x.weight", rows.T)
        return self.add("linear", c, x=x, name="x", channels=c, bias=False)

    # Layers.
    def conv(self, x, channels, kernel=3, stride=1, padding=None, bias=False, name=None):
        name = name or f"conv{len(self.layers)}"
        inputs = self.channels[x]
        scale = np.sqrt(2 / (inputs * kernel * kernel))
        self.param(f"{name}.weight", self.normal(channels, inputs, kernel, kernel, scale=scale))
        if bias:
            self.param(f"{name}.bias", self.normal(channels))
        padding = kernel // 2 if padding is None else padding
        return self.add("conv", channels, x=x, name=name, channels=channels, kernel=kernel,
                        stride=stride, padding=padding, bias=bias)

    def depthwise(self, x, stride=1):
        name, c = f"depthwise{len(self.layers)}", self.channels[x]
        self.param(f"{name}.weight", self.normal(c, 1, 3, 3, scale=.5))
        return self.add("depthwise", c, x=x, name=name, stride=stride)

    def linear(self, x, channels, bias=True):
        name, inputs = f"linear{len(self.layers)}", self.channels[x]
        self.param(f"{name}.weight", self.normal(channels, inputs, scale=np.sqrt(2 / inputs)))
        if bias:
            self.param(f"{name}.bias", self.normal(channels))
        return self.add("linear", channels, x=x, name=name, channels=channels, bias=bias)

    def batchnorm(self, x):
        name, c = f"norm{len(self.layers)}", self.channels[x]
        self.param(f"{name}.weight", self.uniform(.5, 1.5, c))
        self.param(f"{name}.bias", self.normal(c, scale=.5))
        self.param(f"{name}.running_mean", self.normal(c, scale=.5))
        self.param(f"{name}.running_var", self.uniform(.5, 2, c))
        return self.add("batchnorm", c, x=x, name=name)

    def relu(self, x, smooth=False):
        return self.add("relu", self.channels[x], x=x, smooth=smooth)

    def relu6(self, x, smooth=False):
        return self.add("relu6", self.channels[x], x=x, smooth=smooth)

    def pool(self, x, kernel, stride, padding, ceil, smooth=False):
        return self.add("max_pool", self.channels[x], x=x, kernel=kernel, stride=stride,
                        padding=padding, ceil=ceil, smooth=smooth)

    def concat_pool(self, x, smooth=False):
        if smooth:
            average = self.global_pool(x)
            return self.concat(average, average)
        return self.add("concat_pool", 2 * self.channels[x], x=x)

    def global_pool(self, x):
        return self.add("global_average_pool", self.channels[x], x=x)

    def join(self, x, y):
        return self.add("add", self.channels[x], x=x, y=y)

    def concat(self, x, y):
        return self.add("concat", self.channels[x] + self.channels[y], x=x, y=y)

    def dropout(self, x, share):
        return self.add("dropout", self.channels[x], x=x, share=share)

    # The case (labels, or a random gradient of the output); "bound" is ours, the driver ignores it.
    def done(self, labels=None, **options):
        case = dict(network={"layers": self.layers}, mode="train", batch=self.batch,
                    height=self.size[0], width=self.size[1], seed=7, first_step=3)
        case.update(options)
        case.setdefault("bound", OP_BOUND)
        if labels is not None:
            self.tensors["labels.0"] = np.asarray(labels, np.int64)
        elif case["mode"] == "train":
            shape = output_shape(case, self.tensors)
            self.tensors["output_gradient.0"] = self.normal(*shape)
        names = {f"param.{layer['name']}.{suffix}" for layer in self.layers
                 for suffix, _ in parameters_of(layer)}
        assert names == {name for name in self.tensors if name.startswith("param.")}
        return self.name, case, self.tensors


CONVS = [  # n, h, w, in, out, kernel, stride, padding, bias
    (1, 1, 1, 3, 16, 1, 1, 0, True), (2, 5, 7, 3, 16, 1, 1, 0, False),
    (5, 3, 3, 17, 3, 1, 1, 0, True), (2, 8, 8, 64, 64, 1, 1, 0, False),
    (2, 7, 9, 16, 64, 1, 2, 0, False), (1, 6, 6, 64, 17, 1, 2, 0, True),
    (1, 3, 3, 3, 3, 3, 1, 0, True), (1, 1, 1, 16, 16, 3, 1, 1, True),
    (2, 5, 5, 3, 64, 3, 1, 1, False), (5, 7, 5, 16, 17, 3, 1, 1, True),
    (2, 13, 11, 17, 16, 3, 1, 1, False), (2, 14, 14, 64, 64, 3, 1, 1, False),
    (2, 14, 14, 16, 64, 3, 1, 1, True), (1, 28, 28, 64, 64, 3, 1, 1, False),
    (1, 9, 9, 64, 3, 3, 1, 1, True), (5, 4, 4, 64, 64, 3, 1, 1, False),
    (5, 2, 2, 64, 64, 3, 1, 1, False), (2, 12, 12, 48, 192, 3, 1, 1, True),
    (2, 9, 9, 3, 16, 3, 2, 0, True), (2, 10, 12, 16, 17, 3, 2, 1, False),
    (5, 7, 7, 64, 64, 3, 2, 1, False), (1, 15, 17, 17, 64, 3, 2, 1, True),
    (2, 2, 2, 64, 16, 3, 2, 1, False), (2, 13, 13, 3, 64, 7, 2, 3, False),
    (1, 24, 22, 3, 64, 7, 2, 3, True), (2, 11, 11, 16, 16, 5, 1, 2, True),
    (2, 7, 7, 16, 17, 2, 2, 0, False), (1, 8, 8, 16, 16, 3, 1, 2, False),
]

DEPTHWISE = [  # n, h, w, c, stride
    (1, 1, 1, 3, 1), (2, 5, 7, 16, 1), (5, 3, 3, 17, 1), (1, 9, 9, 64, 1), (2, 14, 11, 96, 1),
    (1, 2, 2, 8, 2), (2, 7, 9, 17, 2), (5, 8, 8, 32, 2), (1, 15, 12, 144, 2), (2, 1, 5, 3, 2),
    (3, 4, 1, 40, 1), (1, 1, 1, 24, 2),
]

POOLS = [  # n, h, w, c, kernel, stride, padding, ceil
    (1, 3, 3, 3, 3, 2, 1, False), (2, 8, 8, 16, 3, 2, 1, False), (5, 7, 9, 17, 3, 2, 1, False),
    (2, 13, 13, 64, 3, 2, 0, True), (2, 14, 11, 16, 3, 2, 0, True), (1, 15, 15, 64, 3, 2, 0, False),
    (2, 6, 6, 3, 2, 2, 0, False), (2, 7, 5, 17, 2, 2, 0, True), (1, 6, 6, 16, 3, 2, 1, True),
    (1, 3, 3, 64, 3, 1, 1, False), (5, 2, 2, 16, 3, 2, 1, False), (1, 4, 4, 16, 4, 4, 0, False),
]

NORMS = [(1, 3, 5, 3), (2, 4, 4, 16), (5, 1, 1, 17), (5, 7, 3, 64), (2, 13, 11, 17),
         (1, 28, 28, 64), (2, 1, 3, 3), (8, 2, 2, 192)]

IMAGES = [(1, 1, 1, 3), (2, 5, 7, 17), (5, 4, 4, 64), (1, 9, 9, 16)]


def text(*numbers):
    return "x".join(str(int(number)) for number in numbers)


def convolutions():
    for n, h, w, c, out, k, s, p, bias in CONVS:
        shape = f"{text(n, h, w, c)}>{out} k{k}s{s}p{p}{'b' if bias else ''}"
        b = Builder(f"conv {shape}")
        b.conv(b.observed(b.normal(n, h, w, c)), out, k, s, p, bias)
        yield b.done()
    for n, h, w, c, out, k, s, p, bias in CONVS[3::4]:
        shape = f"{text(n, h, w, c)}>{out} k{k}s{s}p{p}{'b' if bias else ''}"
        b = Builder(f"conv+relu {shape}")
        b.relu(b.conv(b.observed(b.normal(n, h, w, c)), out, k, s, p, bias))
        yield b.done()
        b = Builder(f"conv, first layer {shape}")
        b.conv(b.image(n, h, w, c), out, k, s, p, bias)
        yield b.done()


def depthwise():
    for n, h, w, c, stride in DEPTHWISE:
        b = Builder(f"depthwise {text(n, h, w, c)} s{stride}")
        b.depthwise(b.observed(b.normal(n, h, w, c)), stride)
        yield b.done()
        b = Builder(f"depthwise+relu6 {text(n, h, w, c)} s{stride}")
        b.relu6(b.depthwise(b.observed(b.normal(n, h, w, c, scale=4)), stride))
        yield b.done()
        b = Builder(f"depthwise+batchnorm+relu6, folded {text(n, h, w, c)} s{stride}")
        b.relu6(b.batchnorm(b.depthwise(b.image(n, h, w, c), stride)))
        yield b.done(mode="infer")
    for stride in (1, 2):
        b = Builder(f"depthwise of a value that is read again s{stride}")
        x = b.observed(b.normal(2, 6, 7, 24))
        b.join(b.depthwise(b.depthwise(x, 1), stride), b.depthwise(x, stride))
        yield b.done()


def norms():
    for shape in NORMS:
        b = Builder(f"batchnorm {text(*shape)}")
        b.batchnorm(b.observed(b.normal(*shape, scale=2, mean=1)))
        yield b.done()
        b = Builder(f"batchnorm+relu {text(*shape)}")
        b.relu(b.batchnorm(b.observed(b.normal(*shape, scale=2, mean=1))))
        yield b.done()
        b = Builder(f"batchnorm+relu6 {text(*shape)}")
        x = b.batchnorm(b.observed(b.normal(*shape, scale=2, mean=1)))
        b.tensors[f"param.norm{x}.weight"] *= 4
        b.relu6(x)
        yield b.done()
        b = Builder(f"batchnorm, stored statistics {text(*shape)}")
        b.batchnorm(b.image(*shape))
        yield b.done(mode="infer")
    for n, c in ((5, 3), (5, 1024), (16, 17), (8, 512)):
        b = Builder(f"batchnorm rows {n}x{c}")
        b.batchnorm(b.observed_rows(b.normal(n, c, scale=2, mean=1)))
        yield b.done()
    b = Builder("batchnorm far from zero 5x6x6x16")
    b.batchnorm(b.observed(b.normal(5, 6, 6, 16, mean=30)))
    yield b.done()


def activations():
    for shape in IMAGES:
        for smooth in (False, True):
            b = Builder(f"{'silu' if smooth else 'relu'} {text(*shape)}")
            image = b.normal(*shape, scale=3)
            image.reshape(-1)[::5] = 0
            b.relu(b.observed(image), smooth)
            yield b.done()
    for shape in IMAGES:
        b = Builder(f"relu6 {text(*shape)}")
        image = b.normal(*shape, scale=5)
        image.reshape(-1)[::5], image.reshape(-1)[1::7] = 0, 6
        b.relu6(b.observed(image))
        yield b.done()
        b = Builder(f"conv+relu6, inference {text(*shape)}")
        b.relu6(b.conv(b.image(*shape), 17, 3, bias=True))
        yield b.done(mode="infer")
    b = Builder("relu rows 5x512")
    b.relu(b.observed_rows(b.normal(5, 512)))
    yield b.done()


def pools():
    for smooth, (n, h, w, c, k, s, p, ceil) in itertools.product((False, True), POOLS):
        kind = "average" if smooth else "max"
        b = Builder(f"{kind} pool {text(n, h, w, c)} k{k}s{s}p{p}{' ceil' if ceil else ''}")
        b.pool(b.observed(b.normal(n, h, w, c)), k, s, p, ceil, smooth)
        yield b.done()
    b = Builder("max pool, all negative 2x7x7x16")
    b.pool(b.observed(b.uniform(-9, -1, 2, 7, 7, 16)), 3, 2, 1, False)
    yield b.done()
    b = Builder("max pool, equal values 2x8x8x16")
    image = b.random.randint(0, 3, (2, 8, 8, 16)).astype(np.float32)
    b.pool(b.observed(image), 3, 2, 0, True)
    yield b.done()
    for shape in IMAGES:
        b = Builder(f"global average pool {text(*shape)}")
        b.global_pool(b.observed(b.normal(*shape)))
        yield b.done()
        b = Builder(f"concat pool {text(*shape)}")
        b.concat_pool(b.observed(b.normal(*shape)))
        yield b.done()


def joins():
    for shape in IMAGES:
        b = Builder(f"add {text(*shape)}")
        x = b.observed(b.normal(*shape))
        b.join(b.conv(x, shape[3], 1), b.conv(x, shape[3], 3))
        yield b.done()
        b = Builder(f"concat {text(*shape)}+17")
        x = b.observed(b.normal(*shape))
        b.concat(b.conv(x, shape[3], 3), b.conv(x, 17, 1))
        yield b.done()
    b = Builder("concat of one value read twice")
    x = b.observed(b.normal(2, 4, 4, 16))
    b.concat(b.relu(x), x)
    yield b.done()


def linears():
    for n, c, out, bias in ((1, 3, 16, True), (2, 17, 3, False), (5, 1024, 512, True),
                            (5, 512, 10, False), (16, 64, 64, True), (3, 16, 1, True)):
        b = Builder(f"linear {n}x{c}>{out}{'b' if bias else ''}")
        b.linear(b.observed_rows(b.normal(n, c)), out, bias)
        yield b.done()


def losses():
    for n, classes, scale in ((1, 2, 1), (5, 3, 1), (16, 37, 4), (2, 1000, 3), (5, 10, 60)):
        b = Builder(f"cross-entropy {n}x{classes} scale {scale}")
        b.observed_rows(b.normal(n, classes, scale=scale))
        yield b.done(labels=b.random.randint(0, classes, n))
    for kind, n, classes, smoothing, weighted in (
            ("labels", 16, 5, .1, False), ("labels", 8, 37, 0, True), ("labels", 5, 200, .2, True),
            ("soft", 16, 5, 0, False), ("soft", 3, 10, .1, True), ("binary", 7, 20, 0, False),
            ("binary", 16, 3, 0, True)):
        b = Builder(f"loss {kind} {n}x{classes} smoothing {smoothing}{' weighted' * weighted}")
        b.observed_rows(b.normal(n, classes, scale=3))
        if weighted:
            b.tensors["class_weights.0"] = b.uniform(.1, 4, classes)
        if kind == "soft":
            soft = b.uniform(0, 1, n, classes)
            b.tensors["soft.0"] = soft / soft.sum(1, keepdims=True)
        elif kind == "binary":
            b.tensors["soft.0"] = b.random.randint(0, 2, (n, classes)).astype(np.float32)
        yield b.done(labels=b.random.randint(0, classes, n), loss=dict(kind=kind,
                                                                       smoothing=smoothing))
    b = Builder("cross-entropy after linear 5x64>7")
    b.linear(b.observed_rows(b.normal(5, 64)), 7)
    yield b.done(labels=b.random.randint(0, 7, 5))


def dropouts():
    for share, shape in itertools.product((.25, .5), ((5, 4, 4, 17), (2, 1, 1, 1024))):
        b = Builder(f"dropout {share} {text(*shape)}")
        b.dropout(b.observed(b.normal(*shape)), share)
        yield b.done()
    b = Builder("dropout rows .5 8x512")
    b.dropout(b.observed_rows(b.normal(8, 512)), .5)
    yield b.done()
    b = Builder("dropout, inference 2x3x3x16")
    b.dropout(b.image(2, 3, 3, 16), .5)
    yield b.done(mode="infer")


def residual(b, x, channels, stride, smooth=False):
    y = b.relu(b.batchnorm(b.conv(x, channels, 3, stride)), smooth)
    y = b.batchnorm(b.conv(y, channels, 3))
    if stride > 1 or b.channels[x] != channels:
        x = b.batchnorm(b.conv(x, channels, 1, stride))
    return b.relu(b.join(y, x), smooth)


def fire(b, x, squeeze, expand, smooth=False):
    x = b.relu(b.conv(x, squeeze, 1, bias=True), smooth)
    return b.concat(b.relu(b.conv(x, expand, 1, bias=True), smooth),
                    b.relu(b.conv(x, expand, 3, bias=True), smooth))


def inverted_residual(b, x, channels, stride):
    y = b.relu6(b.batchnorm(b.conv(x, 6 * b.channels[x], 1)))
    y = b.relu6(b.batchnorm(b.depthwise(y, stride)))
    y = b.batchnorm(b.conv(y, channels, 1))
    return b.join(x, y) if stride == 1 and b.channels[x] == channels else y


def small_net(b, x, smooth=False, classes=5):
    """Three groups: stem and residual block, strided block and fire, head."""
    x = b.relu(b.batchnorm(b.conv(x, 16, 3, 2)), smooth)
    x = b.pool(x, 3, 2, 1, False, smooth)
    x = residual(b, x, 16, 1, smooth)
    b.group(1)
    x = residual(b, x, 32, 2, smooth)
    x = fire(b, x, 16, 24, smooth)
    b.group(2)
    x = b.dropout(b.batchnorm(b.concat_pool(x, smooth)), .25)
    x = b.batchnorm(b.relu(b.linear(x, 32), smooth))
    return b.linear(b.dropout(x, .5), classes)


def start(b, mode, shape):
    return b.image(*shape) if mode == "infer" else b.observed(b.normal(*shape))


def graphs():
    """Small networks: what is fused, read twice, overwritten, frozen or folded."""
    for mode, shape in itertools.product(("train", "infer"), ((2, 7, 9, 16), (5, 4, 4, 64))):
        where = f"{mode} {text(*shape)}"
        b = Builder(f"residual block {where}")
        residual(b, start(b, mode, shape), shape[3], 1)
        yield b.done(mode=mode)
        b = Builder(f"residual block, stride 2 {where}")
        residual(b, start(b, mode, shape), 32, 2)
        yield b.done(mode=mode)
        b = Builder(f"two residual blocks {where}")
        x = b.conv(b.image(*shape), shape[3], 3)
        residual(b, residual(b, x, shape[3], 1), shape[3], 1)
        yield b.done(mode=mode)
        b = Builder(f"fire module {where}")
        fire(b, start(b, mode, shape), 16, 64)
        yield b.done(mode=mode)
        b = Builder(f"inverted residuals {where}")
        x = inverted_residual(b, start(b, mode, shape), shape[3], 1)
        inverted_residual(b, b.relu6(x), 24, 2)  # without the relu6 the norm's bias has no effect
        yield b.done(mode=mode)
        b = Builder(f"value read four times {where}")
        x = b.relu(b.conv(b.image(*shape), 16, 3))
        y = b.join(b.conv(x, 16, 3), b.relu(b.conv(x, 16, 1)))
        b.join(b.join(y, x), b.relu(x))
        yield b.done(mode=mode)
        b = Builder(f"add without norm, then relu {where}")
        x = b.relu(b.conv(b.image(*shape), 16, 3))
        y = b.relu(b.join(b.conv(b.relu(b.conv(x, 16, 3)), 16, 3), x))
        b.conv(y, 16, 1)
        yield b.done(mode=mode)
    for frozen, norms_train in itertools.product((0, 1, 2), (True, False)):
        norms_do = "train" if norms_train else "stored"
        b = Builder(f"small net, {frozen} groups frozen, norms {norms_do}")
        small_net(b, b.image(16, 33, 31, 3))
        yield b.done(labels=b.random.randint(0, 5, 16), frozen_groups=frozen,
                     frozen_norm_trains=norms_train, bound=NET_BOUND)
    b = Builder("small net, smooth twin")
    small_net(b, b.image(16, 33, 31, 3), smooth=True)
    yield b.done(labels=b.random.randint(0, 5, 16), bound=NET_BOUND)
    b = Builder("small net, inference")
    small_net(b, b.image(3, 33, 31, 3))
    yield b.done(labels=b.random.randint(0, 5, 3), mode="infer")


def all_cases():
    for make in (convolutions, depthwise, norms, activations, pools, joins, linears, losses,
                 dropouts, graphs):
        yield from make()
