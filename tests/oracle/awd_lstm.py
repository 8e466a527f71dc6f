"""AWD-LSTM, language model and classifier, against PyTorch in float64 (run.py's part `text`).

awd_lstm.c runs the engine; the masks that it drew are used here, so that dropout is on in both. The
reference is written after fastai's AWD_LSTM, SentenceEncoder, masked_concat_pool and RNNRegularizer
with torch's own lstm, embedding and cross-entropy; gradients are autograd's of the loss with the
penalties.
"""
import copy

import numpy as np
import torch
import torch.nn.functional as F

from comparison import Check, relative_error

BOUND = 1e-4  # PARITY: LSTMs are smooth, so the real net is held to it
OUTPUT_BOUND, LOSS_BOUND = 1e-5, 1e-5
PADDING, EPSILON, MOMENTUM = 1, 1e-5, .1
DROPOUTS = dict(output=.1, hidden=.15, input=.25, embedding=.1, weight=.2)
NO_DROPOUT = dict(output=0, hidden=0, input=0, embedding=0, weight=0)


def case_of(classes=0, runs=1, dropouts=None, **changes):
    case = dict(classes=classes, vocabulary=131, embedding=24, hidden=40, layers=3, alpha=2.,
                beta=1., head_bias=False, dropouts=dropouts or DROPOUTS, mode="train", batch=5,
                steps=9, kept=36, frozen_groups=0, seed=7, runs=runs, add=False, optimizer=None)
    case.update(changes)
    return case


def group_of(case, name):
    """PARITY section 6."""
    top = case["layers"] + (1 if case["classes"] else 0)
    if name.startswith("rnns."):
        return int(name.split(".")[1]) + (1 if case["classes"] else 0)
    return 0 if case["classes"] and name.startswith("encoder.") else top


def sizes(case, layer):
    first = case["embedding"] if layer == 0 else case["hidden"]
    return first, case["embedding"] if layer == case["layers"] - 1 else case["hidden"]


def parameters(case, random):
    """Weights large enough that gates and softmax leave their linear parts."""
    def uniform(bound, *shape):
        return random.uniform(-bound, bound, shape).astype(np.float32)
    e, params = case["embedding"], {}
    params["encoder.weight"] = uniform(.5, case["vocabulary"], e)
    for layer in range(case["layers"]):
        inputs, hidden = sizes(case, layer)
        bound = 2 / np.sqrt(hidden)
        for name, shape in (("weight_ih_l0", (4 * hidden, inputs)), ("bias_ih_l0", (4 * hidden,)),
                            ("weight_hh_l0", (4 * hidden, hidden)), ("bias_hh_l0", (4 * hidden,))):
            params[f"rnns.{layer}.{name}"] = uniform(bound, *shape)
    if not case["classes"]:
        params["decoder.bias"] = uniform(.5, case["vocabulary"])
        return params
    for norm, linear, inputs, outputs in (("head.0", "head.2", 3 * e, 50),
                                          ("head.4", "head.6", 50, case["classes"])):
        params[f"{norm}.weight"] = 1 + uniform(.3, inputs)
        params[f"{norm}.bias"] = uniform(.3, inputs)
        params[f"{norm}.running_mean"] = uniform(.2, inputs)
        params[f"{norm}.running_var"] = 1 + uniform(.3, inputs)
        params[f"{linear}.weight"] = uniform(1 / np.sqrt(inputs), outputs, inputs)
        if case["head_bias"]:
            params[f"{linear}.bias"] = uniform(.3, outputs)
    return params


