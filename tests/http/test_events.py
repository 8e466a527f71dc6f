"""Events: listed, streamed, replayed without loss or duplicate, ended."""
import http.client
import json
import socket
import threading
import time
import urllib.parse

import pytest

from conftest import SANITIZED, problem, wait_for

STREAM = {"Accept": "text/event-stream"}


class Stream:
    """Server-sent events, read on a thread of their own."""

    def __init__(self, server, path, last_id=None, **query):
        headers = {**STREAM, **({"Last-Event-ID": str(last_id)} if last_id is not None else {})}
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        self.connection.request("GET", f"{path}?{urllib.parse.urlencode(query)}", headers=headers)
        self.socket = self.connection.sock
        self.reply = self.connection.getresponse()
        self.status, self.headers = self.reply.status, self.reply.headers
        self.events, self.comments, self.ended = [], [], threading.Event()
        self.thread = threading.Thread(target=self.read, daemon=True)
        if self.status == 200:
            self.thread.start()

    def read(self):
        fields = {}
        try:
            for line in iter(self.reply.readline, b""):
                line = line.rstrip(b"\n")
                if line.startswith(b":"):
                    self.comments.append(line)
                elif line:
                    name, _, value = line.partition(b": ")
                    assert name in (b"id", b"data"), line
                    fields[name] = value
                elif fields:
                    event = json.loads(fields[b"data"])
                    assert event["seq"] == int(fields[b"id"])
                    self.events.append(event)
                    fields = {}
        except (OSError, http.client.HTTPException):
            pass
        self.ended.set()

    def wait(self, done):
        wait_for(lambda: list(self.events), done)
        return self.events

    def close(self):
        """Hangs up, also while the thread reads."""
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        if self.thread.ident:
            self.thread.join()
        self.connection.close()


def listed(server, path):
    events, after = [], 0
    while True:
        page = server.get(f"{path}?limit=100&after={after}").json()
        events += page["data"]
        if not page["has_more"]:
            return events
        after = page["last_id"]


def seqs(events):
    return [e["seq"] for e in events]


def test_a_job_is_streamed_from_queued_to_done_and_the_stream_ends(server):
    job = server.job({"delay": 0.02})
    stream = Stream(server, f"/v1/jobs/{job['id']}/events")
    assert stream.ended.wait(30)
    assert stream.headers["Content-Type"] == "text/event-stream"
    assert stream.headers["Cache-Control"] == "no-store"
    kinds = [e["type"] for e in stream.events]
    assert kinds[0] == "state" and kinds[-1] == "done"
    assert {"state", "stage", "epoch", "step", "checkpoint", "done"} <= set(kinds)
    assert all(e["job"] == job["id"] for e in stream.events)
    states = [e["status"] for e in stream.events if e["type"] == "state"]
    assert states == ["queued", "validating", "running", "succeeded"]
    assert stream.events[-1]["status"] == "succeeded"


def test_the_list_and_the_stream_tell_the_same(server):
    job = server.wait_job(server.job()["id"])
    path = f"/v1/jobs/{job['id']}/events"
    stream = Stream(server, path)
    assert stream.ended.wait(30)
    assert stream.events == listed(server, path)
    assert seqs(stream.events) == sorted(set(seqs(stream.events)))


def test_a_reader_that_comes_back_misses_nothing_and_gets_nothing_twice(server):
    job = server.job({"delay": 0.02, "steps": 10})
    path = f"/v1/jobs/{job['id']}/events"
    got, last = [], 0
    for _ in range(6):
        stream = Stream(server, path, last)
        if stream.status == 204:  # the one before was slow, and took all
            break
        before = len(stream.events)
        wait_for(lambda: len(stream.events) > before or stream.ended.is_set(), bool)
        stream.close()
        got += [e for e in list(stream.events)]
        last = got[-1]["seq"]
    rest = Stream(server, path, last)
    if rest.status == 200:
        assert rest.ended.wait(30)
        got += rest.events
    assert seqs(got) == seqs(listed(server, path))


def test_asking_again_after_done_is_204(server):
    job = server.wait_job(server.job()["id"])
    path = f"/v1/jobs/{job['id']}/events"
    events = listed(server, path)
    assert Stream(server, path, events[-1]["seq"]).status == 204
    assert Stream(server, path, after=events[-1]["seq"]).status == 204
    almost = Stream(server, path, events[-2]["seq"])
    assert almost.ended.wait(30) and almost.events == events[-1:]


