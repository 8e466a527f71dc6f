"""Errors against a reference, and the list of what passed.

The measure is rms(ours - reference) / rms(reference): one number a tensor, that no single element
near zero can spoil and no average can hide, since every tensor is compared by itself.
"""
import numpy as np


def rms(array):
    return float(np.sqrt(np.mean(np.square(array, dtype=np.float64)))) if array.size else 0.0


def relative_error(ours, reference):
    """Infinite where shapes differ or something is not finite."""
    ours, reference = np.asarray(ours, np.float64), np.asarray(reference, np.float64)
    if ours.shape != reference.shape or not np.isfinite(ours).all():
        return float("inf")
    difference, size = rms(ours - reference), rms(reference)
    if difference == 0.0:
        return 0.0
    return difference / size if size > 0.0 else float("inf")


class Check:
    """One line of the table: the worst of its comparisons, each over its bound."""

    def __init__(self, name):
        self.name = name
        self.worst, self.error, self.bound, self.what = -1.0, 0.0, 0.0, ""
        self.problems = []
        self.comparisons = 0

    def add(self, what, error, bound):
        self.comparisons += 1
        share = error / bound
        if share > self.worst or np.isnan(share):
            self.worst, self.error, self.bound, self.what = share, error, bound, what
        if not error <= bound:
            self.problems.append(f"{what}: error {error:.3g}, bound {bound:.3g}")

    def compare(self, what, ours, reference, bound):
        self.add(what, relative_error(ours, reference), bound)

    def require(self, what, holds):
        self.comparisons += 1
        if not holds:
            self.problems.append(what)

    def passed(self):
        return not self.problems and self.comparisons > 0


class Report:
    def __init__(self, verbose=False):
        self.passed = self.failed = 0
        self.verbose = verbose

    def head(self, title):
        print(f"\n{title}\n{'':6}{'case':44}{'rms error':>12}{'bound':>10}  worst of", flush=True)

    def add(self, check):
        good = check.passed()
        self.passed += good
        self.failed += not good
        number = f"{check.error:12.2e}{check.bound:10.0e}" if check.worst >= 0 else f"{'':22}"
        print(f"{'pass' if good else 'FAIL':6}{check.name:44}{number}  {check.what}"
              f" ({check.comparisons})", flush=True)
        for problem in check.problems[:None if self.verbose else 6]:
            print(f"      {problem}", flush=True)

    def finish(self):
        print(f"\n{self.passed} passed, {self.failed} failed", flush=True)
        return 0 if self.failed == 0 and self.passed > 0 else 1
