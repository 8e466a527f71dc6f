#!/usr/bin/python3
"""A language model from nothing beside a PyTorch AWD-LSTM of the same size, words and steps.

    tests/accuracy/language_model.py [--embedding 200] [--hidden 512] [--layers 2] [--epochs 2]
                                     [--batch 32] [--lr 5e-3] [--threads N] [--words N]
                                     [--seeds 0 1 2]

Both learn from War and Peace and wikitext-2-valid and are asked for the perplexity of
wikitext-2-test. The engine's own tokens and vocabulary are PyTorch's, too; schedule, optimiser,
dropouts and penalties are the same (fastai's AWD-LSTM), the draws are not: hence several seeds."""
import argparse
import json
import math
import statistics
import struct
import tempfile
import time

import numpy
import torch
from torch import nn
from torch.nn import functional

from engine_text import SHARED, ingest, train

DROPS = {"output": .1, "hidden": .15, "input": .25, "embedding": .02, "weight": .2}
ALPHA, BETA, SEQ_LEN = 2., 1., 72


def paragraphs(name):
    text = (SHARED / name).read_text(encoding="utf-8")
    parts = text.split("\n\n") if name.startswith("war") else text.split("\n")
    return [" ".join(part.split()) for part in parts if part.strip()]


def rows(most):
    train_texts = paragraphs("warandpeace.txt") + paragraphs("wikitext-2-valid.txt")
    if most:
        kept, words = [], 0
        for text in train_texts[::-1]:
            words += len(text.split())
            if words > most:
                break
            kept.append(text)
        train_texts = kept
    return ([{"text": text, "split": "train"} for text in train_texts] +
            [{"text": text, "split": "valid"} for text in paragraphs("wikitext-2-test.txt")])


def read_tokens(path):
    """engine/text/corpus_file.h"""
    data = path.read_bytes()
    assert data[:8] == b"THAWTOK\0"
    _version, n_words, n_documents, _n_tokens = struct.unpack_from("<IIQQ", data, 8)
    offsets = numpy.frombuffer(data, "<u8", n_documents + 1, 168)
    tokens = numpy.frombuffer(data, "<i4", -1, 168 + 8 * (n_documents + 1))
    return [tokens[a:b] for a, b in zip(offsets, offsets[1:])]


def vocabulary_size(path):
    with open(path, "rb") as file:
        length, = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    return header["encoder.weight"]["shape"][0]


class LockedDropout(nn.Module):
    def __init__(self, share):
        super().__init__()
        self.share = share

    def forward(self, x):
        if not self.training or self.share == 0:
            return x
        mask = x.new_empty(1, *x.shape[1:]).bernoulli_(1 - self.share) / (1 - self.share)
        return x * mask


class AwdLstm(nn.Module):
    def __init__(self, words, embedding, hidden, layers):
        super().__init__()
        self.encoder = nn.Embedding(words, embedding, padding_idx=1)
        nn.init.uniform_(self.encoder.weight, -.1, .1)
        sizes = [embedding] + [hidden] * (layers - 1) + [embedding]
        self.rnns = nn.ModuleList(nn.LSTM(a, b) for a, b in zip(sizes, sizes[1:]))
        for rnn in self.rnns:  # no weight of the module's own: it is dropped out at each forward
            rnn.raw = nn.Parameter(rnn.weight_hh_l0.data)
            del rnn._parameters["weight_hh_l0"]
            rnn._flat_weights_names = []
            rnn.flatten_parameters = lambda: None
        self.input = LockedDropout(DROPS["input"])
        self.between = LockedDropout(DROPS["hidden"])
        self.output = LockedDropout(DROPS["output"])
        self.bias = nn.Parameter(torch.zeros(words))
        self.state = None

    def embed(self, x):
        weight = self.encoder.weight
        if self.training:
            keep = 1 - DROPS["embedding"]
            weight = weight * (weight.new_empty(weight.shape[0], 1).bernoulli_(keep) / keep)
        return functional.embedding(x, weight, padding_idx=1)

    def forward(self, x):
        x, state = self.input(self.embed(x)), []
        for i, rnn in enumerate(self.rnns):
            hh = functional.dropout(rnn.raw, DROPS["weight"], self.training)
            weights = [rnn.weight_ih_l0, hh, rnn.bias_ih_l0, rnn.bias_hh_l0]
            before = self.state[i] if self.state else tuple(
                x.new_zeros(1, x.shape[1], rnn.hidden_size) for _ in range(2))
            x, h, c = torch._VF.lstm(x, before, weights, True, 1, 0., self.training, False, False)
            state.append((h.detach(), c.detach()))
            raw = x
            if i + 1 < len(self.rnns):
                x = self.between(x)
        self.state = state
        dropped = self.output(raw)
        return functional.linear(dropped, self.encoder.weight, self.bias), raw, dropped