def test_all_events_come_in_one_stream(server):
    last = server.get("/v1/events?limit=1").json()["last_seq"]
    stream = Stream(server, "/v1/events", after=last)
    job = server.job(dataset=server.dataset({"items": 6})["id"])
    events = stream.wait(lambda es: any(e["type"] == "done" for e in es))
    assert min(seqs(events)) > last
    assert {e["job"] for e in events if e["job"]} == {job["id"]}
    assert any(e["dataset"] for e in events)
    assert any(e["model"] for e in events)
    assert not stream.ended.is_set()
    stream.close()
    assert seqs(events) == seqs(e for e in listed(server, "/v1/events") if e["seq"] > last)


def test_the_header_counts_more_than_the_query(server):
    server.wait_job(server.job()["id"])
    last = server.get("/v1/events?limit=1").json()["last_seq"]
    stream = Stream(server, "/v1/events", last_id=last - 1, after=0)
    assert seqs(stream.wait(bool)) == [last]
    stream.close()


def test_an_id_of_another_life_replays_all(server):
    server.dataset()
    stream = Stream(server, "/v1/events", last_id="999999999999")
    assert stream.wait(bool)[0]["seq"] == 1
    stream.close()


@pytest.mark.parametrize("last_id", ["abc", "-1", "1e3", "99999999999999999999999", "7 "])
def test_an_id_that_is_no_number_is_400(server, last_id):
    reply = server.get("/v1/events", headers={**STREAM, "Last-Event-ID": last_id + "x"})
    assert "Last-Event-ID" in problem(reply, 400)["detail"]


@pytest.mark.parametrize("query", ["after=x", "after=-1", "limit=0", "limit=101"])
def test_a_bad_place_in_the_list_is_422(server, query):
    problem(server.get(f"/v1/events?{query}"), 422)


def test_a_stream_says_at_once_that_it_is_open(server):
    last = server.get("/v1/events?limit=1").json()["last_seq"]
    stream = Stream(server, "/v1/events", after=last)
    wait_for(lambda: stream.comments, bool, 2)
    stream.close()


@pytest.mark.skipif(SANITIZED, reason="16 seconds once are enough")
def test_a_quiet_stream_has_a_heartbeat(server):
    last = server.get("/v1/events?limit=1").json()["last_seq"]
    stream = Stream(server, "/v1/events", after=last)
    wait_for(lambda: len(stream.comments), lambda n: n >= 2, 18)
    stream.close()


def test_streams_have_a_limit_and_leave_room_for_the_rest(start):
    server = start("--max-streams", "3")
    streams = [Stream(server, "/v1/events") for _ in range(3)]
    reply = server.get("/v1/events", headers=STREAM)
    assert "--max-streams" in problem(reply, 429)["detail"]
    assert "Retry-After" in reply.headers
    assert server.get("/healthz").status_code == 200
    assert server.get("/v1/events").status_code == 200
    streams[0].close()
    # A client that left is noticed when something is written to it.
    server.dataset()
    server.dataset({"items": 4})
    wait_for(lambda: server.get("/v1/events", headers=STREAM, stream=True).status_code,
             lambda status: status == 200)
    for stream in streams:
        stream.close()


def test_a_reader_that_does_not_read_holds_nobody_up(server):
    sock = server.connect()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
    sock.sendall(b"GET /v1/events HTTP/1.1\r\nHost: localhost:%d\r\n"
                 b"Accept: text/event-stream\r\n\r\n" % server.port)
    last = server.get("/v1/events?limit=1").json()["last_seq"]
    other = Stream(server, "/v1/events", after=last)
    job = server.job({"steps": 200})
    other.wait(lambda es: any(e["type"] == "done" for e in es))
    sock.settimeout(5)
    text = b""
    while b'"type":"done","job":"%s"' % job["id"].encode() not in text:
        text += sock.recv(65536)
    sock.close()
    other.close()


def test_60_readers_get_the_same(server):
    last = server.get("/v1/events?limit=1").json()["last_seq"]
    streams = [Stream(server, "/v1/events", after=last) for _ in range(60)]
    begin = time.monotonic()
    server.job({"steps": 30, "delay": 0.005})
    for stream in streams:
        stream.wait(lambda es: any(e["type"] == "done" for e in es))
    expected = [e["seq"] for e in listed(server, "/v1/events") if e["seq"] > last]
    for stream in streams:
        assert seqs(stream.events) == expected
        stream.close()
    assert time.monotonic() - begin < 30


def test_head_of_a_stream_opens_none(start):
    server = start("--max-streams", "1")
    for _ in range(5):
        reply = server.request("HEAD", "/v1/events", headers=STREAM)
        assert reply.status_code == 200
        assert reply.headers["Content-Type"] == "text/event-stream"
