#!/usr/bin/python3
"""Makes sequence.json: what PyTorch, in float64, says about small cases of the operations over
sequences, for tests/unit/engine/op/test_sequence.c:

    /usr/bin/python3 tests/golden/sequence.py

Each case reads embeddings of words, so that the embedding's gradient shows the operation's input
gradient. Values are (T,B,C).
"""
import json
import os

import numpy as np
import torch
import torch.nn.functional as F

T, B, V, E, H, PADDING = 5, 3, 11, 6, 7, 1
HERE = os.path.dirname(os.path.abspath(__file__))


def float32(array):
    return np.asarray(array, np.float32).astype(np.float64)


class Case:
    def __init__(self, op, seed, **given):
        self.op, self.given, self.params = op, given, {}
        self.random = np.random.RandomState(seed)
        self.tokens = self.random.randint(0, V, (T, B))
        self.tokens[0, 0], self.tokens[2, 1] = PADDING, self.tokens[1, 1]
        self.weight = self.param("encoder.weight", V, E)

    def param(self, name, *shape):
        value = torch.tensor(float32(self.random.standard_normal(shape) * .7), requires_grad=True)
        self.params[name] = value
        return value

    def embed(self):
        return F.embedding(torch.tensor(self.tokens), self.weight, PADDING)

    def done(self, output, loss=None, penalty=0., **expected):
        case = dict(op=self.op, tokens=self.tokens.flatten().tolist(), **self.given)
        if loss is None:
            gradient = torch.tensor(float32(self.random.standard_normal(output.shape)))
            case["output_gradient"] = gradient.flatten().tolist()
            loss = (output * gradient).sum()
        (loss + penalty).backward()
        case["params"] = {n: p.detach().flatten().tolist() for n, p in self.params.items()}
        case["gradients"] = {n: p.grad.flatten().tolist() for n, p in self.params.items()}
        case["output"] = output.detach().flatten().tolist()
        case.update({name: value.detach().flatten().tolist() for name, value in expected.items()})
        return case


def lstm():
    random = np.random.RandomState(40)
    state = float32(random.standard_normal((2, B, H)) * .5)
    case = Case("lstm", 41, state=state.flatten().tolist())
    weights = [case.param(f"rnns.0.{name}", *shape) for name, shape in
               (("weight_ih_l0", (4 * H, E)), ("weight_hh_l0", (4 * H, H)),
                ("bias_ih_l0", (4 * H,)), ("bias_hh_l0", (4 * H,)))]
    before = [torch.tensor(part[None]) for part in state]
    y, h, c = torch.lstm(case.embed(), before, weights, True, 1, 0., False, False, False)
    return case.done(y, state_after=torch.cat([h.flatten(), c.flatten()]))


def penalty():
    case = Case("penalty", 42, activation=2., slope=1.)
    y = case.embed()
    extra = 2 * y.pow(2).mean() + (y[1:] - y[:-1]).pow(2).mean()
    return case.done(y, penalty=extra)


def decoder():
    targets = np.random.RandomState(43).randint(0, V, (T, B))
    targets[1, 2] = targets[4, 0] = -1
    case = Case("decoder", 44, targets=targets.flatten().tolist())
    bias = case.param("decoder.bias", V)
    logits, flat = F.linear(case.embed(), case.weight, bias), torch.tensor(targets).flatten()
    rows = F.cross_entropy(logits.flatten(0, 1), flat, ignore_index=-1, reduction="none")
    loss = F.cross_entropy(logits.flatten(0, 1), flat, ignore_index=-1)
    best = torch.where(torch.tensor(targets) < 0, -1, logits.argmax(2))
    return case.done(rows, loss, mean_loss=loss, words=best)


def pool():
    begins, ends = [0, 1, 3], [5, 3, 4]
    case = Case("pool", 45, begins=begins, ends=ends)
    y = case.embed()
    own = [y[begin:end, b] for b, (begin, end) in enumerate(zip(begins, ends))]
    return case.done(torch.stack([torch.cat([x[-1], x.max(0)[0], x.mean(0)]) for x in own]))


def main():
    embedding = Case("embedding", 46)
    cases = [embedding.done(embedding.embed()), lstm(), penalty(), decoder(), pool()]
    path = os.path.join(HERE, "sequence.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(dict(steps=T, batch=B, vocabulary=V, embedding=E, hidden=H, cases=cases), file)
        file.write("\n")
    print(f"{len(cases)} cases, {os.path.getsize(path)} bytes: {path}")


if __name__ == "__main__":
    main()