def stream(documents, batch):
    words = torch.from_numpy(numpy.concatenate(documents).astype("int64"))
    row = (len(words) - 1) // batch
    return [torch.stack([words[b * row + shift:b * row + shift + row] for b in range(batch)], 1)
            for shift in (0, 1)]


def one_cycle(step, steps, low, high, end):
    """fastai's: cosine from low to high over a quarter, then to end."""
    def anneal(a, b, p):
        return a + (1 + math.cos(math.pi * (1 - p))) * (b - a) / 2
    p = step / steps
    return anneal(low, high, p / .25) if p < .25 else anneal(high, end, (p - .25) / .75)


def learn(model, documents, options, seed):
    draw = numpy.random.default_rng(seed)
    matrices = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() == 1]
    optimiser = torch.optim.AdamW([{"params": matrices, "weight_decay": .01},
                                   {"params": others, "weight_decay": 0}], eps=1e-5)
    tokens = sum(map(len, documents))
    steps = math.ceil((tokens - 1) // options.batch / SEQ_LEN) * options.epochs
    step = 0
    model.train()
    for _ in range(options.epochs):
        x, y = stream([documents[i] for i in draw.permutation(len(documents))], options.batch)
        model.state = None
        for at in range(0, len(x), SEQ_LEN):
            rate = one_cycle(step, steps, options.lr / 25, options.lr, options.lr / 1e5)
            momentum = one_cycle(step, steps, .8, .7, .8)
            for group in optimiser.param_groups:
                group["lr"], group["betas"] = rate, (momentum, .99)
            logits, raw, dropped = model(x[at:at + SEQ_LEN])
            loss = functional.cross_entropy(logits.flatten(0, 1), y[at:at + SEQ_LEN].flatten())
            loss = loss + ALPHA * dropped.pow(2).mean()
            if len(raw) > 1:
                loss = loss + BETA * (raw[1:] - raw[:-1]).pow(2).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            step += 1
    return steps


def perplexity(model, documents, batch):
    x, y = stream(documents, batch)
    model.eval()
    model.state, total = None, 0.
    with torch.no_grad():
        for at in range(0, len(x), SEQ_LEN):
            logits, _, _ = model(x[at:at + SEQ_LEN])
            total += float(functional.cross_entropy(
                logits.flatten(0, 1), y[at:at + SEQ_LEN].flatten(), reduction="sum"))
    return math.exp(total / x.numel())


def compare(data, n_train, options, seed):
    """Both perplexities."""
    run = train(data, {
        "task": "language_model", "batch_size": options.batch, "seed": seed,
        "lm_epochs": options.epochs, "lm_lr": options.lr,
        "text": {key: getattr(options, key) for key in ("embedding", "hidden", "layers")}},
        threads=options.threads)
    documents = read_tokens(run.folder / "words.tokens")
    words = vocabulary_size(run.folder / "final.safetensors")
    ours, stage = run.last("epoch")["perplexity"], run.last("stage")
    print(f"seed {seed}: {words} words in the vocabulary, {sum(map(len, documents[:n_train]))} to "
          f"learn from, {stage['steps']} steps", flush=True)
    print(f"  thaw:    perplexity {ours:.2f} in {run.seconds:.0f} s", flush=True)
    began = time.monotonic()
    torch.manual_seed(seed)
    model = AwdLstm(words, options.embedding, options.hidden, options.layers)
    steps = learn(model, documents[:n_train], options, seed)
    assert steps == stage["steps"]
    theirs = perplexity(model, documents[n_train:], options.batch)
    print(f"  PyTorch: perplexity {theirs:.2f} in {time.monotonic() - began:.0f} s", flush=True)
    return ours, theirs


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name, value in (("embedding", 200), ("hidden", 512), ("layers", 2), ("epochs", 2),
                        ("batch", 32), ("threads", 2), ("words", 0)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--lr", type=float, default=5e-3)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    texts = rows(options.words)
    n_train = sum(row["split"] == "train" for row in texts)
    with tempfile.TemporaryDirectory() as folder:
        data = ingest(texts, folder)
        pairs = [compare(data, n_train, options, seed) for seed in options.seeds]
    ours, theirs = (statistics.mean(side) for side in zip(*pairs))
    print(f"mean of {len(pairs)} seeds: thaw {ours:.2f}, PyTorch {theirs:.2f}")


if __name__ == "__main__":
    main()
