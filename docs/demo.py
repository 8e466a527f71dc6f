#!/usr/bin/env python3
"""The whole path, as a user walks it: upload images, fine-tune in two stages, ask for a prediction.

    make demo              leaves nothing running
    KEEP=1 make demo       leaves the server running and prints its address

Everything goes over HTTP, as with curl. The images are drawn by `thaw-engine synth`; the network
is the one that comes with the program, pretrained on drawn images of other classes. Python's
standard library only.
"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

BUILD = pathlib.Path(os.environ.get("BUILD", "build"))
SIZE = 64
TARGET = {"classes": 6, "per_class": 40, "valid": 40, "frozen_epochs": 12, "epochs": 4}


class Server:
    """A thawd of our own on a free port, with its data in a temporary folder."""

    def __init__(self, folder):
        self.log = open(folder / "thawd.log", "w")
        self.process = subprocess.Popen(
            [BUILD / "thawd", "--listen", "127.0.0.1:0", "--data", folder / "data"],
            stdout=subprocess.PIPE, stderr=self.log, text=True, start_new_session=True)
        line = self.process.stdout.readline()
        if "listening on" not in line:
            self.log.close()
            sys.exit("thawd did not start:\n" + (folder / "thawd.log").read_text())
        self.address = line.split()[-1]

    def call(self, method, path, body=None, kind=None):
        """One request; returns the JSON reply, or ends the demo with the server's own sentence."""
        if isinstance(body, dict):
            body, kind = json.dumps(body).encode(), "application/json"
        request = urllib.request.Request(self.address + path, data=body, method=method)
        request.add_header("Content-Type", kind or "application/octet-stream")
        try:
            with urllib.request.urlopen(request, timeout=120) as reply:
                return json.load(reply)
        except urllib.error.HTTPError as error:
            sys.exit(f"{method} {path} answered {error.code}: {error.read().decode()}")

    def events(self, path):
        """The server-sent events of a job, one dictionary each, until its last."""
        request = urllib.request.Request(self.address + path,
                                         headers={"Accept": "text/event-stream"})
        with urllib.request.urlopen(request, timeout=300) as stream:
            for line in stream:
                if line.startswith(b"data:"):
                    yield json.loads(line[5:])

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        self.log.close()


def draw(folder, which, options):
    """A zip of labelled images: train/CLASS/*.png and valid/CLASS/*.png."""
    path = folder / f"images-{which}.zip"
    sizes = {"size": SIZE, **{key: options[key] for key in ("classes", "per_class", "valid")}}
    flags = [f"--{key.replace('_', '-')}={value}" for key, value in sizes.items()]
    subprocess.run([BUILD / "thaw-engine", "synth", "--set", which, "--out", path, "--seed", "1",
                    *flags], check=True, stdout=subprocess.DEVNULL)
    return path


def upload(server, path):
    print(f"\n$ curl --data-binary @{path.name} '{server.address}/v1/datasets?name={path.stem}'")
    dataset = server.call("POST", f"/v1/datasets?name={path.stem}", path.read_bytes())
    while dataset["status"] == "processing":
        time.sleep(.1)
        dataset = server.call("GET", f"/v1/datasets/{dataset['id']}")
    if dataset["status"] != "ready":
        sys.exit(f"The dataset could not be used: {dataset['error']}")
    classes = ", ".join(c["name"] for c in dataset["classes"])
    print(f"  {dataset['id']}: {dataset['items']} images, "
          f"{dataset['splits']['train']} to train, {dataset['splits']['valid']} to validate")
    print(f"  {len(dataset['classes'])} classes: {classes}")
    return dataset


def show_progress(event):
    """One line that is written over and over while steps go by."""
    width, share = 30, event["step"] / max(1, event["steps"])
    bar = "#" * int(width * share)
    if sys.stdout.isatty():
        print(f"\r  [{bar:<{width}}] step {event['step']}/{event['steps']}"
              f"  loss {event['train_loss']:.3f}"
              f"  {event['examples_per_second']:.0f} images/s ", end="", flush=True)


