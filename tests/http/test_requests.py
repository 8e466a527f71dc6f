"""What holds for every route: errors, methods, ids, conditions, and who may ask at all."""
import json
import re
import time

import pytest

from conftest import problem, wait_for


def test_healthz_answers(server):
    reply = server.get("/healthz")
    assert reply.status_code == 200 and reply.json() == {"status": "ok"}


def test_version_names_server_and_libraries(server):
    version = server.get("/version").json()
    assert re.match(r"\d+\.\d+\.\d+$", version["version"])
    assert version["libraries"]["libmicrohttpd"]
    assert version["engine"]["version"]


def test_every_get_has_its_head(server):
    for path in ["/healthz", "/", "/v1/jobs", "/v1/models/resnet34", "/nothing"]:
        get, head = server.get(path), server.request("HEAD", path)
        assert head.status_code == get.status_code
        assert head.content == b""
        assert head.headers["Content-Type"] == get.headers["Content-Type"]
        assert abs(int(head.headers["Content-Length"]) - len(get.content)) < 5


def test_an_unknown_path_is_404(server):
    assert "/v1/dataset" in problem(server.get("/v1/dataset"), 404)["detail"]
    assert "did you mean /v1/datasets?" in problem(server.get("/v1/dataset"), 404)["detail"]
    assert "mean /v1/jobs/a/events?" in problem(server.get("/v1/jobs/a/evnts"), 404)["detail"]
    assert "did you mean /v1/jobs?" in problem(server.get("/jobs"), 404)["detail"]
    problem(server.get("/v1/jobs/"), 404)
    problem(server.get("/v1//jobs"), 404)
    problem(server.get("/v1/jobs/job_1/nothing"), 404)


@pytest.mark.parametrize("path, allow", [
    ("/healthz", {"GET", "HEAD"}),
    ("/v1/jobs", {"GET", "HEAD", "POST"}),
    ("/v1/datasets/ds_1", {"GET", "HEAD", "DELETE"}),
    ("/v1/jobs/job_1/cancel", {"POST"}),
])
def test_a_wrong_method_is_405_with_allow(server, path, allow):
    for method in {"PUT", "PATCH", "OPTIONS", "BREW", "DELETE", "POST"} - allow:
        reply = server.request(method, path)
        problem(reply, 405)
        assert set(reply.headers["Allow"].split(", ")) == allow


@pytest.mark.parametrize("path, word", [
    ("/v1/jobs?staus=queued", "status"),
    ("/v1/jobs?lmit=3", "limit"),
    ("/healthz?x=1", "takes none"),
    ("/v1/jobs?limit=1&limit=2", "twice"),
])
def test_an_unknown_parameter_is_400_and_names_the_nearest(server, path, word):
    assert word in problem(server.get(path), 400)["detail"]


@pytest.mark.parametrize("limit", ["0", "101", "-1", "x", "", "1e1", "99999999999999999999"])
def test_a_limit_out_of_range_is_422(server, limit):
    assert "1 to 100" in problem(server.get(f"/v1/jobs?limit={limit}"), 422)["detail"]


def test_an_id_in_a_path_that_is_unknown_is_404(server):
    for path in ["/v1/jobs/job_x", "/v1/datasets/ds_x", "/v1/models/mdl_x",
                 "/v1/jobs/job_x/events", "/v1/jobs/job_x/metrics", "/v1/jobs/job_x/checkpoints",
                 "/v1/checkpoints/ckpt_x/weights", "/v1/models/x/weights"]:
        problem(server.get(path), 404)
    for path in ["/v1/jobs/job_x/cancel", "/v1/jobs/job_x/pause", "/v1/jobs/job_x/resume"]:
        problem(server.post(path), 404)
    for path in ["/v1/jobs/job_x", "/v1/datasets/ds_x", "/v1/models/mdl_x"]:
        problem(server.request("DELETE", path), 404)


# --- Request ids and the log


def test_a_well_formed_request_id_is_kept_and_any_other_replaced(server):
    def ask(value):
        return server.get("/healthz", headers={"X-Request-Id": value}).headers["X-Request-Id"]

    assert ask("abc-123_X.y") == "abc-123_X.y"
    assert ask("a" * 64) == "a" * 64
    for bad in ["a" * 65, "a b", "a/b", 'a"b', "a=b", "caf\xe9".encode("latin-1")]:
        assert re.fullmatch(r"req_[0-9a-z]{24}", ask(bad))


