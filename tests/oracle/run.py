#!/usr/bin/python3
"""Compares the engine with PyTorch (float64): `make oracle`. README.md says what is compared."""
import argparse
import os
import sys
import time

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that wait leave their core to others
import torch

import awd_lstm
import checks
import recipes
from comparison import Report
from engine import ROOT, Engine


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--driver", default=os.path.join(ROOT, "build/oracle/driver"))
    parser.add_argument("--long", action="store_true",
                        help="every network, in both batch-norm modes, over more steps")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--parts", default="recipes,ops,text,nets,locked,free,isa,images,self",
                        help="which parts")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--verbose", action="store_true", help="every comparison that failed")
    return parser.parse_args()


def main():
    options = parse()
    start = time.monotonic()
    torch.set_num_threads(options.threads)
    report = Report(options.verbose)
    engine = Engine(options.driver, None, options.threads)
    narrow = Engine(options.driver, "AVX2", options.threads)
    run = checks.Run(report, options.only, options.long)
    programs = os.path.dirname(options.driver)
    texts, narrow_texts = (Engine(os.path.join(programs, "awd_lstm"), isa, options.threads)
                           for isa in (None, "AVX2"))
    parts = {
        "recipes": lambda: recipes.run(report, os.path.join(programs, "recipes"), options.only),
        "ops": lambda: run.ops(engine),
        "text": lambda: awd_lstm.run(report, texts, narrow_texts, options.only,
                                     options.long),
        "nets": lambda: run.nets(engine),
        "locked": lambda: run.locked(engine),
        "free": lambda: run.free(engine),
        "isa": lambda: run.narrower(narrow),
        "images": lambda: run.images(os.path.join(programs, "images")),
        "self": lambda: run.failures_are_seen(engine),
    }
    try:
        for part in options.parts.split(","):
            parts[part]()
    finally:
        engine.close()
        narrow.close()
        texts.close()
        narrow_texts.close()
    print(f"{time.monotonic() - start:.0f} s")
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
