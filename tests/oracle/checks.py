"""What is compared with what, and within which bound (PARITY section 7)."""
import os
import subprocess
import sys

import numpy as np

import free
import nets
import ops
import reference
from comparison import Check, rms
from engine import EngineError
from reference import STATISTICS

GRADIENT_BOUND, WEIGHT_BOUND = 1e-4, 1e-4    # (b)
LOSS_BOUND, UPDATE_BOUND = 1e-5, 1e-6        # (c)
FREE_BOUND = 1e-4  # losses on the way and running statistics: small ones magnify differences
KINKED_BOUND = .1  # gradients of the real net: rounding flips kinks, so this sees blunders only
STEPS = 20
UPDATE_STEPS = (0, 1, 2, 5, 10, 19)  # of those: where the optimiser alone is compared too
HALF_ULP = 2.0 ** -24  # of a float32, relative


def compare_gradients(check, made, expected, bound):
    """`expected`: {name: array} of exactly the parameters that train."""
    ours = {name[9:]: array for name, array in made.items() if name.startswith("gradient.")}
    check.require(f"gradients of {sorted(set(ours) ^ set(expected))}: on one side only",
                  set(ours) == set(expected))
    for name in sorted(set(ours) & set(expected)):
        if nets.is_ineffective(name):
            size = rms(expected[name.replace(".bias", ".weight")])
            check.add(f"gradient {name}, zero", rms(ours[name]) / size, bound)
        else:
            check.compare(f"gradient {name}", ours[name], expected[name], bound)


def compare_kept(check, made, given, expected, bound):
    """Without an optimiser a parameter stays as it is, bit for bit; statistics follow the batch."""
    for name, before in given.items():
        if not name.startswith("param."):
            continue
        if name.endswith(STATISTICS) and not np.array_equal(expected[name], before):
            check.compare(name, made[name], expected[name], bound)
        else:
            check.require(f"{name} should have stayed as it was",
                          np.array_equal(made[name], before))


def check_masks(check, made, shares):
    """Every element is 0 or 1/(1-p), and p of them are 0, within six standard deviations."""
    masks = {name: mask for name, mask in made.items() if name.startswith("mask.")}
    check.require("one mask for each dropout", len(masks) == len(shares))
    for (name, mask), share in zip(sorted(masks.items()), shares):
        keep = np.float32(1 / (1 - share))
        zeros = float(np.mean(mask == 0))
        spread = np.sqrt(share * (1 - share) / mask.size)
        check.require(f"{name} holds only 0 and {keep}", np.all((mask == 0) | (mask == keep)))
        check.require(f"{name}: {zeros:.3f} are zero, expected {share}",
                      abs(zeros - share) <= 6 * spread)


def check_layers(name, case, tensors, made, plan):
    """One case of ops.py against float64."""
    check = Check(name)
    expected = reference.run(case, tensors, made)
    bound = case["bound"]
    if "winograd" in plan.lower():
        bound = max(bound, ops.WINOGRAD_BOUND)
    for key in ("output.0", "row_loss.0", "loss.0"):
        if key in expected:
            check.compare(key, made[key], expected[key], bound)
    gradients = {key[9:]: array for key, array in expected.items() if key.startswith("gradient.")}
    compare_gradients(check, made, gradients, bound)
    compare_kept(check, made, tensors, expected, bound)
    if case["mode"] == "train":
        check_masks(check, made, [layer["share"] for layer in case["network"]["layers"]
                                  if layer["op"] == "dropout"])
    return check


def net_case(architecture, head="v2", frozen=0, norms_train=True, smooth=True, batch=16, size=64,
             classes=5, mode="train"):
    network = dict(architecture=architecture, head=head, classes=classes, smooth=smooth)
    return dict(network=network, mode=mode, batch=batch, height=size, width=size, seed=11,
                frozen_groups=frozen, frozen_norm_trains=norms_train)


