"""Base models pulled from a mirror on this machine: whole, in pieces, wrong, not at all."""
import hashlib
import http.server
import json
import re
import subprocess
import threading
import time

import pytest

import published
from conftest import ENGINE, THAWD, Server, finish, problem, wait_for

FILE = "squeezenet1_1-b8a52dc0.pth"
CONTENT = published.squeezenet()


class Mirror(http.server.ThreadingHTTPServer):
    """Serves `files` below /models/. What it does wrong is in its attributes."""
    daemon_threads = True

    def __init__(self, files):
        super().__init__(("127.0.0.1", 0), Answer)
        self.files, self.asked = files, []  # (path, Range header)
        self.cut_after = []      # bytes after which each next reply breaks
        self.status = None       # instead of any file
        self.ignores_ranges = False
        self.pace = 0            # seconds for each 256 KiB
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/models"

    def ranges(self):
        return [asked for _, asked in self.asked]


class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def refuse(self, code, **headers):
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self):
        mirror, asked = self.server, self.headers.get("Range")
        mirror.asked.append((self.path, asked))
        content = mirror.files.get(self.path.removeprefix("/models/"))
        if mirror.status or content is None:
            return self.refuse(mirror.status or 404)
        start = 0
        if asked and not mirror.ignores_ranges:
            start = int(re.fullmatch(r"bytes=(\d+)-", asked).group(1))
            if start >= len(content):
                return self.refuse(416, Content_Range=f"bytes */{len(content)}")
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.send(content[start:], mirror.cut_after.pop(0) if mirror.cut_after else None)

    def send(self, body, cut):
        for at in range(0, len(body), 1 << 18):
            piece = body[at:at + (1 << 18)]
            if cut is not None and at + len(piece) > cut:
                self.wfile.write(piece[:cut - at])
                self.wfile.flush()
                self.close_connection = True
                return self.connection.close()
            self.wfile.write(piece)
            time.sleep(self.server.pace)


@pytest.fixture
def mirror():
    mirror = Mirror({FILE: CONTENT})
    yield mirror
    mirror.shutdown()
    mirror.server_close()


@pytest.fixture
def serve(tmp_path, mirror):
    """Starts servers that pull from the mirror; one data directory, the real engine."""
    if not ENGINE.is_file():
        pytest.skip(f"{ENGINE} was not built")
    started = []

    def starter(*flags):
        started.append(Server(tmp_path / "data", "--pull-base", mirror.url, *flags,
                              engine=ENGINE))
        return started[-1]

    yield starter
    for server in started:
        if server.process.returncode is None:
            finish(server)


def pull(server, name="squeezenet1_1"):
    return server.post("/v1/models", json={"pull": name})


def settled(server, name="squeezenet1_1"):
    return wait_for(lambda: server.get(f"/v1/models/{name}").json(), lambda m: not m["progress"])


def part(server):
    return server.data / "pulls" / FILE


def test_a_pulled_model_is_available_and_exact(serve, mirror):
    server = serve()
    before = server.get("/v1/models/squeezenet1_1").json()
    assert before["published"]["file"] == FILE and not before["available"]
    reply = pull(server)
    assert reply.status_code == 202
    assert reply.headers["Location"] == "/v1/models/mdl_squeezenet1_1"
    assert reply.json()["progress"]["total"] > 0 and not reply.json()["available"]
    model = settled(server)
    assert model["available"] and model["error"] is None and model["origin"] == "base"
    assert model["parameters"] == 1235496 and model["classes"][0] == "tench"
    assert pull(server).status_code == 200
    assert mirror.asked == [(f"/models/{FILE}", None)]
    weights = server.get("/v1/models/squeezenet1_1/weights").content
    assert published.numbers(8)[1:].tobytes() in weights
    assert not part(server).exists()


def test_events_tell_how_far_it_is(serve, mirror):
    mirror.pace = .1
    server = serve()
    pull(server)
    settled(server)
    events = [e for e in server.get("/v1/events?limit=100").json()["data"]
              if e["model"] == "mdl_squeezenet1_1"]
    assert [e["status"] for e in events][0] == "pulling" and events[-1]["status"] == "available"
    done = [e["progress"]["done"] for e in events if e["progress"]]
    assert done == sorted(done) and len(done) >= 3
    assert all(e["progress"]["total"] == len(CONTENT) for e in events[1:-1])


def test_asking_twice_pulls_once(serve, mirror):
    mirror.pace = .1
    server = serve()
    replies = [pull(server) for _ in range(3)]
    assert [reply.status_code for reply in replies] == [202] * 3
    assert all(reply.json()["progress"] for reply in replies)
    settled(server)
    assert len(mirror.asked) == 1


def test_a_cut_connection_is_resumed_where_it_broke(serve, mirror):
    mirror.cut_after = [1000000, 500000]
    server = serve()
    pull(server)
    assert settled(server)["available"]
    assert mirror.ranges() == [None, "bytes=1000000-", "bytes=1500000-"]


