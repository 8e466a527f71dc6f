"""Writes report.json: scores of drawn logits, by scikit-learn, scipy and numpy in float64.

    /usr/bin/python3 tests/golden/report.py > tests/golden/report.json

What engine/train computes while rows stream by is asked here of the whole arrays at once.
"""
import json

import numpy as np
from scipy.optimize import least_squares
from scipy.stats import binomtest
from sklearn import metrics

rng = np.random.default_rng(7)
N_BINS = 15


def finite(values):
    return [None if not np.isfinite(v) else float(v) for v in np.atleast_1d(values)]


def float_rows(values):
    return [[float(np.float32(v)) for v in row] for row in values]


def calibration(confidence, right):
    """ECE as in Guo et al.'s own code: bins (low, high], weighted by their share."""
    edges = np.linspace(0, 1, N_BINS + 1)
    error = 0.0
    counts = []
    for low, high in zip(edges[:-1], edges[1:]):
        inside = (confidence > low) & (confidence <= high)
        counts.append(int(inside.sum()))
        if inside.any():
            error += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    return error, counts


def single_label():
    n, k = 90, 5
    labels = rng.choice(4, size=n, p=[.5, .3, .15, .05])  # class 4 never occurs
    logits = rng.normal(size=(n, k)) * 2
    logits[np.arange(n), labels] += 1.5
    logits[:, 3] -= 9  # class 3 is never predicted
    logits = np.round(logits, 3).astype(np.float32).astype(np.float64)
    exp = np.exp(logits - logits.max(1, keepdims=True))
    probabilities = exp / exp.sum(1, keepdims=True)
    predicted = probabilities.argmax(1)
    losses = -np.log(probabilities[np.arange(n), labels])
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(
        labels, predicted, labels=range(k), zero_division=0)
    never_said, never_there = ~np.isin(range(k), predicted), ~np.isin(range(k), labels)
    precision[never_said] = np.nan
    recall[never_there] = np.nan
    f1[never_said & never_there] = np.nan
    right = predicted == labels
    ece, counts = calibration(probabilities.max(1), right)
    interval = binomtest(int(right.sum()), n).proportion_ci(method="wilson")
    worst = np.argsort(-losses, kind="stable")
    return {
        "labels": labels.tolist(), "logits": float_rows(logits),
        "matrix": metrics.confusion_matrix(labels, predicted, labels=range(k)).tolist(),
        "precision": finite(precision), "recall": finite(recall), "f1": finite(f1),
        "macro_f1": metrics.f1_score(labels, predicted, average="macro"),
        "balanced_accuracy": float(np.mean([right[labels == c].mean() for c in set(labels)])),
        "accuracy": metrics.accuracy_score(labels, predicted),
        "majority_rate": float(np.bincount(labels).max() / n),
        "loss": metrics.log_loss(labels, probabilities, labels=range(k)),
        "ece": ece, "bins": counts, "wilson": [interval.low, interval.high],
        "worst": worst.tolist(), "losses": losses[worst].tolist(),
    }


def several_labels():
    n, k, threshold = 80, 4, .4
    targets = (rng.random((n, k)) < [.5, .3, .1, 0]).astype(int)  # class 3 never occurs
    logits = rng.normal(size=(n, k)) + 1.2 * targets - .5
    logits = np.round(logits, 1).astype(np.float32).astype(np.float64)  # many scores are equal
    probabilities = 1 / (1 + np.exp(-logits))
    predicted = (probabilities >= threshold).astype(int)
    average = [metrics.average_precision_score(targets[:, c], probabilities[:, c])
               if targets[:, c].any() else np.nan for c in range(k)]
    f1 = metrics.f1_score(targets, predicted, average=None, zero_division=0)
    f1[~targets.any(0) & ~predicted.any(0)] = np.nan
    return {
        "sets": [int(sum(1 << c for c in range(k) if row[c])) for row in targets],
        "logits": float_rows(logits), "threshold": threshold,
        "average_precision": finite(average), "mean_average_precision": float(np.nanmean(average)),
        "f1": finite(f1), "macro_f1": float(np.nanmean(f1)),
        "micro_f1": metrics.f1_score(targets, predicted, average="micro"),
        "subset_accuracy": metrics.accuracy_score(targets, predicted),
        "loss": float(np.mean(np.logaddexp(0, logits) - targets * logits)),
    }


def wilson():
    rows = []
    for right, n in [(0, 1), (1, 1), (0, 10), (10, 10), (7, 10), (139, 153), (999999, 1000000)]:
        interval = binomtest(right, n).proportion_ci(method="wilson")
        rows.append([right, n, interval.low, interval.high])
    return rows


def power_law():
    """The best of many starting points, by scipy's bounded least squares."""
    cases = []
    curves = [
        ([100, 316, 1000, 3162, 10000], [.3, .22, .17, .14, .12]),
        ([10, 100, 1000, 10000], [.5, .25, .125, .0625]),  # a = 0
        ([20, 40, 80, 160], [.2, .21, .19, .2]),  # nearly flat
        ([20, 40, 80, 160], [.1, .12, .15, .2]),  # gets worse: b = 0
        ([50, 100, 200, 400, 800], [.4, .1, .06, .055, .054]),  # steep: c at its bound
        ([244, 24, 2, 120], [.07, .15, .45, .09]),  # in no order
    ]
    for n, error in curves:
        n, error = np.array(n, float), np.array(error)
        scale = n / n.max()
        best = None
        for c in np.geomspace(.05, 2, 25):
            for a in (0.001, .05, error.min()):
                fit = least_squares(
                    lambda x: x[0] + x[1] * scale ** -x[2] - error, [a, .1, c],
                    bounds=([0, 0, .05], [np.inf, np.inf, 2]), xtol=1e-15, ftol=1e-15, gtol=1e-15,
                    max_nfev=2000)
                if best is None or fit.cost < best.cost:
                    best = fit
        a, b, c = best.x
        cases.append({"n": n.tolist(), "error": error.tolist(), "squares": 2 * best.cost,
                      "twice": float(a + b * 2.0 ** -c)})
    return cases


print(json.dumps({"single_label": single_label(), "several_labels": several_labels(),
                  "wilson": wilson(), "power_law": power_law()}))