def net_name(case):
    network = case["network"]
    name = f"{network['architecture']} {network['head']}"
    if case["mode"] == "infer":
        return f"{name} inference {case['height']}px"
    if case["frozen_groups"]:
        norms = "train" if case["frozen_norm_trains"] else "stored"
        return f"{name} {case['frozen_groups']} frozen, norms {norms} {case['height']}px"
    return f"{name} all layers {case['height']}px"


def optimizer(form, rates):
    """fastai's AdamW of either generation; momentum as one-cycle moves it."""
    cycle = .9 + .05 * np.cos(2 * np.pi * np.arange(STEPS) / STEPS)
    return dict(beta2=.99, eps=1e-8 if form == "v1" else 1e-5, weight_decay=.01,
                decay_norm_bias=form == "v1", rates=rates, momentum=cycle.tolist())


def batches(case, steps, signal=.8):
    """Pictures that can be learnt: each class has a pattern of its own under the noise. From noise
    alone every gradient is noise, and Adam, which divides by its size, turns rounding into chaos.
    With `signal` 0 nothing can be learnt, and the loss stays of the order of 1."""
    random = np.random.RandomState(case["batch"] + case["height"])
    shape = case["height"], case["width"], 3
    patterns = random.standard_normal((case["network"]["classes"], *shape))
    tensors = {}
    for k in range(steps):
        labels = random.randint(0, case["network"]["classes"], case["batch"])
        noise = random.standard_normal((case["batch"], *shape))
        tensors[f"input.{k}"] = (signal * patterns[labels] + .6 * noise).astype(np.float32)
        tensors[f"labels.{k}"] = labels
    return tensors


def with_params(tensors, model):
    params = {f"param.{name}": array for name, array in nets.parameters(model).items()}
    return {**tensors, **params}


def check_gradients(case, made, twin, tensors, bound, name):
    """Logits, loss, every gradient and statistic of one step."""
    check = Check(name)
    twin.set_masks(made, 0)
    logits, loss = twin.forward(tensors["input.0"], tensors["labels.0"])
    check.compare("logits", made["output.0"], logits, GRADIENT_BOUND)
    check.compare("loss", made["loss.0"], [loss.item()], LOSS_BOUND)
    if case["mode"] == "train":
        twin.backward(loss)
        compare_gradients(check, made, twin.gradients(), bound)
    after = {f"param.{key}": value.numpy() for key, value in twin.model.state_dict().items()}
    compare_kept(check, made, tensors, after, GRADIENT_BOUND)
    return check


def check_weights(made, twin, tensors, steps, name):
    """All weights after `steps` free-running AdamW steps."""
    check = Check(name)
    twin.start_optimizer()
    for k in range(steps):
        twin.set_masks(made, k)
        _, loss = twin.forward(tensors[f"input.{k}"], tensors[f"labels.{k}"])
        check.compare(f"loss of step {k}", made[f"loss.{k}"], [loss.item()], FREE_BOUND)
        twin.backward(loss)
        twin.step(k)
    for key, value in twin.model.state_dict().items():
        if key.endswith("num_batches_tracked"):
            continue
        if nets.is_ineffective(key):
            moved = rms(made[f"param.{key}"] - tensors[f"param.{key}"])
            check.add(f"{key}, which has no effect", moved, steps * max(twin.rates()))
        elif twin.trains.get(key) or key.endswith(STATISTICS):
            bound = FREE_BOUND if key.endswith(STATISTICS) else WEIGHT_BOUND
            check.compare(key, made[f"param.{key}"], value.numpy(), bound)
        else:
            check.require(f"{key} is frozen and should have stayed as it was",
                          np.array_equal(made[f"param.{key}"], value.numpy()))
    return check


def check_update(check, before, made, twin):
    """The moments, and the change that one optimiser step made. Storing a weight in float32 rounds
    it by up to half an ulp, twice (decay, then step): that much of the error is not the update's.
    """
    for name, moment in twin.moments().items():
        check.compare(f"{name} after the step", made[name], moment, UPDATE_BOUND)
    for name, value in twin.model.named_parameters():
        if not twin.trains[name]:
            continue
        old = before[f"param.{name}"].astype(np.float64)
        update = value.detach().numpy() - old
        error = rms(made[f"param.{name}"] - old - update)
        floor = 2 * HALF_ULP * rms(np.abs(old) + np.abs(update))
        check.add(f"update {name}", max(0.0, error - floor) / rms(update), UPDATE_BOUND)


