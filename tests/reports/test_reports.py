"""thaw-engine's reports against scikit-learn, from the predictions that stand beside them."""
import csv
import json
import os
import pathlib
import subprocess
import zipfile

import pytest

numpy = pytest.importorskip("numpy")
metrics = pytest.importorskip("sklearn.metrics")

ROOT = pathlib.Path(__file__).resolve().parents[2]
ENGINE = pathlib.Path(os.environ.get("THAW_BUILD", ROOT / "build")) / "thaw-engine"
CLASSES = 4
BINS = 15
STAGES = [{"name": "all", "freeze_to": 0, "epochs": 3, "lr": 2e-3}]
RANDOM = {"weights": "random", "image": {"size": 32}, "batch_size": 16, "seed": 2}

pytestmark = pytest.mark.skipif(not ENGINE.exists(), reason="thaw-engine was not built")


def done(verb, *arguments):
    """The lines it prints, parsed."""
    command = [str(part) for part in (ENGINE, verb, *arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert ended.returncode == 0, ended.stderr
    return [json.loads(line) for line in ended.stdout.splitlines()]


def train(pack, out, spec, weights=None):
    """What a run of the verb `train` says; a folder that it leaves its files in."""
    out.mkdir()
    (out / "spec.json").write_text(json.dumps({"model": "thaw-small", **spec}))
    start = ["--weights", weights] if weights else []
    return done("train", "--spec", out / "spec.json", "--pack", pack / "pack", "--index",
                pack / "index", "--out", out, *start)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("reports")


@pytest.fixture(scope="module")
def pack(folder):
    done("synth", "--out", folder / "drawn.zip", "--classes", CLASSES, "--per-class", 30, "--valid",
         15, "--size", 32)
    done("ingest", "--upload", folder / "drawn.zip", "--out", folder / "drawn")
    return folder / "drawn"


@pytest.fixture(scope="module")
def trained(folder, pack):
    said = train(pack, folder / "trained", {**RANDOM, "stages": STAGES})
    return folder / "trained", said


def read(out):
    """The report, and its predictions: labels, predicted labels, (n, classes) probabilities."""
    report = json.loads((out / "report.json").read_text())
    with open(out / "predictions.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    columns = [f"probability:{name}" for name in report["classes"]]
    assert list(rows[0]) == ["path", "label", "predicted", *columns]
    lines = [json.loads(line) for line in (out / "predictions.ndjson").read_text().splitlines()]
    assert [(line["path"], line["label"], line["predicted"]) for line in lines] == [
        (row["path"], row["label"], row["predicted"]) for row in rows]
    values = numpy.array([[float(row[column]) for column in columns] for row in rows])
    again = [[line["probabilities"][name] for name in report["classes"]] for line in lines]
    assert numpy.array_equal(values, numpy.array(again))
    return report, [row["label"] for row in rows], [row["predicted"] for row in rows], values


def near(actual, expected, within=1e-9):
    assert actual == pytest.approx(expected, abs=within)


def calibration_error(confidence, right):
    bins = numpy.clip(numpy.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    return sum(abs(right[bins == b].sum() - confidence[bins == b].sum())
               for b in range(BINS)) / len(right)


def check_single(out):
    """Every score of a report on items with one label each."""
    report, labels, predicted, values = read(out)
    names = report["classes"]
    truth = numpy.array([names.index(label) for label in labels])
    answer = values.argmax(1)
    assert [names[a] for a in answer] == predicted
    right = truth == answer
    n = len(truth)
    assert report["n"] == report["items"] == n
    near(report["accuracy"], metrics.accuracy_score(truth, answer))
    near(report["error_rate"], 1 - report["accuracy"])
    near(report["macro_f1"], metrics.f1_score(truth, answer, average="macro", zero_division=0))
    near(report["balanced_accuracy"], metrics.balanced_accuracy_score(truth, answer))
    near(report["majority_rate"], numpy.bincount(truth).max() / n)
    near(report["loss"], metrics.log_loss(truth, values, labels=range(len(names))), 1e-5)
    near(report["ece"], calibration_error(values.max(1), right), 1e-6)
    matrix = metrics.confusion_matrix(truth, answer, labels=range(len(names)))
    assert report["confusion_matrix"] == matrix.tolist()
    wrong = [pair["count"] for pair in report["most_confused"]]
    assert sum(wrong) == n - right.sum() and wrong == sorted(wrong, reverse=True)
    for pair in report["most_confused"]:
        assert matrix[names.index(pair["actual"]), names.index(pair["predicted"])] == pair["count"]
    precision, recall, f1, count = metrics.precision_recall_fscore_support(
        truth, answer, labels=range(len(names)), zero_division=0)
    for i, row in enumerate(report["per_class"]):
        near([row["precision"] or 0, row["recall"], row["f1"]], [precision[i], recall[i], f1[i]])
        assert (row["class"], row["n"]) == (names[i], count[i])
    losses = -numpy.log(values[numpy.arange(n), truth])
    near([top["loss"] for top in report["top_losses"]], numpy.sort(losses)[::-1][:100], 1e-4)
    low, high = report["wilson"]
    for bound in (low, high):  # where the score test is as sure as 95 % (Wilson 1927)
        z = (report["accuracy"] - bound) / (bound * (1 - bound) / n) ** .5
        near(abs(z), 1.959963984540054, 1e-6)
    assert low < report["accuracy"] < high
    return report


def test_the_report_of_a_training_run_follows_from_its_predictions(trained):
    out, said = trained
    report = check_single(out)
    result = said[-1]
    near(report["accuracy"], result["accuracy"])
    near(report["loss"], result["valid_loss"], 1e-5)
    assert report["splits"] == {"train": 30 * CLASSES, "valid": 15 * CLASSES, "test": 0,
                                "unlabelled": 0}
    assert {line["name"] for line in said if line["type"] == "artifact"} >= {
        "report.json", "predictions.csv", "predictions.ndjson"}


@pytest.mark.parametrize("spec", [{}, {"tta": 3}, {"split": "train", "batch_size": 7}])
def test_an_evaluation_says_of_the_same_items_what_training_said(folder, pack, trained, spec):
    out = folder / ("evaluate" + "-".join(map(str, spec.values())))
    said = train(pack, out, {"task": "evaluate", **spec}, trained[0] / "final.safetensors")
    report = check_single(out)
    near(said[-1]["accuracy"], report["accuracy"])
    assert (report["tta"], report["split"]) == (spec.get("tta"), spec.get("split", "valid"))
    if not spec:
        before = json.loads((trained[0] / "report.json").read_text())
        assert before["confusion_matrix"] == report["confusion_matrix"]
        near(before["loss"], report["loss"], 1e-6)


def test_fractions_give_a_curve_and_what_twice_the_data_would_bring(folder, pack):
    fractions = [.4, .6, .8, 1]
    out = folder / "fractions"
    train(pack, out, {**RANDOM, "fractions": fractions,
                      "stages": [{**STAGES[0], "epochs": 1}]})
    report = check_single(out)
    curve = report["learning_curve"]
    assert [point["fraction"] for point in curve] == fractions
    assert [point["n_train"] for point in curve] == [48, 72, 96, 120]
    for point in curve:
        assert 0 <= point["low"] <= point["accuracy"] <= point["high"] <= 1
    near(curve[-1]["accuracy"], report["accuracy"])
    law, twice = report["power_law"], report["power_law"]["twice"]
    assert twice["n_train"] == 240 and twice["low"] <= twice["high"]
    near(1 - twice["accuracy"], law["a"] + law["b"] * 240 ** -law["c"], 1e-6)
    near(twice["gain"], law["b"] * (120 ** -law["c"] - 240 ** -law["c"]), 1e-6)


def test_a_killed_run_has_the_curve_of_one_that_was_not(folder, pack):
    spec = {**RANDOM, "fractions": [.4, .6, 1], "stages": [{**STAGES[0], "epochs": 1}]}
    train(pack, folder / "whole", spec)
    out = folder / "killed"
    out.mkdir()
    (out / "spec.json").write_text(json.dumps({"model": "thaw-small", **spec}))
    command = [ENGINE, "train", "--spec", out / "spec.json", "--pack", pack / "pack", "--index",
               pack / "index", "--out", out]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as run:
        for line in run.stdout:
            if json.loads(line).get("stage_index") == 1:  # the first fraction has ended
                break
        run.kill()
    done(*command[1:])
    one, other = (json.loads((folder / name / "report.json").read_text())
                  for name in ("whole", "killed"))
    assert one["learning_curve"] == other["learning_curve"]
    assert one["confusion_matrix"] == other["confusion_matrix"]


def draw_several(folder):
    """The drawn pictures with labels of two kinds: the class, and "even" for every other."""
    with zipfile.ZipFile(folder / "drawn.zip") as drawn, \
            zipfile.ZipFile(folder / "several.zip", "w") as several:
        table = ["path,label"]
        for i, name in enumerate(n for n in drawn.namelist() if not n.endswith("/")):
            several.writestr(f"images/{i}.jpg", drawn.read(name))
            labels = [pathlib.PurePath(name).parent.name] + (["even"] if i % 2 == 0 else [])
            table.append(f"images/{i}.jpg,{';'.join(labels)}")
        several.writestr("labels.csv", "\n".join(table))
    done("ingest", "--upload", folder / "several.zip", "--out", folder / "several")
    return folder / "several"


def test_scores_of_several_labels_follow_from_their_predictions(folder, pack):
    out = folder / "multilabel"
    train(draw_several(folder), out, {**RANDOM, "task": "image_multilabel", "threshold": .4,
                                      "stages": STAGES})
    report, labels, predicted, values = read(out)
    names = report["classes"]
    truth = numpy.array([[name in label.split(";") for name in names] for label in labels])
    answer = values >= .4
    assert [";".join(n for n, is_there in zip(names, row) if is_there)
            for row in answer] == predicted
    near(report["subset_accuracy"], metrics.accuracy_score(truth, answer))
    near(report["micro_f1"], metrics.f1_score(truth, answer, average="micro", zero_division=0))
    f1 = metrics.f1_score(truth, answer, average=None, zero_division=0)
    average = metrics.average_precision_score(truth, values, average=None)
    near(report["macro_f1"], f1.mean())
    near(report["mean_average_precision"], average.mean())
    for i, row in enumerate(report["per_class"]):
        near([row["f1"], row["average_precision"]], [f1[i], average[i]])
    near(report["loss"], numpy.mean([metrics.log_loss(t, v, labels=[0, 1])
                                     for t, v in zip(truth.T, values.T)]), 1e-5)

    again = folder / "multilabel-again"  # the model itself knows that it answers so
    train(folder / "several", again, {"task": "evaluate", "threshold": .4},
          out / "final.safetensors")
    near(json.loads((again / "report.json").read_text())["subset_accuracy"],
         report["subset_accuracy"])