class Net:
    """The reference; `masks` maps a node to what awd_lstm.c drew, absent = no dropout."""

    def __init__(self, case, params):
        self.case, self.values = case, {}
        trains = case["mode"] == "train"
        for name, array in params.items():
            value = torch.tensor(np.asarray(array, np.float64))
            statistic = ".running_" in name
            value.requires_grad_(trains and not statistic and
                                 group_of(case, name) >= case["frozen_groups"])
            self.values[name] = value
        self.state = None

    def trainable(self):
        return {name: value for name, value in self.values.items() if value.requires_grad}

    def clear(self, batch):
        self.state = [[torch.zeros(1, batch, sizes(self.case, layer)[1], dtype=torch.float64)
                       for _ in "hc"] for layer in range(self.case["layers"])]

    def detach(self):
        self.state = [[part.detach() for part in parts] for parts in self.state]

    @staticmethod
    def locked(x, masks, node):
        return x * masks[node] if node in masks else x  # (1,B,C)

    def encode(self, tokens, masks):
        """(T,B) words -> (T,B,E): what the last LSTM yields."""
        weight = self.values["encoder.weight"]
        if 1 in masks:
            weight = weight * masks[1].reshape(-1, 1)
        x = self.locked(F.embedding(tokens, weight, PADDING), masks, 2)
        for layer in range(self.case["layers"]):
            ih, hh, bias_ih, bias_hh = (self.values[f"rnns.{layer}.{name}"] for name in
                                        ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0",
                                         "bias_hh_l0"))
            node = 3 + 2 * layer
            if node in masks:
                hh = hh * masks[node].reshape(hh.shape)
            x, h, c = torch.lstm(x, self.state[layer], [ih, hh, bias_ih, bias_hh], True, 1, 0.,
                                 False, False, False)
            self.state[layer] = [h, c]
            if layer < self.case["layers"] - 1:
                x = self.locked(x, masks, node + 1)
        return x

    def penalties(self, raw, dropped):
        """fastai's RNNRegularizer."""
        loss = self.case["alpha"] * dropped.pow(2).mean()
        if len(raw) > 1:
            loss = loss + self.case["beta"] * (raw[1:] - raw[:-1]).pow(2).mean()
        return loss

    def language_model(self, tokens, targets, masks):
        """Each target's loss, the logits, and what is differentiated."""
        self.detach()
        raw = self.encode(tokens, masks)
        dropped = self.locked(raw, masks, 3 + 2 * self.case["layers"])
        logits = F.linear(dropped, self.values["encoder.weight"], self.values["decoder.bias"])
        flat = logits.flatten(0, 1), targets.flatten()
        rows = F.cross_entropy(*flat, ignore_index=-1, reduction="none").reshape(targets.shape)
        total = F.cross_entropy(*flat, ignore_index=-1) + self.penalties(raw, dropped)
        return rows, logits, total

    def linear_block(self, x, norm, linear, mask):
        names = ("weight", "bias", "running_mean", "running_var")
        weight, bias, mean, var = (self.values[f"{norm}.{name}"] for name in names)
        trains = self.case["mode"] == "train"
        x = F.batch_norm(x, mean, var, weight, bias, trains, MOMENTUM, EPSILON)
        x = x if mask is None else x * mask[0]
        return F.linear(x, self.values[f"{linear}.weight"], self.values.get(f"{linear}.bias"))

    def classifier(self, texts, labels, masks, head_masks):
        """`masks`: of each chunk. Rows that have not begun yield zeros, and keep a zero state."""
        tokens, begins, ends = texts
        chunk, kept, steps = self.case["steps"], self.case["kept"], len(tokens)
        first, outputs = 0, []
        while steps - first > kept:
            first += chunk
        self.clear(tokens.shape[1])
        for begin in range(0, steps, chunk):
            running = torch.tensor(begins <= begin, dtype=torch.float64).reshape(1, -1, 1)
            fresh = torch.tensor(begins < begin, dtype=torch.float64).reshape(1, -1, 1)
            self.state = [[part.detach() * fresh for part in parts] for parts in self.state]
            out = self.encode(tokens[begin:begin + chunk], masks[begin // chunk])
            if begin >= first:
                outputs.append(out * running)
        out = torch.cat(outputs)
        last, top, mean = [], [], []
        for b in range(tokens.shape[1]):
            own = out[max(begins[b] - first, 0):ends[b] - first, b]
            last.append(own[-1])
            top.append(own.max(0)[0])
            mean.append(own.mean(0))
        x = torch.cat([torch.stack(part) for part in (last, top, mean)], 1)
        node = 3 + 2 * (self.case["layers"] - 1)
        x = F.relu(self.linear_block(x, "head.0", "head.2", head_masks.get(node + 4)))
        logits = self.linear_block(x, "head.4", "head.6", head_masks.get(node + 8))
        loss = F.cross_entropy(logits, labels)
        return logits, loss, loss + self.penalties(out, out)


def masks_of(made, *key):
    """{node: mask} of a run, or of a chunk of it."""
    prefix = "mask." + "".join(f"{part}." for part in key)
    return {int(name[len(prefix):]): torch.tensor(np.asarray(mask, np.float64))
            for name, mask in made.items()
            if name.startswith(prefix) and name[len(prefix):].isdigit()}


def optimizer_of(case, net):
    """torch's AdamW, with fastai v2's decay: none for norms and biases."""
    o, groups = case["optimizer"], []
    for name, value in net.trainable().items():
        decays = ".bias" not in name and not name.startswith(("head.0", "head.4"))
        groups.append({"params": [value], "lr": o["rates"][group_of(case, name)],
                       "weight_decay": o["weight_decay"] if decays else 0.})
    return torch.optim.AdamW(groups, betas=(o["momentum"], o["beta2"]), eps=o["eps"])


def words(case, random, steps):
    return random.randint(0, case["vocabulary"], (steps, case["batch"]))


def language_inputs(case, random, lengths, ignore=False):
    """One stream a row, so that each target is the next word; a pattern that can be learnt."""
    tensors, before = {}, words(case, random, 1)[0]
    for k in range(case["runs"]):
        steps = lengths[k % len(lengths)]
        rows = [before]
        for _ in range(steps):
            follows = (3 * rows[-1] + 5) % case["vocabulary"]
            noise = words(case, random, 1)[0]
            rows.append(np.where(random.rand(case["batch"]) < .7, follows, noise))
        stream, before = np.stack(rows), rows[-1]
        tensors[f"tokens.{k}"], tensors[f"targets.{k}"] = stream[:-1], stream[1:].copy()
        if ignore:
            tensors[f"targets.{k}"][random.rand(steps, case["batch"]) < .3] = -1
    return tensors


def text_inputs(case, random, chunks, remainder):
    """Texts of several lengths: whole chunks of padding in front, the remainder at the end."""
    tensors, batch, chunk = {}, case["batch"], case["steps"]
    total = chunks * chunk + remainder
    for k in range(case["runs"]):
        labels = random.randint(0, case["classes"], batch)
        tokens = (words(case, random, total) // case["classes"]) * case["classes"]
        tokens = np.minimum(tokens + labels, case["vocabulary"] - 1)
        begins = random.randint(0, chunks + (remainder > 1), batch) * chunk
        begins[0] = 0
        ends = np.array([random.randint(begin + 1, total + 1) for begin in begins])
        ends = np.maximum(ends, total - chunk + 1)  # padding at the end is less than a chunk
        ends[0] = total
        for b in range(batch):
            tokens[:begins[b], b] = PADDING
            tokens[ends[b]:, b] = PADDING
        tensors.update({f"tokens.{k}": tokens, f"begins.{k}": begins, f"ends.{k}": ends,
                        f"labels.{k}": labels})
    return tensors


def check_run(check, case, net, k, made, tensors):
    """Forward and what it yields; returns what is differentiated."""
    tokens = torch.tensor(tensors[f"tokens.{k}"], dtype=torch.int64)
    bound = BOUND if case["optimizer"] else LOSS_BOUND
    if not case["classes"]:
        targets = torch.tensor(tensors[f"targets.{k}"], dtype=torch.int64)
        rows, logits, total = net.language_model(tokens, targets, masks_of(made, k))
        check.compare(f"losses {k}", made[f"loss.{k}"][0], rows.detach().numpy(), bound)
        state = torch.cat([part.flatten() for parts in net.state for part in parts])
        check.compare(f"state {k}", made[f"state.{k}"].reshape(-1), state.detach().numpy(), bound)
        if case["mode"] == "infer":
            check.compare(f"logits {k}", made[f"logits.{k}"], logits.detach().numpy(), OUTPUT_BOUND)
        best = np.where(targets.numpy() < 0, -1, logits.argmax(2).numpy())
        wrong = float(np.mean(best != made[f"words.{k}"][0]))
        check.require(f"likeliest words {k}: {wrong:.3f} differ", wrong < .01)
        return total
    texts = tokens, tensors[f"begins.{k}"], tensors[f"ends.{k}"]
    chunks = [masks_of(made, k, c) for c in range(-(-len(tokens) // case["steps"]))]
    labels = torch.tensor(tensors[f"labels.{k}"], dtype=torch.int64)
    logits, loss, total = net.classifier(texts, labels, chunks, masks_of(made, k))
    check.compare(f"logits {k}", made[f"output.{k}"][0], logits.detach().numpy(), bound)
    check.compare(f"loss {k}", made[f"loss.{k}"].reshape(()), loss.detach().numpy(), bound)
    return total


def check_masks(check, case, made):
    """As many of 0 as asked, the others 1/(1-p); one each where there is dropout."""
    d, layers = case["dropouts"], case["layers"]
    shares = {1: d["embedding"], 2: d["input"]}
    for layer in range(layers):
        shares[3 + 2 * layer] = d["weight"]
        shares[4 + 2 * layer] = d["hidden"]
    shares.pop(2 + 2 * layers)
    if not case["classes"]:
        shares[3 + 2 * layers] = d["output"]
    drawn = masks_of(made, 0, *([0] if case["classes"] else []))
    wanted = {node for node, share in shares.items() if share > 0 and case["mode"] == "train"}
    check.require(f"masks of nodes {sorted(wanted ^ set(drawn))}", wanted == set(drawn))
    for node in wanted & set(drawn):
        mask, share = drawn[node].numpy(), shares[node]
        keep = np.float32(1 / (1 - np.float32(share)))
        zeros, spread = np.mean(mask == 0), np.sqrt(share * (1 - share) / mask.size)
        check.require(f"mask {node} holds 0 and {keep}",
                      np.all((mask == 0) | (np.abs(mask - keep) < 1e-6)))
        check.require(f"mask {node}: {zeros:.3f} are zero, expected {share}",
                      abs(zeros - share) <= 6 * spread)


def check_case(name, case, engine, tensors_of, seed=3):
    check, random = Check(name), np.random.RandomState(seed)
    params = parameters(case, random)
    tensors = tensors_of(case, random)
    made, _ = engine.run(case, {**{f"param.{n}": p for n, p in params.items()}, **tensors})
    net = Net(case, params)
    net.clear(case["batch"])
    optimizer = optimizer_of(case, net) if case["optimizer"] else None
    check_masks(check, case, made)
    for k in range(case["runs"]):
        total = check_run(check, case, net, k, made, tensors)
        if case["mode"] != "train":
            continue
        if not case["add"]:
            for value in net.trainable().values():
                value.grad = None
        total.backward()
        if optimizer:
            if case["optimizer"].get("clip"):
                torch.nn.utils.clip_grad_norm_(net.trainable().values(), case["optimizer"]["clip"])
            optimizer.step()
    ours = {n[9:] for n in made if n.startswith("gradient.")}
    check.require(f"gradients of {sorted(ours ^ set(net.trainable()))}: on one side only",
                  ours == set(net.trainable()))
    for n, value in net.values.items():
        if n in ours and not optimizer:
            check.compare(f"gradient {n}", made[f"gradient.{n}"], value.grad.numpy(), BOUND)
        if not value.requires_grad and ".running_" not in n:
            check.require(f"{n} should have stayed", np.array_equal(made[f"param.{n}"], params[n]))
        else:
            check.compare(n, made[f"param.{n}"], value.detach().numpy(), BOUND)
    return check


def adamw(case, rate=1e-3, clip=0):
    groups = case["layers"] + (2 if case["classes"] else 1)
    return dict(beta2=.99, eps=1e-5, weight_decay=.01, momentum=.9, clip=clip,
                rates=[rate * 2. ** (group - groups + 1) for group in range(groups)])


def cases(long):
    """Name, case, what makes its inputs."""
    def language(lengths=(9,), **options):
        return lambda case, random: language_inputs(case, random, lengths, **options)

    def texts(chunks=3, remainder=4):
        return lambda case, random: text_inputs(case, random, chunks, remainder)

    yield "language model, no dropout", case_of(dropouts=NO_DROPOUT, alpha=0, beta=0), language()
    yield "language model, dropouts and penalties", case_of(), language()
    yield "language model, state carried, gradients summed", case_of(
        runs=3, add=True), language((9, 5, 1))
    yield "language model, some targets not counted", case_of(), language(ignore=True)
    yield "language model, logits in two chunks", case_of(
        vocabulary=60000, batch=8, steps=40), language((40,), ignore=True)
    yield "language model, rnns frozen", case_of(frozen_groups=3, runs=2), language((9, 4))
    yield "language model, two groups frozen", case_of(frozen_groups=2), language()
    yield "language model, inference", case_of(mode="infer", runs=3), language((9, 1, 6))
    yield "language model, one layer", case_of(layers=1), language()
    case = case_of(runs=20)
    yield "language model, 20 steps", dict(case, optimizer=adamw(case)), language((9, 7))
    yield "language model, 20 clipped steps", dict(case, optimizer=adamw(case, clip=.1)), language()
    yield "classifier, one chunk", case_of(3, batch=16), texts(1, 0)
    yield "classifier, several chunks", case_of(3, batch=16), texts()
    yield "classifier, longer than is kept", case_of(3, batch=16, kept=18, head_bias=True), texts(5)
    for frozen in (4, 3, 1):
        yield f"classifier, {frozen} groups frozen", case_of(
            3, batch=16, frozen_groups=frozen), texts()
    yield "classifier, inference", case_of(3, batch=16, mode="infer"), texts()
    case = case_of(3, batch=16, runs=20)
    yield "classifier, 20 steps", dict(case, optimizer=adamw(case)), texts()
    if not long:
        return
    large = dict(vocabulary=3001, embedding=100, hidden=288, batch=8, steps=36, kept=108)
    for seed_case in (case_of(runs=20, **large), case_of(4, runs=20, **large)):
        kind = "classifier" if seed_case["classes"] else "language model"
        make = texts(3, 11) if seed_case["classes"] else language((36, 21))
        yield f"{kind}, larger, one step", dict(seed_case, runs=1), make
        yield f"{kind}, larger, 20 steps", dict(seed_case, optimizer=adamw(seed_case)), make


def check_failures_are_seen(engine):
    """What the cases could miss if they compared nothing: a wrong mask, state or word."""
    check = Check("text: a difference is seen")
    case, random = case_of(runs=2), np.random.RandomState(5)
    params = {f"param.{n}": p for n, p in parameters(case, random).items()}
    tensors = language_inputs(case, random, (9,))
    right, _ = engine.run(case, {**params, **tensors})
    other = copy.deepcopy(tensors)
    other["tokens.0"][0, 0] = (other["tokens.0"][0, 0] + 1) % case["vocabulary"]
    wrong, _ = engine.run(case, {**params, **other})
    check.require("another word in the first run changes the second run's losses",
                  relative_error(wrong["loss.1"], right["loss.1"]) > 10 * LOSS_BOUND)
    wrong, _ = engine.run(dict(case, seed=8), {**params, **tensors})
    check.require("another seed changes the losses",
                  relative_error(wrong["loss.0"], right["loss.0"]) > 10 * LOSS_BOUND)
    wrong, _ = engine.run(dict(case, beta=0.), {**params, **tensors})
    check.require("without TAR a gradient differs", relative_error(
        wrong["gradient.rnns.2.weight_hh_l0"], right["gradient.rnns.2.weight_hh_l0"]) > 10 * BOUND)
    again, _ = engine.run(case, {**params, **tensors})
    check.require("the same case again is the same, bit for bit",
                  all(np.array_equal(again[name], array) for name, array in right.items()))
    return check


def run(report, engine, narrow, only="", long=False):
    """`narrow`: an engine without AVX-512, whose kernels want other layouts."""
    report.head("AWD-LSTM against float64")
    for name, case, tensors_of in cases(long):
        if only in name:
            report.add(check_case(name, case, engine, tensors_of))
    for name, case, tensors_of in cases(False):
        if only in name and case["runs"] == (20 if case["classes"] else 3):
            report.add(check_case(f"{name}, AVX2", case, narrow, tensors_of))
    if only in "text: a difference is seen":
        report.add(check_failures_are_seen(engine))