def test_the_log_has_a_line_a_request_without_its_query(server):
    server.get("/v1/jobs?limit=7&status=queued", headers={"X-Request-Id": "log-me"})
    wait_for(lambda: server.log, lambda log: "id=log-me" in log)
    lines = [line for line in server.log.splitlines() if "id=log-me" in line]
    assert len(lines) == 1
    assert "method=GET" in lines[0] and "path=/v1/jobs" in lines[0] and "status=200" in lines[0]
    assert "limit" not in lines[0] and "queued" not in lines[0]


def test_nothing_that_a_client_sends_forges_a_line_of_the_log(server):
    server.raw(b"GET /x%0a2026-01-01T00:00:00.000Z%20info%20forged HTTP/1.1\r\nHost: localhost:%d"
               b"\r\nX-Request-Id: forge\r\n\r\n".replace(b"%d", b"%d" % server.port))
    server.get("/\u2028\u0085forged")
    time.sleep(0.1)
    for line in server.log.rstrip("\n").split("\n"):
        assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (error|warn|info|debug) ", line)
        assert not line.startswith("2026-01-01")


# --- Conditions


def test_an_unchanged_document_is_304(server):
    reply = server.get("/v1/models/resnet34")
    tag = reply.headers["ETag"]
    for known in [tag, f"W/{tag}", f'"other", {tag}', "*"]:
        again = server.get("/v1/models/resnet34", headers={"If-None-Match": known})
        assert again.status_code == 304 and again.content == b""
        assert again.headers["ETag"] == tag
    for known in ['"other"', tag.strip('"'), ""]:
        again = server.get("/v1/models/resnet34", headers={"If-None-Match": known})
        assert again.status_code == 200


# --- Pages of other sites


@pytest.mark.parametrize("host", ["localhost:{port}", "127.0.0.1:{port}", "[::1]:{port}",
                                  "LOCALHOST:{port}"])
def test_our_own_names_are_served(server, host):
    host = host.format(port=server.port)
    assert server.get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "localhost",
                                  "localhost:1", "127.0.0.1", "localhost.evil.example:{port}",
                                  "127.0.0.1.evil.example:{port}", "localhost:{port}0",
                                  "[::1:{port}", "localhost:{port}:{port}", ":{port}",
                                  "user@localhost:{port}", "localhost:{port}/"])
def test_a_foreign_host_is_403(server, host):
    host = host.format(port=server.port)
    problem(server.get("/healthz", headers={"Host": host}), 403)


def test_a_name_may_be_allowed(start):
    server = start("--allowed-host", "thaw.example,proxy.example:8443")
    for host, status in [("thaw.example", 200), ("thaw.example:80", 200), ("proxy.example", 403),
                         ("proxy.example:8443", 200), ("sub.thaw.example", 403)]:
        assert server.get("/healthz", headers={"Host": host}).status_code == status, host
    reply = server.get("/healthz", headers={"Host": "thaw.example",
                                            "Origin": "https://thaw.example"})
    assert reply.status_code == 200


@pytest.mark.parametrize("origin", ["null", "http://evil.example", "http://localhost",
                                    "http://localhost:1", "https://evil.example", "file://", "x"])
def test_a_foreign_origin_is_403(server, origin):
    problem(server.post("/v1/jobs", b"{}", headers={"Origin": origin}), 403)


def test_our_own_origin_is_served(server):
    reply = server.get("/healthz", headers={"Origin": server.url, "Sec-Fetch-Site": "same-origin"})
    assert reply.status_code == 200
    assert not [name for name in reply.headers if name.lower().startswith("access-control")]


def test_localhost_and_its_number_are_different_origins(server):
    reply = server.get("/healthz", headers={"Origin": f"http://localhost:{server.port}"})
    problem(reply, 403)


@pytest.mark.parametrize("site, status", [("same-origin", 200), ("none", 200), ("cross-site", 403),
                                          ("same-site", 403), ("", 403)])
def test_only_our_own_pages_may_ask(server, site, status):
    reply = server.get("/healthz", headers={"Sec-Fetch-Site": site})
    assert reply.status_code == status


def test_a_foreign_page_is_refused_before_its_body_is_read(server):
    with server.connect() as sock:
        sock.sendall(b"POST /v1/datasets HTTP/1.1\r\nHost: localhost:%d\r\nOrigin: http://evil\r\n"
                     b"Expect: 100-continue\r\nContent-Length: 50000000\r\n\r\n" % server.port)
        assert sock.recv(4096).startswith(b"HTTP/1.1 403")