class Run:
    def __init__(self, report, only, long):
        self.report, self.only, self.long = report, only, long

    def guarded(self, name, work):
        """Adds what work() returns; a case that the engine refuses, or dies of, has failed."""
        if self.only not in name:
            return
        try:
            check = work()
        except EngineError as error:
            check = Check(name)
            check.require(f"the driver: {error}", False)
        self.report.add(check)

    # (a)
    def ops(self, engine):
        isa = f", {engine.isa}" if engine.isa else ""
        self.report.head(f"(a) every op and pass against float64{isa}")
        for name, case, tensors in ops.all_cases():
            self.guarded(name, lambda n=name, c=case, t=tensors:
                         check_layers(n, c, t, *engine.run(c, t)))

    # (b)
    def net_cases(self):
        yield net_case("resnet18"), [1e-4, 1e-4, 1e-4]
        yield net_case("resnet18", "v1", 2), [0, 0, 1e-4]
        yield net_case("resnet18", "v2", 2, False), [0, 0, 1e-4]
        yield net_case("resnet18", "v1", 1, size=72, batch=10), [1e-5, 3e-5, 1e-4]
        yield net_case("squeezenet1_1"), [1e-6, 1e-5, 1e-4]
        yield net_case("squeezenet1_1", "v1", size=79, batch=12), [1e-4, 1e-4, 1e-4]
        yield net_case("squeezenet1_1", "v2", 2), [0, 0, 1e-4]
        yield net_case("squeezenet1_1", "v1", 1), [0, 1e-5, 1e-4]
        yield net_case("mobilenet_v2"), [1e-4, 1e-4]
        yield net_case("mobilenet_v2", "v1", 1), [0, 1e-4]
        yield net_case("mobilenet_v2", "v2", 1, False, size=79), [0, 1e-4]
        if self.long:
            yield net_case("resnet34"), [1e-4, 1e-4, 1e-4]
            yield net_case("resnet34", "v1", 2), [0, 0, 1e-4]
            yield net_case("resnet50", size=96), [1e-4, 1e-4, 1e-4]
            yield net_case("resnet50", "v2", 1, False), [0, 1e-5, 1e-4]
            yield net_case("resnet50", "v2", 2, True), [0, 0, 1e-4]
            yield net_case("resnet50", "v2", 2, False), [0, 0, 1e-4]
            yield net_case("resnet101", "v2", 2, False), [0, 0, 1e-4]
            yield net_case("wide_resnet50_2", "v2", 2, False), [0, 0, 1e-4]

    def inference_cases(self):
        for architecture in ("resnet18", "squeezenet1_1", "mobilenet_v2", "resnet34", "resnet50",
                             "resnet101", "wide_resnet50_2"):
            if self.long or architecture in ("resnet18", "squeezenet1_1", "mobilenet_v2"):
                yield net_case(architecture, "v2", smooth=False, mode="infer", batch=3, size=96)
                yield net_case(architecture, "original", smooth=False, mode="infer", batch=2,
                               classes=37)

    def one_step(self, engine, case, bound):
        model = nets.build(case["network"], 1)
        tensors = with_params(batches(case, 1), model)
        made, _ = engine.run(case, tensors)
        return check_gradients(case, made, nets.Twin(case, model), tensors, bound, net_name(case))

    def many_steps(self, engine, case, rates):
        case = dict(case, steps=STEPS, optimizer=optimizer(case["network"]["head"], rates))
        model = nets.build(case["network"], 2)
        tensors = with_params(batches(case, STEPS), model)
        made, _ = engine.run(case, tensors)
        return check_weights(made, nets.Twin(case, model), tensors, STEPS, net_name(case))

    def nets(self, engine):
        self.report.head("(b) smooth twins: logits, loss, every gradient, statistics of one step")
        for case, _ in self.net_cases():
            self.guarded(net_name(case), lambda c=case: self.one_step(engine, c, GRADIENT_BOUND))
        self.report.head(f"(b) smooth twins: all weights after {STEPS} AdamW steps")
        for case, rates in self.net_cases():
            self.guarded(net_name(case), lambda c=case, r=rates: self.many_steps(engine, c, r))
        self.report.head("real nets: logits and loss of inference (norms folded)")
        for case in self.inference_cases():
            self.guarded(net_name(case), lambda c=case: self.one_step(engine, c, KINKED_BOUND))

    # (c)
    def locked_cases(self):
        yield net_case("resnet18", smooth=False), [1e-4, 3e-4, 1e-3]
        yield net_case("resnet18", "v1", 2, smooth=False), [1e-5, 1e-5, 3e-3]
        yield net_case("squeezenet1_1", "v1", smooth=False, batch=32), [1e-5, 1e-4, 1e-3]
        yield net_case("squeezenet1_1", "v2", 2, smooth=False, batch=32), [0, 0, 3e-3]
        yield net_case("mobilenet_v2", smooth=False, batch=32, size=96), [1e-4, 1e-3]
        if self.long:
            yield net_case("resnet34", smooth=False), [1e-4, 3e-4, 1e-3]
            yield net_case("resnet50", "v2", 1, smooth=False), [1e-4, 3e-4, 1e-3]
            yield net_case("resnet18", "v2", 2, False, smooth=False), [0, 0, 3e-3]
            yield net_case("resnet50", "v2", 2, False, smooth=False), [0, 0, 3e-3]
            yield net_case("mobilenet_v2", "v1", 1, smooth=False, batch=32, size=96), [1e-5, 3e-3]
            yield net_case("mobilenet_v2", "v2", 1, False, smooth=False), [0, 3e-3]

    def locked(self, engine):
        self.report.head(f"(c) real nets, step-locked over {STEPS} steps: the loss from PyTorch's "
                         "weights")
        for case, rates in self.locked_cases():
            self.guarded(net_name(case), lambda c=case, r=rates: self.locked_run(engine, c, r))

    def locked_run(self, engine, case, rates):
        check = Check(net_name(case))
        settings = optimizer(case["network"]["head"], rates)
        case = dict(case, optimizer=settings)
        twin = nets.Twin(case, nets.build(case["network"], 3))
        twin.start_optimizer()
        data = batches(case, STEPS, signal=0)
        for k in range(STEPS):
            twin.round_to_float32()
            step = {"input.0": data[f"input.{k}"], "labels.0": data[f"labels.{k}"]}
            before = with_params(step, twin.model)
            made, _ = engine.run(dict(case, optimizer=None, first_step=k), before)
            twin.set_masks(made, 0)
            _, loss = twin.forward(step["input.0"], step["labels.0"])
            check.compare(f"loss of step {k}", made["loss.0"], [loss.item()], LOSS_BOUND)
            twin.backward(loss)
            compare_gradients(check, made, twin.gradients(), KINKED_BOUND)
            if k in UPDATE_STEPS:
                self.locked_update(engine, check, case, twin, k)
            else:
                twin.step(k)
        return check

    def locked_update(self, engine, check, case, twin, k):
        """The same gradients and moments to both optimisers."""
        twin.round_to_float32()
        twin.round_optimizer_to_float32()
        given = {f"gradient.{name}": array for name, array in twin.gradients().items()}
        given.update(twin.moments())
        given = with_params(given, twin.model)
        momentum = case["optimizer"]["momentum"][k]
        settings = dict(case["optimizer"], taken=k, momentum=[momentum])
        made, _ = engine.run(dict(case, given=True, optimizer=settings), given)
        twin.step(k)
        check_update(check, given, made, twin)

    # (d)
    def free(self, engine):
        self.report.head("(d) real nets, free-running: two stages on 64 photos, rates up to 1e-4")
        if not os.path.exists(free.PHOTOS):
            print(f"skipped: {free.PHOTOS} is absent", flush=True)
            return
        for case in free.cases(self.long):
            name = free.name_of(case[0], case[1], case[2], case[4])
            self.guarded(name, lambda c=case: free.run(engine, *c))

    # The machines of others
    def narrower(self, engine):
        self.ops(engine)
        self.report.head(f"(b) smooth twins, {engine.isa}")
        for case in (net_case("resnet18"), net_case("squeezenet1_1")):
            self.guarded(net_name(case), lambda c=case: self.one_step(engine, c, GRADIENT_BOUND))

    # What the network is fed
    def images(self, driver):
        self.report.head("decoding and preprocessing against PIL and torchvision (images.py)")
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "images.py")
        done = subprocess.run([sys.executable, script, "--driver", driver], text=True,
                              stdout=subprocess.PIPE, check=False)
        lines = done.stdout.strip().splitlines() or ["no answer"]
        check = Check(lines[-1])
        check.require("\n      ".join(lines), done.returncode == 0)
        self.report.add(check)

    # The test of the test
    def failures_are_seen(self, engine):
        self.report.head("self-test: a deliberate fault must be found")
        for name, fault in (("a weight off by one part in a thousand", perturb),
                            ("a gradient missing", lose), ("a gradient with a NaN", spoil),
                            ("two axes of a gradient exchanged", turn)):
            self.fault_in_layers(engine, name, fault)
        self.fault_in_net(engine)
        self.fault_in_update(engine)

    def expect_failure(self, name, inner):
        check = Check(name)
        check.require("the fault was not noticed", not inner.passed())
        self.report.add(check)

    def fault_in_layers(self, engine, name, fault):
        b = ops.Builder("self-test")
        b.relu(b.batchnorm(b.conv(b.observed(b.normal(2, 5, 5, 16)), 16, 3)))
        _, case, tensors = b.done()
        given = perturb_weight(tensors, "param.conv2.weight") if fault is perturb else tensors
        made, plan = engine.run(case, given)
        made["param.conv2.weight"] = tensors["param.conv2.weight"]
        fault(made)
        self.expect_failure(name, check_layers("", case, tensors, made, plan))

    def fault_in_net(self, engine):
        case = net_case("squeezenet1_1")
        model = nets.build(case["network"], 1)
        tensors = with_params(batches(case, 1), model)
        weight = "param.features.3.squeeze.weight"
        made, _ = engine.run(case, perturb_weight(tensors, weight))
        made[weight] = tensors[weight]
        self.expect_failure("one of a net's weights off by one part in a thousand",
                            check_gradients(case, made, nets.Twin(case, model), tensors,
                                            GRADIENT_BOUND, ""))

    def fault_in_update(self, engine):
        case = dict(net_case("squeezenet1_1", "v2", 2),
                    optimizer=optimizer("v2", [0, 0, 1e-3]))
        twin = nets.Twin(case, nets.build(case["network"], 1))
        twin.start_optimizer()
        step = batches(case, 1)
        _, loss = twin.forward(step["input.0"], step["labels.0"])
        twin.backward(loss)
        check = Check("")
        wrong = dict(case, optimizer=dict(case["optimizer"], eps=1.01e-5))
        self.locked_update(engine, check, wrong, twin, 0)
        self.expect_failure("an optimiser whose eps is off by one percent", check)


def perturb_weight(tensors, name):
    changed = tensors[name].copy()
    changed.reshape(-1)[0] += 1e-3 * rms(changed) * np.sqrt(changed.size)
    return {**tensors, name: changed}


def perturb(_):
    """This fault lies in what the engine was given."""


def lose(made):
    del made["gradient.conv2.weight"]


def spoil(made):
    made["gradient.x.weight"] = made["gradient.x.weight"].copy()
    made["gradient.x.weight"].reshape(-1)[3] = np.nan


def turn(made):
    made["gradient.conv2.weight"] = made["gradient.conv2.weight"].transpose(1, 0, 2, 3)