def clear_progress():
    if sys.stdout.isatty():
        print("\r" + " " * 78 + "\r", end="")


def train(server, title, spec):
    """Submits a job and shows it until its end; returns the job and its last accuracy."""
    print(f"\n{title}\n$ curl -H 'Content-Type: application/json' "
          f"-d '{json.dumps(spec)}' {server.address}/v1/jobs")
    job = server.call("POST", "/v1/jobs", spec)
    print(f"  {job['id']}")
    accuracy = None
    for event in server.events(f"/v1/jobs/{job['id']}/events"):
        if event["type"] == "stage":
            print(f"  {event['stage']}: {event['trainable_parameters']:,} parameters train")
            print("    epoch  train loss  valid loss  accuracy  seconds")
        elif event["type"] == "warning":
            print(f"  warning: {event['detail']}")
        elif event["type"] == "step":
            show_progress(event)
        elif event["type"] == "epoch":
            clear_progress()
            accuracy = event["accuracy"]
            print(f"    {event['epoch']:5}  {event['train_loss']:10.4f}  "
                  f"{event['valid_loss']:10.4f}  {accuracy:8.3f}  {event['seconds']:7.1f}")
    job = server.call("GET", f"/v1/jobs/{job['id']}")
    if job["status"] != "succeeded":
        sys.exit(f"The job ended as {job['status']}: {job['error']}")
    return job, accuracy


def predict(server, job, archive, folder):
    """Asks for the label of one image that was held out."""
    shutil.unpack_archive(archive, folder / "unpacked")
    image = sorted((folder / "unpacked").glob("**/valid/*/*"))[0]
    model = job["result_model"]
    print(f"\nA held-out image of class \"{image.parent.name}\":\n"
          f"$ curl --data-binary @{image.name} {server.address}/v1/models/{model}/predict")
    answer = server.call("POST", f"/v1/models/{model}/predict?top_k=3", image.read_bytes())
    best = answer["predictions"][0]
    for row in best["probabilities"]:
        print(f"  {row['probability']:.3f}  {row['label']}")
    print(f"  prediction: {best['label']} with probability {best['probability']:.3f}")


def run(server, folder):
    start = time.time()
    archive = draw(folder, "b", TARGET)
    target = upload(server, archive)
    common = {"dataset": target["id"], "model": "thaw-small", "batch_size": 16,
              "image": {"size": SIZE}, "augment": {"min_scale": .6}}
    tuned, with_transfer = train(
        server, "Fine-tuning the network that comes with Thaw: the head first, then all layers:",
        {**common, "name": "fine-tune",
         "freeze_epochs": TARGET["frozen_epochs"], "epochs": TARGET["epochs"]})
    epochs = TARGET["frozen_epochs"] + TARGET["epochs"]
    _, without = train(
        server, "For comparison, the same network from random weights, as many epochs:",
        {**common, "weights": "random", "name": "from-random",
         "stages": [{"name": "all", "freeze_to": 0, "epochs": epochs, "lr": 4e-3}]})

    predict(server, tuned, archive, folder)
    print(f"\nValidation accuracy after {epochs} epochs on {target['splits']['train']} images:\n"
          f"  pretrained, then fine-tuned   {with_transfer:.3f}\n"
          f"  from random weights           {without:.3f}\n"
          f"({time.time() - start:.0f} s in all)")


def main():
    keep = os.environ.get("KEEP") == "1"
    folder = pathlib.Path(tempfile.mkdtemp(prefix="thaw-demo-"))
    server = Server(folder)
    print(f"thawd listens on {server.address}")
    try:
        run(server, folder)
    finally:
        if keep:
            print(f"\nStill running: {server.address} (process {server.process.pid}, "
                  f"data in {folder}); stop it with: kill {server.process.pid}")
        else:
            server.stop()
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