def test_a_mirror_without_ranges_begins_anew(serve, mirror):
    mirror.cut_after, mirror.ignores_ranges = [1000000], True
    server = serve()
    pull(server)
    assert settled(server)["available"]
    assert len(mirror.asked) == 2


def test_a_restart_goes_on_with_the_part_that_is_there(serve, mirror):
    mirror.pace = .3
    server = serve()
    pull(server)
    wait_for(lambda: part(server).exists() and part(server).stat().st_size, bool)
    server.stop()
    size = part(server).stat().st_size
    assert 0 < size < len(CONTENT)
    mirror.pace = 0
    server = serve()  # nobody asks again
    assert settled(server)["available"]
    assert mirror.ranges() == [None, f"bytes={size}-"]


def test_a_killed_server_goes_on_as_well(serve, mirror):
    mirror.pace = .3
    server = serve()
    pull(server)
    wait_for(lambda: part(server).exists() and part(server).stat().st_size, bool)
    server.process.kill()
    server.process.wait()
    mirror.pace = 0
    assert settled(serve())["available"]


def test_a_part_that_is_whole_already_is_only_imported(serve, mirror):
    server = serve()
    part(server).parent.mkdir()
    part(server).write_bytes(CONTENT)
    pull(server)
    assert settled(server)["available"]
    assert mirror.ranges() == [f"bytes={len(CONTENT)}-"]


@pytest.mark.parametrize("content", [CONTENT[:-1] + b"x", b"an error page", CONTENT[:-1000]],
                         ids=["changed", "page", "shorter"])
def test_what_has_another_hash_is_removed_and_said(serve, mirror, content):
    mirror.files[FILE] = content
    server = serve()
    pull(server)
    model = settled(server)
    assert not model["available"] and model["error"]["code"] == "pull_wrong_hash"
    assert hashlib.sha256(content).hexdigest()[:8] in model["error"]["detail"]
    assert not part(server).exists()
    mirror.files[FILE] = CONTENT  # and nothing stands in the way of another try
    assert pull(server).status_code == 202
    assert settled(server)["available"]


def test_more_than_the_published_size_is_not_taken(serve, mirror):
    mirror.files[FILE] = bytes(8 << 20)
    server = serve()
    pull(server)
    assert settled(server)["error"]["code"] == "pull_too_large"
    assert not part(server).exists()


@pytest.mark.parametrize("status, tries", [(404, 1), (403, 1)])
def test_a_refusal_is_said_with_what_to_do(serve, mirror, status, tries):
    mirror.status = status
    server = serve()
    pull(server)
    error = settled(server)["error"]
    assert error["code"] == "pull_refused" and str(status) in error["detail"]
    assert error["hint"] and len(mirror.asked) == tries


def test_a_busy_mirror_is_asked_again(serve, mirror):
    mirror.status = 503
    server = serve()
    pull(server)
    wait_for(lambda: mirror.asked, bool)
    mirror.status = None
    assert settled(server)["available"] and len(mirror.asked) >= 2


def test_a_pull_can_be_stopped_and_taken_up_again(serve, mirror):
    mirror.pace = .2
    server = serve()
    pull(server)
    wait_for(lambda: part(server).exists() and part(server).stat().st_size, bool)
    assert server.request("DELETE", "/v1/models/squeezenet1_1").status_code == 204
    model = server.get("/v1/models/squeezenet1_1").json()
    assert not model["available"] and model["progress"] is None and model["error"] is None
    wait_for(lambda: "cancelled" in server.log, bool)
    kept = part(server).stat().st_size
    assert 0 < kept < len(CONTENT)
    problem(server.request("DELETE", "/v1/models/squeezenet1_1"), 409)  # as every base model
    mirror.pace = 0
    assert pull(server).status_code == 202
    assert settled(server)["available"] and mirror.ranges()[-1] == f"bytes={kept}-"


def test_a_pull_that_waits_for_a_busy_mirror_can_be_stopped(serve, mirror):
    mirror.status = 503
    server = serve()
    pull(server)
    wait_for(lambda: "tries again" in server.log, bool)
    assert server.request("DELETE", "/v1/models/squeezenet1_1").status_code == 204
    wait_for(lambda: "cancelled" in server.log, bool)
    asked = len(mirror.asked)
    model = server.get("/v1/models/squeezenet1_1").json()
    assert model["error"] is None and model["progress"] is None
    mirror.status = None
    assert pull(server).status_code == 202 and settled(server)["available"]
    assert len(mirror.asked) == asked + 1


def test_offline_says_which_host_and_what_to_do(serve, mirror):
    server = serve("--pull-base", "http://127.0.0.1:9/models")
    pull(server)
    error = settled(server)["error"]
    assert error["code"] == "pull_unreachable" and "http://127.0.0.1:9" in error["detail"]
    assert "POST" in error["hint"] and "/v1/models" in error["hint"]


def test_a_job_on_missing_weights_says_both_ways(serve):
    server = serve()
    reply = server.post("/v1/datasets?name=d", b"not an archive")
    detail = problem(server.post("/v1/jobs", json={
        "dataset": reply.json()["id"], "model": "resnet34"}), 422)["detail"]
    assert '{"pull": "resnet34"}' in detail and "import" in detail


