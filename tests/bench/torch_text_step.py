#!/usr/bin/python3
"""One measurement of PyTorch on text, in a process of its own: whole training steps of AWD-LSTM.

The same work as `thaw-engine bench --model awd-lstm` and `awd-lstm-classifier`, written as fastai's
AWD_LSTM is: nn.LSTM with weight dropout on hidden-to-hidden, locked and embedding dropout, tied
decoder, AR and TAR, state carried on; the classifier encodes a document chunk by chunk, without
gradient from one to the next, and pools. Prints one JSON line.
"""
import argparse
import json
import statistics
import time

import torch
import torch.nn.functional as F
from torch import nn

STEPS_OF_CHUNK, CLASSES, WARM_STEPS = 72, 2, 2
SHARES = {"awd-lstm": dict(output=.1, hidden=.15, input=.25, embedding=.02, weight=.2),
          "awd-lstm-classifier": dict(output=.2, hidden=.15, input=.2, embedding=.025, weight=.25)}


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=sorted(SHARES), default="awd-lstm")
    parser.add_argument("--vocabulary", type=int, default=30000)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--document", type=int, default=216)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=3)
    return parser.parse_args()


def locked(x, share):
    """x (T,B,C); one mask for all time steps."""
    return x * x.new_empty(1, *x.shape[1:]).bernoulli_(1 - share).div_(1 - share)


class WeightDropped(nn.Module):
    """fastai's WeightDropout around a one-layer LSTM."""

    def __init__(self, inputs, hidden, share):
        super().__init__()
        self.share, self.module = share, nn.LSTM(inputs, hidden)
        self.raw = nn.Parameter(self.module.weight_hh_l0.detach().clone())
        del self.module._parameters["weight_hh_l0"]

    def forward(self, x, state):
        self.module.weight_hh_l0 = F.dropout(self.raw, self.share)
        return self.module(x, state)


class Encoder(nn.Module):
    def __init__(self, vocabulary, shares, embedding=400, hidden=1152, layers=3):
        super().__init__()
        self.shares, self.state = shares, [None] * layers
        self.embedding = nn.Embedding(vocabulary, embedding, padding_idx=1)
        self.embedding.weight.data.uniform_(-.1, .1)
        self.rnns = nn.ModuleList(
            WeightDropped(embedding if i == 0 else hidden,
                          embedding if i == layers - 1 else hidden, shares["weight"])
            for i in range(layers))

    def reset(self):
        self.state = [None] * len(self.rnns)

    def forward(self, tokens):
        weight, share = self.embedding.weight, self.shares["embedding"]
        mask = weight.new_empty(len(weight), 1).bernoulli_(1 - share).div_(1 - share)
        x = locked(F.embedding(tokens, weight * mask, 1), self.shares["input"])
        for i, rnn in enumerate(self.rnns):
            x, state = rnn(x, self.state[i])
            self.state[i] = tuple(part.detach() for part in state)
            if i < len(self.rnns) - 1:
                x = locked(x, self.shares["hidden"])
        return x


def penalties(raw, dropped, alpha=2., beta=1.):
    return alpha * dropped.pow(2).mean() + beta * (raw[1:] - raw[:-1]).pow(2).mean()


def language_model(options, shares):
    encoder = Encoder(options.vocabulary, shares)
    bias = nn.Parameter(torch.zeros(options.vocabulary))
    words = torch.randint(0, options.vocabulary, (STEPS_OF_CHUNK + 1, options.batch))

    def loss():
        raw = encoder(words[:-1])
        dropped = locked(raw, shares["output"])
        logits = F.linear(dropped, encoder.embedding.weight, bias)
        return F.cross_entropy(logits.flatten(0, 1), words[1:].flatten()) + penalties(raw, dropped)
    return [*encoder.parameters(), bias], loss, STEPS_OF_CHUNK


def classifier(options, shares):
    encoder = Encoder(options.vocabulary, shares)
    head = nn.Sequential(nn.BatchNorm1d(1200), nn.Dropout(shares["output"]),
                         nn.Linear(1200, 50, bias=False), nn.ReLU(), nn.BatchNorm1d(50),
                         nn.Dropout(.1), nn.Linear(50, CLASSES, bias=False))
    steps = options.document // STEPS_OF_CHUNK * STEPS_OF_CHUNK
    words = torch.randint(2, options.vocabulary, (steps, options.batch))
    labels = torch.randint(0, CLASSES, (options.batch,))

    def loss():
        encoder.reset()
        x = torch.cat([encoder(chunk) for chunk in words.split(STEPS_OF_CHUNK)])
        pooled = torch.cat([x[-1], x.max(0)[0], x.mean(0)], 1)
        return F.cross_entropy(head(pooled), labels) + penalties(x, x)
    return [*encoder.parameters(), *head.parameters()], loss, steps


def main():
    options = parse()
    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    make = language_model if options.model == "awd-lstm" else classifier
    parameters, loss, steps = make(options, SHARES[options.model])
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, betas=(.8, .99), eps=1e-5)
    seconds = []
    for _ in range(WARM_STEPS + options.steps):
        start = time.perf_counter()
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
        seconds.append(time.perf_counter() - start)
    median = statistics.median(seconds[WARM_STEPS:])
    print(json.dumps({"tokens_per_second": options.batch * steps / median,
                      "documents_per_second": options.batch / median, "step_ms": median * 1e3,
                      "threads": torch.get_num_threads()}))


if __name__ == "__main__":
    main()
