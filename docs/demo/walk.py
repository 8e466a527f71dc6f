"""What both demos do: a server of their own, an upload, a job that is watched, a question.

Everything goes over HTTP, as with curl. Python's standard library only.
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


def synth(folder, name, which, **options):
    """A zip of labelled items that the engine makes up: train/CLASS/* and valid/CLASS/*."""
    path = folder / f"{name}.zip"
    flags = [f"--{key.replace('_', '-')}={value}" for key, value in options.items()]
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
    splits = dataset["splits"]
    unlabelled = f", {splits['unlabelled']} without a label" if splits["unlabelled"] else ""
    print(f"  {dataset['id']}: {splits['train']} to train, {splits['valid']} to validate"
          f"{unlabelled}")
    print(f"  {len(dataset['classes'])} classes: {classes}")
    return dataset


def show_progress(event):
    """One line that is written over and over while steps go by."""
    width, share = 30, event["step"] / max(1, event["steps"])
    bar = "#" * int(width * share)
    if sys.stdout.isatty():
        print(f"\r  [{bar:<{width}}] step {event['step']}/{event['steps']}"
              f"  loss {event['train_loss']:.3f}"
              f"  {event['examples_per_second']:.0f} items/s ", end="", flush=True)


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


def ask(server, job, path, line, body, kind=None):
    """Shows what the job's model says of one item, most probable first."""
    url = f"{server.address}/v1/models/{job['result_model']}/predict"
    print(f"\n{line}\n$ curl {path} {url}")
    answer = server.call("POST", f"/v1/models/{job['result_model']}/predict?top_k=3", body, kind)
    best = answer["predictions"][0]
    for row in best["probabilities"]:
        print(f"  {row['probability']:.3f}  {row['label']}")
    print(f"  prediction: {best['label']} with probability {best['probability']:.3f}")


def walk(run):
    """Runs run(server, folder) and cleans up; KEEP=1 leaves the server running."""
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
