"""What PyTorch, in float64, says about the cases that driver.c runs.

A case is driver.c's CASE.json as a dictionary, its tensors are IN. The answers carry the names of
driver.c's OUT, in the engine's axis order: images (N,H,W,C), rows (N,1,1,C).
"""
import numpy as np
import torch
import torch.nn.functional as F

STATISTICS = (".running_mean", ".running_var")
EPSILON, MOMENTUM = 1e-5, .1


def nhwc(tensor):
    """(N,C,H,W) or (N,C) as the driver writes it."""
    if tensor.dim() == 2:
        tensor = tensor[:, :, None, None]
    return tensor.detach().permute(0, 2, 3, 1).numpy()


def nchw(array, rows=False):
    tensor = torch.tensor(np.asarray(array, np.float64)).permute(0, 3, 1, 2).contiguous()
    return tensor.flatten(1) if rows else tensor


def groups_of(layers):
    """The layer group of each layer."""
    group, groups = 0, []
    for layer in layers:
        group = layer.get("group", group)
        groups.append(group)
    return groups


def parameters_of(layer):
    """(suffix, learnable) of what the layer owns."""
    if layer["op"] == "batchnorm":
        return [("weight", True), ("bias", True), ("running_mean", False), ("running_var", False)]
    if layer["op"] in ("conv", "depthwise", "linear"):
        return [("weight", True)] + ([("bias", True)] if layer.get("bias") else [])
    return []


def is_frozen(case, group):
    return case.get("mode", "train") == "infer" or group < case.get("frozen_groups", 0)


class Layers:
    """A case whose network is a list of layers."""

    def __init__(self, case, tensors):
        self.case, self.layers = case, case["network"]["layers"]
        self.groups = groups_of(self.layers)
        self.trains = {}
        self.values = {name[6:]: torch.tensor(np.asarray(array, np.float64))
                       for name, array in tensors.items() if name.startswith("param.")}
        for layer, group in zip(self.layers, self.groups):
            frozen = is_frozen(case, group)
            norm = layer["op"] == "batchnorm" and case.get("frozen_norm_trains", True)
            for suffix, learnable in parameters_of(layer):
                trains = learnable and (not frozen or (norm and case.get("mode") != "infer"))
                name = f"{layer['name']}.{suffix}"
                self.trains[name] = trains
                self.values[name].requires_grad_(trains)

    def batchnorm(self, layer, x):
        weight, bias, mean, var = (self.values[f"{layer['name']}.{s}"] for s in
                                   ("weight", "bias", "running_mean", "running_var"))
        return F.batch_norm(x, mean, var, weight, bias, self.trains[f"{layer['name']}.weight"],
                            MOMENTUM, EPSILON)

    @staticmethod
    def pool(layer, x):
        shape = layer["kernel"], layer["stride"], layer["padding"]
        if layer.get("smooth"):
            return F.avg_pool2d(x, *shape, ceil_mode=layer["ceil"], count_include_pad=False)
        return F.max_pool2d(x, *shape, ceil_mode=layer["ceil"])

    def apply(self, index, layer, done, masks):
        op = layer["op"]
        x = done[layer["x"]]
        weight = self.values.get(f"{layer.get('name')}.weight")
        bias = self.values.get(f"{layer.get('name')}.bias")
        if op == "conv":
            return F.conv2d(x, weight, bias, layer["stride"], layer["padding"])
        if op == "depthwise":
            return F.conv2d(x, weight, None, layer["stride"], 1, groups=x.shape[1])
        if op == "linear":
            return F.linear(x, weight, bias)
        if op == "batchnorm":
            return self.batchnorm(layer, x)
        if op == "relu":
            return F.silu(x) if layer.get("smooth") else F.relu(x)
        if op == "relu6":
            return F.silu(x) if layer.get("smooth") else F.relu6(x)
        if op == "max_pool":
            return self.pool(layer, x)
        if op == "global_average_pool":
            return x.mean((2, 3))
        if op == "concat_pool":
            return torch.cat([x.amax((2, 3)), x.mean((2, 3))], 1)
        if op == "add":
            return x + done[layer["y"]]
        if op == "concat":
            return torch.cat([x, done[layer["y"]]], 1)
        if op == "dropout":
            mask = masks.get(f"mask.0.{index}")
            return x if mask is None else x * nchw(mask, rows=x.dim() == 2)
        raise ValueError(op)

    def forward(self, x, masks):
        done = [x]
        for index, layer in enumerate(self.layers):
            if index:
                done.append(self.apply(index, layer, done, masks))
        return done[-1]


def losses_of(case, tensors, output):
    """The mean and each row's loss, as torch's criteria say."""
    loss = case.get("loss", {})
    weight = tensors.get("class_weights.0")
    weight = None if weight is None else torch.tensor(np.asarray(weight, np.float64))
    if "soft.0" in tensors:
        target = torch.tensor(np.asarray(tensors["soft.0"], np.float64))
    else:
        target = torch.tensor(np.asarray(tensors["labels.0"], np.int64))
    if loss.get("kind") == "binary":
        rows = F.binary_cross_entropy_with_logits(output, target, weight, reduction="none").mean(1)
        return F.binary_cross_entropy_with_logits(output, target, weight), rows
    options = dict(weight=weight, label_smoothing=loss.get("smoothing", 0.))
    rows = F.cross_entropy(output, target, reduction="none", **options)
    return F.cross_entropy(output, target, **options), rows


def run(case, tensors, masks=None):
    """What driver.c should write for a case of one step without optimiser; `masks`: its OUT."""
    net = Layers(case, tensors)
    output = net.forward(nchw(tensors["input.0"]), masks or {})
    answer = {"output.0": nhwc(output)}
    if "labels.0" in tensors:
        mean, rows = losses_of(case, tensors, output)
        answer["row_loss.0"] = rows.detach().numpy()
        answer["loss.0"] = mean.detach().numpy().reshape(1)
        if case.get("mode") != "infer":
            mean.backward()
    elif "output_gradient.0" in tensors:
        output.backward(nchw(tensors["output_gradient.0"], rows=output.dim() == 2))
    for name, value in net.values.items():
        if net.trains[name]:
            answer[f"gradient.{name}"] = value.grad.numpy()
        answer[f"param.{name}"] = value.detach().numpy()
    return answer


def output_shape(case, tensors):
    """(N,H,W,C), without touching the tensors."""
    with torch.no_grad():
        return nhwc(Layers(case, tensors).forward(nchw(tensors["input.0"]), {})).shape
