#!/usr/bin/env python3
"""The same path with texts: a language model on all letters, a classifier on the few with a label.

    make demo-text              leaves nothing running
    KEEP=1 make demo-text       leaves the server running and prints its address

The letters are written by `thaw-engine synth` from a grammar. Most have no label: the language
model learns from them which words belong together, and that is what the classifier starts from.
"""
import time
import zipfile

from walk import ask, synth, train, upload, walk

LETTERS = {"per_class": 10, "valid": 50, "unlabelled": 2000}
TEXT = {"embedding": 128, "hidden": 256, "drop_mult": 0.3}
SPEC = {"model": None, "text": TEXT, "lm_epochs": 7}


def ask_for_one(server, job, archive):
    """One letter that was held out."""
    with zipfile.ZipFile(archive) as letters:
        name = max(path for path in letters.namelist() if path.startswith("valid/"))
        letter = letters.read(name).decode()
    ask(server, job, f"--json '{{\"text\": \"...\"}}'",
        f"A held-out letter of class \"{name.split('/')[1]}\":\n  {letter}", {"text": letter})


def run(server, folder):
    start = time.time()
    archive = synth(folder, "letters", "letters", **LETTERS)
    dataset = upload(server, archive)
    spec = {**SPEC, "dataset": dataset["id"]}
    tuned, with_transfer = train(
        server, "A language model on all letters, then a classifier on its encoder, its head "
        "first, then all of it:", {**spec, "name": "ulmfit"})
    _, without = train(server, "For comparison, the same classifier without the language model:",
                       {**spec, "name": "classifier-alone", "lm_epochs": 0})
    baseline = server.call("GET", f"/v1/jobs/{tuned['id']}/report")["baseline"]

    ask_for_one(server, tuned, archive)
    print(f"\nValidation accuracy with {dataset['splits']['train']} labelled letters:\n"
          f"  language model first          {with_transfer:.3f}\n"
          f"  without it                    {without:.3f}\n"
          f"  TF-IDF, logistic regression   {baseline['accuracy']:.3f}\n"
          f"({time.time() - start:.0f} s in all)")


if __name__ == "__main__":
    walk(run)