def test_bad_bodies_are_refused_with_what_was_meant(serve):
    server = serve()
    ask = lambda body, query="": server.post("/v1/models" + query, json=body)  # noqa: E731
    assert "resnet34" in problem(ask({"pull": "resnet43"}), 422)["detail"]
    assert "comes with Thaw" in problem(ask({"pull": "thaw-small"}), 422)["detail"]
    problem(ask({"pull": "../../etc/passwd"}), 422)
    problem(ask({"pull": "http://example.org/x.pth"}), 422)
    problem(ask({"pull": 7}), 400)
    problem(ask({"pul": "resnet34"}), 400)
    problem(ask([]), 400)
    problem(ask({"pull": "resnet34"}, "?name=mine"), 400)


def test_a_full_disk_is_said_before_anything_is_asked(serve, mirror):
    server = serve("--min-free", "100T")
    pull(server)
    error = settled(server)["error"]
    assert error["code"] == "no_space" and "--min-free" in error["detail"]
    assert mirror.asked == []


def test_a_disk_that_fills_meanwhile_is_said_and_the_part_kept(serve, mirror, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=700", "none", folder],
                      capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        mirror.pace = .2
        server = serve()
        pull(server)
        wait_for(lambda: part(server).exists() and part(server).stat().st_size, bool)
        filler = folder / "pulls" / "filler"
        with open(filler, "wb", buffering=0) as file, pytest.raises(OSError):
            while True:
                file.write(bytes(1 << 16))
        wait_for(lambda: server.log, lambda log: "msg=failed" in log or "No space left" in log)
        filler.unlink()
        model = settled(server)
        assert model["error"]["code"] == "no_space" and not model["available"]
        size, mirror.pace = part(server).stat().st_size, 0
        assert size > 0 and pull(server).status_code == 202
        assert settled(server)["available"]
        assert mirror.ranges()[-1] == f"bytes={size}-"
        finish(server)
    finally:
        subprocess.run(["umount", "-l", folder], check=False)


# --- thawd pull


def command(tmp_path, mirror, *arguments):
    return subprocess.run(
        [THAWD, "pull", *arguments, "--data", str(tmp_path / "data"), "--engine", str(ENGINE),
         "--pull-base", mirror.url, "--min-free", "0"],
        capture_output=True, text=True, timeout=60)


def test_the_command_pulls_and_shows_its_progress(tmp_path, mirror, serve):
    mirror.cut_after = [2000000]
    done = command(tmp_path, mirror, "squeezenet1_1")
    assert done.returncode == 0, done.stderr
    assert "squeezenet1_1 is ready" in done.stdout and "100 %" in done.stderr
    assert "broke after 2000000 bytes" in done.stderr and "Trying again" in done.stderr
    assert "is there already" in command(tmp_path, mirror, "squeezenet1_1").stdout
    assert serve().get("/v1/models/squeezenet1_1").json()["available"]


def test_the_command_fails_with_a_sentence(tmp_path, mirror):
    done = command(tmp_path, mirror, "resnet18")
    assert done.returncode == 1 and "404" in done.stderr
    done = command(tmp_path, mirror, "resnet8")
    assert done.returncode == 1 and "resnet18" in done.stderr
    done = command(tmp_path, mirror, "resnet18", "--dta", "x")
    assert done.returncode == 1 and "--data" in done.stderr


def test_the_command_leaves_a_running_server_its_data(tmp_path, mirror, serve):
    serve()
    done = command(tmp_path, mirror, "squeezenet1_1")
    assert done.returncode == 1 and "POST /v1/models" in done.stderr


def test_without_a_name_it_lists_what_is_published(server):
    done = subprocess.run([THAWD, "pull"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    bases = {m["name"]: m for m in server.get("/v1/models?origin=base").json()["data"]}
    for name, model in bases.items():
        file = (model["published"] or {}).get("file")
        assert (file is None) == (name not in done.stdout.split())
        assert not file or file in done.stdout


def test_the_published_files_are_those_that_the_engine_knows(server):
    """store/base_models.c against engine/zoo/zoo.c, as `thaw-engine version` tells it."""
    told = json.loads(subprocess.run([ENGINE, "version"], capture_output=True, text=True).stdout)
    bases = {m["name"]: m for m in server.get("/v1/models?origin=base").json()["data"]}
    pictures = {name for name, model in bases.items() if model["kind"] == "image"}
    assert {network["name"] for network in told["networks"]} == pictures
    for network in told["networks"]:
        model = bases[network["name"]]
        found = model["published"] or {}
        assert [group["name"] for group in model["groups"]] == network["groups"]
        assert found.get("file") == network.get("file")
        if found:
            assert model["parameters"] == network["parameters"]
            assert found["accuracy"] == pytest.approx(network["top1"] / 100, abs=1e-9)
            assert abs(found["bytes"] / (4 * model["parameters"]) - 1) < .03
