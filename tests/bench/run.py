#!/usr/bin/python3
"""Training speed and memory beside PyTorch's, on the same shapes: `make bench`.

Each pair measures both, one right after the other, each in a process of its own; who begins
alternates. The ratio of a row is the median over the pairs. PyTorch runs in the faster of its two
layouts (default, channels-last), found out first. Quiet the machine before you believe a number.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get("THAW_BUILD", os.path.join(ROOT, "build"))
LAYOUTS = ("default", "channels_last")


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", default=os.path.join(BUILD, "thaw-engine"))
    parser.add_argument("--models", default="resnet34,squeezenet1_1")
    parser.add_argument("--modes", default="frozen,all", help="of frozen, all, infer")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=5, help="measured steps a process")
    parser.add_argument("--require", type=float, default=.97, help="least ratio of a row")
    parser.add_argument("--memory-batch", type=int, default=32, help="0: no memory comparison")
    parser.add_argument("--text-pairs", type=int, default=3, help="0: no text")
    parser.add_argument("--text-steps", type=int, default=2, help="measured steps a process")
    parser.add_argument("--require-text", type=float, default=3, help="least ratio, tokens/s")
    parser.add_argument("--require-text-memory", type=float, default=.65, help="largest ratio")
    return parser.parse_args()


def measure(command, threads):
    """The JSON line that a command prints, with the most memory it ever held."""
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads))
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        text = process.stdout.read()
        _, code, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(code)
    if process.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}")
    result = json.loads(text.splitlines()[-1])
    result["resident"] = usage.ru_maxrss * 1024
    return result


class Row:
    """One model in one mode."""

    def __init__(self, options, model, mode, batch):
        self.options = options
        self.arguments = ["--model", model, "--mode", mode, "--size", str(options.size),
                          "--batch", str(batch), "--threads", str(options.threads)]
        self.layout = LAYOUTS[0]

    def ours(self, steps):
        return measure([self.options.engine, "bench", *self.arguments, "--steps", str(steps),
                        "--json"], self.options.threads)

    def torch(self, steps, layout=None):
        return measure([sys.executable, os.path.join(HERE, "torch_step.py"), *self.arguments,
                        "--steps", str(steps), "--layout", layout or self.layout],
                       self.options.threads)

    def choose_layout(self):
        speed = {layout: self.torch(2, layout)["images_per_second"] for layout in LAYOUTS}
        self.layout = max(speed, key=speed.get)

    def pair(self, index):
        steps = self.options.steps
        if index % 2:
            theirs, ours = self.torch(steps), self.ours(steps)
        else:
            ours, theirs = self.ours(steps), self.torch(steps)
        return ours["images_per_second"], theirs["images_per_second"]


def speed(options):
    """Prints the table; true when no row is below what is required."""
    good = True
    print(f"Training images/s, {options.size} px, batch {options.batch}, {options.threads} threads,"
          f" median of {options.pairs} interleaved pairs")
    print(f"{'model':15}{'mode':9}{'thaw':>8}{'torch':>8}  {'torch layout':15}{'ratio':>6}  pairs")
    for model in options.models.split(","):
        for mode in options.modes.split(","):
            row = Row(options, model, mode, options.batch)
            row.choose_layout()
            pairs = [row.pair(i) for i in range(options.pairs)]
            ours, theirs = (statistics.median(side) for side in zip(*pairs))
            ratios = [a / b for a, b in pairs]
            ratio = statistics.median(ratios)
            good = good and ratio >= options.require
            verdict = "" if ratio >= options.require else f"  below {options.require}"
            print(f"{model:15}{mode:9}{ours:8.2f}{theirs:8.2f}  {row.layout:15}{ratio:6.2f}  "
                  + " ".join(f"{r:.2f}" for r in ratios) + verdict, flush=True)
    return good


def memory(options):
    """Peak resident memory of resnet34, all layers: ours must be the smaller one."""
    row = Row(options, "resnet34", "all", options.memory_batch)
    ours = row.ours(2)["resident"]
    theirs = min(row.torch(2, layout)["resident"] for layout in LAYOUTS)
    print(f"\nPeak memory, resnet34, all layers, {options.size} px, batch {options.memory_batch}: "
          f"thaw {ours / 1e9:.2f} GB, torch {theirs / 1e9:.2f} GB, ratio {ours / theirs:.2f}")
    return ours < theirs


def text_pair(options, model, index):
    """Ours and theirs, of a language model or classifier of fastai's size."""
    arguments = ["--model", model, "--batch", "32", "--threads", str(options.threads),
                 "--steps", str(options.text_steps)]
    commands = [[options.engine, "bench", *arguments, "--json"],
                [sys.executable, os.path.join(HERE, "torch_text_step.py"), *arguments]]
    order = (1, 0) if index % 2 else (0, 1)
    results = {i: measure(commands[i], options.threads) for i in order}
    return results[0], results[1]


def text(options):
    """Speed and peak memory of AWD-LSTM, 400/1152x3, vocabulary 30000, batch 32, chunks of 72."""
    good = True
    print(f"\nAWD-LSTM 400/1152x3, vocabulary 30000, batch 32, chunks of 72, all layers, "
          f"{options.threads} threads, median of {options.text_pairs} interleaved pairs")
    print(f"{'model':21}{'':13}{'thaw':>9}{'torch':>9}{'ratio':>7}  {'peak GB':16}{'ratio':>5}"
          "  pairs")
    for model, unit in (("awd-lstm", "tokens"), ("awd-lstm-classifier", "documents")):
        pairs = [text_pair(options, model, i) for i in range(options.text_pairs)]
        key = f"{unit}_per_second"
        ratios = [a[key] / b[key] for a, b in pairs]
        ours, theirs = (statistics.median(side[key] for side in sides) for sides in zip(*pairs))
        peaks = [max(side["resident"] for side in sides) / 1e9 for sides in zip(*pairs)]
        ratio, share = statistics.median(ratios), peaks[0] / peaks[1]
        slow = model == "awd-lstm" and ratio < options.require_text
        good = good and not slow and share <= options.require_text_memory
        print(f"{model:21}{unit + '/s':13}{ours:9.2f}{theirs:9.2f}{ratio:7.2f}  "
              f"{peaks[0]:5.2f} of {peaks[1]:5.2f}  {share:7.2f}  "
              + " ".join(f"{r:.2f}" for r in ratios), flush=True)
    return good


def main():
    options = parse()
    good = speed(options) if options.pairs else True
    if options.text_pairs:
        good = text(options) and good
    if options.memory_batch:
        good = memory(options) and good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
