"""Whole networks in PyTorch, as float64 twins of what the engine builds.

Bodies are torchvision's, cut as PARITY section 4 says, with the new head behind them; which group
a parameter belongs to is written down here a second time, on purpose. The smooth twin has SiLU
for ReLU and averages for max pools, so that rounding cannot flip a kink.
"""
import copy
import re

import numpy as np
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from reference import nchw, nhwc

HIDDEN = 512
GROUPS = {"resnet": ((), ("layer3.", "layer4.")),  # prefixes; the first group has all the others
          "squeezenet": ((), tuple(f"features.{i}." for i in range(5, 13))),
          "mobilenet": ((),)}
CHANNELS = {"resnet50": 2048, "resnet101": 2048, "wide_resnet50_2": 2048, "mobilenet_v2": 1280}
CLASSIFIER = ("head.", "fc.", "classifier.")


class MaskedDropout(nn.Module):
    """Multiplies by the mask that the engine drew."""

    def __init__(self, share):
        super().__init__()
        self.share = share
        self.mask = None

    def forward(self, x):
        return x * self.mask if self.training and self.mask is not None else x


class ConcatPool(nn.Module):
    smooth = False

    def forward(self, x):
        average = x.mean((2, 3))
        return torch.cat([average if self.smooth else x.amax((2, 3)), average], 1)


def new_head(channels, classes, form, dropout):
    """fastai's create_head; `dropout` makes a layer from its share."""
    bias = form == "v1"
    return nn.Sequential(
        ConcatPool(), nn.Flatten(), nn.BatchNorm1d(2 * channels), dropout(.25),
        nn.Linear(2 * channels, HIDDEN, bias=bias), nn.ReLU(), nn.BatchNorm1d(HIDDEN),
        dropout(.5), nn.Linear(HIDDEN, classes, bias=bias))


class Transfer(nn.Module):
    """torchvision's network up to the cut, then the head."""

    def __init__(self, architecture, form, classes, dropout=nn.Dropout):
        super().__init__()
        whole = getattr(torchvision.models, architecture)()
        cut = ("avgpool", "fc", "classifier")
        self.body = [name for name, _ in whole.named_children() if name not in cut]
        for name in self.body:
            setattr(self, name, getattr(whole, name))
        self.head = new_head(CHANNELS.get(architecture, 512), classes, form, dropout)

    def forward(self, x):
        for name in self.body:
            x = getattr(self, name)(x)
        return self.head(x)


def smooth(module):
    for name, child in module.named_children():
        if isinstance(child, (nn.ReLU, nn.ReLU6)):
            setattr(module, name, nn.SiLU())
        elif isinstance(child, nn.MaxPool2d):
            setattr(module, name, nn.AvgPool2d(child.kernel_size, child.stride, child.padding,
                                               child.ceil_mode, count_include_pad=False))
        elif isinstance(child, ConcatPool):
            child.smooth = True
        else:
            smooth(child)


def with_masks(module):
    for name, child in module.named_children():
        if isinstance(child, nn.Dropout):
            setattr(module, name, MaskedDropout(child.p))
        else:
            with_masks(child)


def randomise(model):
    """Norms and biases away from their trivial starting values; all of it exact in float32."""
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            nn.init.uniform_(module.weight, .5, 1.5)
            nn.init.normal_(module.bias, 0, .2)
            nn.init.normal_(module.running_mean, 0, .2)
            nn.init.uniform_(module.running_var, .5, 2)
        elif isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight)
            if module.bias is not None:
                nn.init.normal_(module.bias, 0, .1)


def scale_to_signal(model, size=64):
    """Weights such that every convolution's output has deviation 1 (Mishkin and Matas 2015). Where
    a net without norms lets its signal fade, SiLU is linear and gradients cancel to rounding."""
    def rescale(module, _, output):
        deviation = output.std()
        module.weight.data /= deviation
        if module.bias is not None:
            module.bias.data /= deviation
        return output / deviation

    hooks = [m.register_forward_hook(rescale) for m in model.modules() if isinstance(m, nn.Conv2d)]
    with torch.no_grad():
        model(torch.randn(4, 3, size, size))
    for hook in hooks:
        hook.remove()


def build(network, seed):
    """A float64 model for a case's {"architecture", "head", "classes", "smooth"}."""
    torch.manual_seed(seed)
    if network["head"] == "original":
        model = getattr(torchvision.models, network["architecture"])(
            num_classes=network["classes"])
    else:
        model = Transfer(network["architecture"], network["head"], network["classes"])
    randomise(model)
    with_masks(model)
    if network.get("smooth"):
        smooth(model)
    model.eval()
    scale_to_signal(model)
    return model.double()


