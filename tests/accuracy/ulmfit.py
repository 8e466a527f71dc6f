#!/usr/bin/python3
"""The recipe ulmfit on real texts, beside TF-IDF and beside itself without language model.

    tests/accuracy/ulmfit.py [sms] [trec] [imdb] [--seeds 0 1 2] [--epochs N] [--threads N]

sms: 200 labelled messages train, 1000 validate, all others are text without label. trec: the
published split (5452 questions train, 500 validate). imdb: imdb_sample's own. The language model
starts from nothing ("model": null) and has the default small sizes."""
import argparse
import csv
import random
import tempfile

from engine_text import SHARED, ingest, train


def sms(seed):
    """Which messages are labelled depends on the seed."""
    with open(SHARED / "sms_spam.tsv", encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t", 1) for line in file]
    random.Random(seed).shuffle(rows)
    marks = ["train"] * 200 + ["valid"] * 1000 + ["unlabelled"] * (len(rows) - 1200)
    return [{"text": text, "label": "" if mark == "unlabelled" else label,
             "split": "train" if mark == "unlabelled" else mark}
            for mark, (label, text) in zip(marks, rows)]


def trec(_seed):
    rows = []
    for split, name in (("train", "train"), ("valid", "test")):
        with open(SHARED / f"trec-{name}.latin1.txt", encoding="latin-1") as file:
            for line in file:
                label, text = line.rstrip("\n").split(" ", 1)
                rows.append({"text": text, "label": label.split(":")[0], "split": split})
    return rows


def imdb(_seed):
    with open(SHARED / "imdb_sample.csv", newline="", encoding="utf-8") as file:
        return [{"text": row["text"], "label": row["label"],
                 "split": "valid" if row["is_valid"] == "True" else "train"}
                for row in csv.DictReader(file)]


SETS = {"sms": sms, "trec": trec, "imdb": imdb}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="*", default=list(SETS))
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=10, help="of the language model")
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    print("set seed | with LM | without LM | TF-IDF | majority | LM perplexity | seconds",
          flush=True)
    for name in options.sets or SETS:
        for seed in options.seeds:
            with tempfile.TemporaryDirectory() as folder:
                data = ingest(SETS[name](seed), folder)
                spec = {"task": "text_classification", "seed": seed}
                whole = train(data, {**spec, "lm_epochs": options.epochs}, None, options.threads)
                bare = train(data, {**spec, "lm_epochs": 0}, None, options.threads)
            report, perplexity = whole.report(), [e["perplexity"] for e in whole.epochs()
                                                  if "perplexity" in e]
            baseline = report["baseline"]
            print(f"{name} {seed} | {report['accuracy']:.4f} | {bare.report()['accuracy']:.4f} | "
                  f"{baseline['accuracy']:.4f} | {baseline['majority']:.4f} | "
                  f"{perplexity[-1]:.1f} | {whole.seconds:.0f} {bare.seconds:.0f}", flush=True)


if __name__ == "__main__":
    main()
