"""A thawd of our own, for measurements over HTTP: on a free port, with its data in a temporary
folder, gone at the end."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

import requests

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("THAW_BUILD", ROOT / "build"))
SHARED = pathlib.Path(os.environ.get("THAW_SHARED", ROOT.parent / "shared")) / "data"
TERMINAL = ("succeeded", "failed", "cancelled")


class Refused(Exception):
    """The server said no, in its own words."""


class Thawd:
    def __init__(self, build=BUILD):
        self.build = pathlib.Path(build)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="thaw-measure-"))
        self.log = open(self.folder / "thawd.log", "w", encoding="utf-8")
        self.process = subprocess.Popen(
            [self.build / "thawd", "--listen", "127.0.0.1:0", "--data", self.folder / "data"],
            stdout=subprocess.PIPE, stderr=self.log, text=True)
        line = self.process.stdout.readline()
        if not line.startswith("listening on "):
            raise Refused("thawd did not start: " + (self.folder / "thawd.log").read_text())
        self.url = line.split()[-1]
        self.session = requests.Session()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.session.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        self.process.stdout.close()
        self.log.close()
        shutil.rmtree(self.folder)

    def call(self, method, path, **arguments):
        reply = self.session.request(method, self.url + path, timeout=300, **arguments)
        if reply.status_code >= 400:
            raise Refused(f"{method} {path} answered {reply.status_code}: {reply.text}")
        return reply.json()

    def resident_bytes(self):
        for line in open(f"/proc/{self.process.pid}/status", encoding="ascii"):
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise KeyError("VmRSS")

    def upload(self, path, **query):
        """A dataset from an archive, once it is ready."""
        with open(path, "rb") as file:
            dataset = self.call("POST", "/v1/datasets", data=file, params=query)
        while dataset["status"] == "processing":
            time.sleep(.1)
            dataset = self.call("GET", f"/v1/datasets/{dataset['id']}")
        if dataset["status"] != "ready":
            raise Refused(f"The dataset {path} failed: {dataset['error']}")
        return dataset

    def import_model(self, path, **query):
        with open(path, "rb") as file:
            return self.call("POST", "/v1/models", data=file, params=query)

    def submit(self, spec):
        return self.call("POST", "/v1/jobs", data=json.dumps(spec),
                         headers={"Content-Type": "application/json"})

    def job(self, identity):
        return self.call("GET", f"/v1/jobs/{identity}")

    def finish(self, identity, seconds=3600):
        """The job once it has ended; Refused unless it succeeded."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            job = self.job(identity)
            if job["status"] in TERMINAL:
                if job["status"] != "succeeded":
                    raise Refused(f"The job {identity} ended as {job['status']}: {job['error']}")
                return job
            time.sleep(.5)
        raise Refused(f"The job {identity} did not end within {seconds} s.")

    def draw(self, name, **options):
        """A zip of drawn pictures, made by thaw-engine synth."""
        path = self.folder / f"{name}.zip"
        flags = [word for key, value in options.items()
                 for word in (f"--{key.replace('_', '-')}", str(value))]
        subprocess.run([self.build / "thaw-engine", "synth", "--set", name, "--out", path, *flags],
                       check=True, stdout=subprocess.DEVNULL)
        return path