def parameters(model):
    """{name: float32 array}: learnable ones and statistics."""
    return {name: value.detach().numpy().astype(np.float32)
            for name, value in model.state_dict().items()
            if not name.endswith("num_batches_tracked")}


def group_of(network, name):
    body = next(groups for family, groups in GROUPS.items() if family in network["architecture"])
    if name.startswith(CLASSIFIER):
        return len(body)
    return next((i for i, prefixes in enumerate(body) if name.startswith(prefixes)), 0)


def is_ineffective(name):
    """A bias that only 1x1 convolutions with batch norm behind them read: they take it out again,
    so its gradient is zero but for rounding, and under Adam it wanders (MobileNet's narrow ends).
    """
    found = re.fullmatch(r"features\.(\d+)\.conv\.(\d)\.bias", name)
    return bool(found) and found[2] == ("2" if found[1] == "1" else "3")


class Twin:
    """The reference of one case: the same weights, modes and freezing."""

    def __init__(self, case, model):
        self.case, self.network = case, case["network"]
        self.model = copy.deepcopy(model)
        frozen, norms_train = case["frozen_groups"], case["frozen_norm_trains"]
        self.norms = {name: module for name, module in self.model.named_modules()
                      if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d))}
        self.model.train(case["mode"] == "train")
        self.round_to_float32()
        self.trains = {}
        for name, value in self.model.named_parameters():
            is_norm = name.rsplit(".", 1)[0] in self.norms
            free = group_of(self.network, name) >= frozen or (is_norm and norms_train)
            self.trains[name] = free and case["mode"] == "train"
            value.requires_grad_(self.trains[name])
        for name, module in self.norms.items():
            module.train(self.trains[f"{name}.weight"])
        self.optimizer = None

    def round_to_float32(self):
        for value in self.model.state_dict().values():
            if value.is_floating_point():
                value.copy_(value.float().double())

    def set_masks(self, masks, k):
        """`masks`: driver.c's OUT; nodes are numbered in the order in which they run."""
        found = sorted((int(name.split(".")[2]), mask) for name, mask in masks.items()
                       if name.startswith(f"mask.{k}."))
        layers = [m for m in self.model.modules() if isinstance(m, MaskedDropout)]
        for layer, (_, mask) in zip(layers, found):
            rows = mask.shape[1] == mask.shape[2] == 1
            layer.mask = nchw(mask, rows=rows)

    def forward(self, image, labels):
        """Logits as the driver writes them, and the loss."""
        logits = self.model(nchw(image))
        loss = F.cross_entropy(logits, torch.tensor(labels))
        return nhwc(logits), loss

    def backward(self, loss):
        self.model.zero_grad(set_to_none=True)
        loss.backward()

    def gradients(self):
        return {name: value.grad.numpy() for name, value in self.model.named_parameters()
                if self.trains[name]}

    def start_optimizer(self):
        """torch's own AdamW; a parameter group for each layer group, with and without decay."""
        o = self.case["optimizer"]
        groups = {}
        for name, value in self.model.named_parameters():
            if self.trains[name]:
                norm_or_bias = name.endswith(".bias") or name.rsplit(".", 1)[0] in self.norms
                decays = o["decay_norm_bias"] or not norm_or_bias
                groups.setdefault((group_of(self.network, name), decays), []).append(value)
        self.optimizer = torch.optim.AdamW(
            [{"params": values, "lr": o["rates"][group], "rate": o["rates"][group],
              "weight_decay": o["weight_decay"] if decays else 0.0}
             for (group, decays), values in groups.items()], eps=o["eps"])

    def step(self, k):
        settings = self.case["optimizer"]
        for group in self.optimizer.param_groups:
            group["betas"] = (settings["momentum"][k], settings["beta2"])
            group["lr"] = group["rate"] * settings["scale"][k] if "scale" in settings else \
                group["rate"]
        self.optimizer.step()

    def rates(self):
        return self.case["optimizer"]["rates"]

    def moments(self):
        """{moment1.NAME, moment2.NAME}; what has not been stepped yet is zero."""
        made = {}
        for name, value in self.model.named_parameters():
            if self.trains[name]:
                state = self.optimizer.state[value]
                for ours, theirs in (("moment1", "exp_avg"), ("moment2", "exp_avg_sq")):
                    made[f"{ours}.{name}"] = state.get(theirs, torch.zeros_like(value)).numpy()
        return made

    def round_optimizer_to_float32(self):
        for state in self.optimizer.state.values():
            for key in ("exp_avg", "exp_avg_sq"):
                state[key].copy_(state[key].float().double())
        for value in self.model.parameters():
            if value.grad is not None:
                value.grad.copy_(value.grad.float().double())
