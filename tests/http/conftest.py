"""A thawd for tests: on a free port, with a data directory and a scripted engine of its own.

THAWD names the program, else it is THAW_BUILD/thawd, else build/thawd. Tests that need the real
engine ask for `real_server`; they are skipped where thaw-engine was not built."""
import json
import os
import pathlib
import signal
import socket
import subprocess
import time

import pytest
import requests

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = pathlib.Path(os.environ.get("THAW_BUILD", ROOT / "build"))
THAWD = os.environ.get("THAWD", str(BUILD / "thawd"))
ENGINE = BUILD / "thaw-engine"
SCRIPTED = HERE / "scripted_engine.py"
SHARED = pathlib.Path(os.environ.get("THAW_SHARED", ROOT.parent / "shared"))
SANITIZED = bool(os.environ.get("SAN"))
TERMINAL = {"succeeded", "failed", "cancelled"}


class Server:
    """One thawd. `url` is its address; `log` everything it wrote to stderr so far."""

    def __init__(self, data, *flags, engine=SCRIPTED, **popen):
        self.data = pathlib.Path(data)
        self.stderr = open(self.data.parent / (self.data.name + ".log"), "w+b")
        self.process = subprocess.Popen(
            [THAWD, "--listen", "127.0.0.1:0", "--data", str(data), "--engine", str(engine),
             "--min-free", "0", *flags],
            stdout=subprocess.PIPE, stderr=self.stderr, text=True, **popen)
        line = self.process.stdout.readline()
        assert line.startswith("listening on "), f"it did not start: {self.log}"
        self.url = line.split()[-1]
        self.port = int(self.url.rsplit(":", 1)[1])
        self.http = requests.Session()

    @property
    def log(self):
        self.stderr.flush()
        return pathlib.Path(self.stderr.name).read_text(errors="replace")

    def request(self, method, path, **arguments):
        return self.http.request(method, self.url + path, timeout=60, **arguments)

    def get(self, path, **arguments):
        return self.request("GET", path, **arguments)

    def post(self, path, data=None, **arguments):
        return self.request("POST", path, data=data, **arguments)

    def connect(self):
        """A bare socket, for what no HTTP library would send."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def raw(self, request):
        """Sends bytes, returns (status, headers, body) of the one reply."""
        with self.connect() as sock:
            sock.sendall(request)
            return read_reply(sock)

    def memory(self, field="VmRSS"):
        for line in open(f"/proc/{self.process.pid}/status"):
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
        raise KeyError(field)

    def uploads(self):
        return sorted(p.name for p in (self.data / "uploads").iterdir())

    def dataset(self, script=None, name="d", wait=True):
        """A dataset whose bytes tell the scripted engine what to do with it."""
        reply = self.post(f"/v1/datasets?name={name}", json.dumps(script or {}).encode())
        assert reply.status_code in (200, 201), reply.text
        identity = reply.json()["id"]
        return self.wait_dataset(identity) if wait else reply.json()

    def wait_dataset(self, identity):
        return wait_for(lambda: self.get(f"/v1/datasets/{identity}").json(),
                        lambda d: d["status"] != "processing")

    def job(self, script=None, dataset=None, **spec):
        """A job whose metadata tell the scripted engine how to train."""
        dataset = dataset or self.dataset()["id"]
        reply = self.post("/v1/jobs", json={
            "dataset": dataset, "model": "thaw-small", "weights": "random",
            "preset": "fine_tune", "metadata": {"script": json.dumps(script or {})}, **spec})
        assert reply.status_code == 202, reply.text
        return reply.json()

    def wait_job(self, identity, *statuses):
        return wait_for(lambda: self.get(f"/v1/jobs/{identity}").json(),
                        lambda j: j["status"] in (statuses or TERMINAL))

    def stop(self, number=signal.SIGTERM):
        self.http.close()
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(timeout=30)
        self.process.stdout.close()
        return code


def wait_for(read, done, seconds=120):
    """Returns as soon as it is so; the bound is for machines that have much else to do."""
    until = time.monotonic() + seconds
    while True:
        value = read()
        if done(value):
            return value
        assert time.monotonic() < until, f"still {value} after {seconds} s"
        time.sleep(0.02)


def read_reply(sock):
    """One HTTP/1.1 reply from a socket, its body by Content-Length or to the end."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(65536)
        if not piece:
            return None, {}, data
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
    length = int(headers.get("content-length", "-1"))
    while length < 0 or len(body) < length:
        piece = sock.recv(65536)
        if not piece:
            break
        body += piece
    return int(lines[0].split()[1]), headers, body


def problem(reply, status):
    """Checks that `reply` is an error as API.md has them, and returns it."""
    assert reply.status_code == status, reply.text
    assert reply.headers["Content-Type"] == "application/problem+json"
    body = reply.json()
    assert {"type", "title", "status", "detail", "instance", "errors"} <= set(body)
    assert body["status"] == status
    assert body["detail"].endswith((".", "?")), body["detail"]
    assert reply.headers["X-Request-Id"] == body["request_id"]
    return body


def finish(server):
    """Every test's server has to end well: exit status 0, and no sanitizer spoke."""
    code = server.stop()
    log = server.log
    server.stderr.close()
    assert "Sanitizer" not in log, log
    assert code == 0, log


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("thaw") / "data")
    yield server
    finish(server)


@pytest.fixture
def start(tmp_path):
    """Starts servers with flags; stops them all at the end."""
    started = []

    def starter(*flags, data="data", **arguments):
        started.append(Server(tmp_path / data, *flags, **arguments))
        return started[-1]

    yield starter
    for one in started:
        if one.process.returncode is None:
            finish(one)


@pytest.fixture(scope="module")
def real_server(tmp_path_factory):
    if not ENGINE.is_file():
        pytest.skip(f"{ENGINE} was not built")
    server = Server(tmp_path_factory.mktemp("thaw") / "data", engine=ENGINE)
    yield server
    finish(server)


def shared(path):
    """A file of ../shared/data, or the test is skipped."""
    file = SHARED / "data" / path
    if not file.exists():
        pytest.skip(f"{file} is not there")
    return file