def test_a_request_without_a_host_is_refused(server):
    status, _, _ = server.raw(b"GET /healthz HTTP/1.1\r\n\r\n")
    assert status == 400


# --- Hostile requests


@pytest.mark.parametrize("target", ["/v1/jobs/%00", "/v1/jobs/%", "/v1/jobs/%zz", "/v1/jobs/a%2fb",
                                    "/v1/jobs/%0a", "/%ff", "/v1/jobs?limit=%00", "/v1/jobs?%ff=1",
                                    "/v1/jobs?a=%1", "/%c0%af"])
def test_a_target_that_is_no_clean_text_is_400(server, target):
    status, headers, body = server.raw(
        f"GET {target} HTTP/1.1\r\nHost: localhost:{server.port}\r\n\r\n".encode())
    assert status == 400
    assert headers["content-type"] == "application/problem+json"
    assert json.loads(body)["detail"]


@pytest.mark.parametrize("target", ["/v1/models/../jobs", "/v1/models/..%2e", "//etc/passwd",
                                    "/js/..", "/js/.", "/js/%2e%2e", "/.", "/v1/models/%2e"])
def test_dots_in_a_path_mean_nothing(server, target):
    status, _, body = server.raw(
        f"GET {target} HTTP/1.1\r\nHost: localhost:{server.port}\r\n\r\n".encode())
    assert status == 404, body


def test_too_many_parameters_are_400(server):
    problem(server.get("/v1/jobs?" + "&".join(f"a{i}=1" for i in range(40))), 400)


def test_headers_up_to_8_kilobytes_pass_and_megabytes_do_not(server):
    assert server.get("/healthz", headers={"X-Long": "a" * 8192}).status_code == 200
    reply = server.get("/healthz", headers={"X-Long": "a" * 200000})
    assert reply.status_code in (400, 413, 431)
    assert server.get("/healthz").status_code == 200


def test_a_long_target_is_refused(server):
    assert server.get("/" + "a" * 100000).status_code in (400, 404, 414, 431)
    assert server.get("/healthz").status_code == 200


def test_a_header_that_decides_and_is_there_twice_is_400(server):
    status, _, body = server.raw(b"GET /healthz HTTP/1.1\r\nHost: localhost:%d\r\n"
                                 b"Host: evil\r\n\r\n" % server.port)
    assert status in (400, 403), body


@pytest.mark.parametrize("junk", [
    b"\x00" * 100, b"GET\r\n\r\n", b"\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost\r\n\r\n", b"A" * 70000])
def test_junk_harms_nobody(server, junk):
    with server.connect() as sock:
        sock.sendall(junk)
        sock.settimeout(0.2)
        try:
            sock.recv(4096)
        except OSError:
            pass
    assert server.get("/healthz").status_code == 200


@pytest.mark.parametrize("length", ["-1", "abc", "1, 2", "99999999999999999999999", "0x10"])
def test_a_bad_content_length_is_refused(server, length):
    status, _, _ = server.raw(f"POST /v1/jobs HTTP/1.1\r\nHost: localhost:{server.port}\r\n"
                              f"Content-Length: {length}\r\n\r\n".encode())
    assert status in (400, 413)
    assert server.get("/healthz").status_code == 200


@pytest.mark.parametrize("headers", [
    "Transfer-Encoding: chunked\r\nContent-Length: 5", "Transfer-Encoding: gzip",
    "Transfer-Encoding: gzip, chunked", "Content-Length : 5", "Transfer-Encoding : chunked",
    "Content-Length: 5\r\nContent-Length: 6", "Host : evil"])
def test_a_request_that_a_proxy_might_read_otherwise_is_refused(server, headers):
    status, _, _ = server.raw(f"POST /v1/jobs HTTP/1.1\r\nHost: localhost:{server.port}\r\n"
                              f"{headers}\r\n\r\n0\r\n\r\n".encode())
    assert status == 400
    assert server.get("/healthz").status_code == 200


def test_every_reply_tells_browsers_to_trust_nothing(server):
    for path in ["/healthz", "/v1/jobs", "/nothing"]:
        headers = server.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "sandbox" in headers["Content-Security-Policy"]
        assert headers["X-Request-Id"]


def test_slow_headers_keep_nobody_waiting(server):
    slow = [server.connect() for _ in range(20)]
    for sock in slow:
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHo")
    start = time.monotonic()
    assert server.get("/healthz").status_code == 200
    assert time.monotonic() - start < 1
    for sock in slow:
        sock.close()
