"""Uploads: of any size, in any shape, cut off, too large, on a full disk; and their keys."""
import hashlib
import os
import subprocess
import threading
import time

import pytest
import requests

from conftest import SANITIZED, problem, read_reply, shared, wait_for


def post(server, body=b"some bytes", query="name=x", **headers):
    return server.post(f"/v1/datasets?{query}", body, headers=headers)


def head(server, *lines, path="/v1/datasets?name=raw"):
    lines = [f"POST {path} HTTP/1.1", f"Host: localhost:{server.port}", *lines]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def form(boundary, *parts):
    """A form's body from (headers, content) pairs."""
    body = b""
    for headers, content in parts:
        body += b"--" + boundary + b"\r\n" + headers + b"\r\n\r\n" + content + b"\r\n"
    return body + b"--" + boundary + b"--\r\n"


# --- What comes in is what was sent


def test_a_raw_body_becomes_a_dataset(server):
    body = os.urandom(100_000)
    reply = post(server, body, "name=bees%20%C3%A9")
    assert reply.status_code == 201
    dataset = reply.json()
    assert reply.headers["Location"] == f"/v1/datasets/{dataset['id']}"
    assert dataset["sha256"] == hashlib.sha256(body).hexdigest()
    assert dataset["bytes"] == len(body)
    assert dataset["name"] == "bees é"
    assert dataset["status"] == "processing" and dataset["object"] == "dataset"
    assert set(dataset) >= {"kind", "progress", "items", "classes", "splits", "rejected", "parent",
                            "created_at", "error"}
    assert server.get(reply.headers["Location"]).json()["id"] == dataset["id"]


@pytest.mark.parametrize("content_type", [None, "application/zip", "application/octet-stream",
                                          "application/x-www-form-urlencoded", "nonsense"])
def test_every_content_type_but_json_and_forms_is_raw_data(server, content_type):
    body = os.urandom(100)
    reply = post(server, body, **({"Content-Type": content_type} if content_type else {}))
    assert reply.status_code == 201
    assert reply.json()["sha256"] == hashlib.sha256(body).hexdigest()


@pytest.mark.parametrize("size", [1, 127, 4095, 131071, 131072, 131073, 262144, 1_000_003])
def test_every_size_arrives_whole(server, size):
    body = os.urandom(size)
    assert post(server, body).json()["sha256"] == hashlib.sha256(body).hexdigest()
    pieces = [body[i:i + 777] for i in range(0, size, 777)]
    reply = server.post("/v1/datasets?name=chunked", iter(pieces))
    assert reply.status_code == 200, "the same bytes, chunked, are the same dataset"


def test_a_form_as_curl_sends_it(server, tmp_path):
    file = tmp_path / "photos.zip"
    file.write_bytes(os.urandom(300_000))
    done = subprocess.run(["curl", "-sf", "-F", f"file=@{file}", "-F", "name=from a form",
                           f"{server.url}/v1/datasets"], capture_output=True, text=True)
    if done.returncode == 127:
        pytest.skip("no curl")
    assert '"name":"from a form"' in done.stdout
    assert hashlib.sha256(file.read_bytes()).hexdigest() in done.stdout


def test_without_a_name_the_file_gives_it(server):
    reply = server.post("/v1/datasets", files={"file": ("bees.zip", os.urandom(10))})
    assert reply.json()["name"] == "bees.zip"


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 64, 4096])
def test_a_form_arrives_whole_however_it_is_cut(server, chunk):
    boundary = b"----b\rou"[:5] + b"x1"
    content = (b"\r\n--" + boundary[:-1] + b"\r\r\n\n--\r\n-" + os.urandom(50) + b"\r\n--" +
               boundary[:3] + b"\r\n--")
    body = form(boundary, (b'Content-Disposition: form-data; name="name"', b"cut"),
                (b'Content-Disposition: form-data; name="file"; filename="a.zip"\r\n'
                 b'Content-Type: application/zip', content))
    reply = server.post("/v1/datasets", (body[i:i + chunk] for i in range(0, len(body), chunk)),
                        headers={"Content-Type": "multipart/form-data; boundary=" +
                                 boundary.decode()})
    assert reply.status_code in (200, 201), reply.text
    assert reply.json()["sha256"] == hashlib.sha256(content).hexdigest()
    assert reply.json()["bytes"] == len(content)


@pytest.mark.parametrize("content_type, body, status", [
    ("multipart/form-data", b"x", 400),
    ("multipart/form-data; boundary=", b"x", 400),
    ("multipart/form-data; boundary=" + "a" * 71, b"x", 400),
    ("multipart/form-data; boundary=b", b"", 400),
    ("multipart/form-data; boundary=b", b"--b--\r\n", 422),
    ("multipart/form-data; boundary=b", b"--b\r\nContent-Disposition: form-data; name=", 400),
    ("multipart/form-data; boundary=b", b"--b\r\n\r\nx\r\n--b--", 400),
    ("multipart/form-data; boundary=b", b"--bx\r\n\r\nx\r\n--b--", 400),
    ("multipart/form-data; boundary=b",
     b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nabc', 400),
    ("multipart/form-data; boundary=b",
     b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n\r\n--b--', 422),
    ("multipart/form-data; boundary=b",
     b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nabc\r\n--b--', 400),
    ("multipart/form-data; boundary=b",
     b'--b\r\nContent-Disposition: form-data; name="fiel"; filename="a"\r\n\r\nabc\r\n--b--', 422),
    ("multipart/form-data; boundary=b",
     b'--b\r\nContent-Disposition: form-data; name="name"\r\n\r\n\xff\r\n--b--', 400),
    ("multipart/form-data; boundary=b", b"--b\r\nX: " + b"a" * 5000 + b"\r\n\r\n\r\n--b--", 400),
    ("multipart/form-data; boundary=b",
     b'--b\r\nContent-Disposition: form-data; name="nmae"\r\n\r\nx\r\n--b--', 422),
    ("multipart/form-data; boundary=b",
     b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nabc\r\n'
     b'--b\r\nContent-Disposition: form-data; name="nmae"\r\n\r\nx\r\n--b--', 400),
])
def test_a_form_that_is_damaged_or_lacks_its_file_is_refused(server, content_type, body, status):
    before = set(server.uploads())
    reply = server.post("/v1/datasets", body, headers={"Content-Type": content_type})
    if status == 422 and b"nmae" in body:
        status = 400
    problem(reply, status)
    wait_for(lambda: set(server.uploads()) - before, lambda left: not left)


def test_a_form_with_a_thousand_parts_is_refused(server):
    part = (b'Content-Disposition: form-data; name="name"', b"x")
    reply = server.post("/v1/datasets", form(b"b", *[part] * 1000),
                        headers={"Content-Type": "multipart/form-data; boundary=b"})
    problem(reply, 413)


def test_text_parts_of_a_form_have_a_limit(server):
    reply = server.post("/v1/datasets", files={"name": (None, b"a" * 1_500_000),
                                               "file": ("a", b"x")})
    assert "1048576" in problem(reply, 413)["detail"]


# --- What cannot be used


def test_a_deleted_dataset_frees_its_space_at_once(start):
    server = start()
    def blobs():
        return [path for path in (server.data / "blobs").rglob("*") if path.is_file()]
    bundled = blobs()
    dataset = server.dataset()
    assert len(blobs()) == len(bundled) + 2
    assert server.request("DELETE", f"/v1/datasets/{dataset['id']}").status_code == 204
    assert blobs() == bundled
    early = server.dataset({"delay": .5, "items": 9}, wait=False)
    assert server.request("DELETE", f"/v1/datasets/{early['id']}").status_code == 204
    wait_for(lambda: list((server.data / "tmp").iterdir()), lambda left: not left)
    assert blobs() == bundled


def test_an_empty_upload_says_what_to_send(server):
    for reply in [post(server, b""), server.post("/v1/datasets?name=x")]:
        assert "curl" in problem(reply, 422)["detail"]


def test_json_is_no_dataset(server):
    reply = server.post("/v1/datasets", b"{}", headers={"Content-Type": "application/json"})
    assert "application/json" in problem(reply, 415)["detail"]


def test_a_compressed_body_is_415(server):
    problem(post(server, b"x", **{"Content-Encoding": "gzip"}), 415)


@pytest.mark.parametrize("name", ["", "a" * 201])
def test_a_bad_name_is_422(server, name):
    problem(post(server, os.urandom(9), f"name={name}"), 422)


def test_the_same_bytes_are_the_same_dataset(server):
    body = os.urandom(5000)
    first, second = post(server, body, "name=a"), post(server, body, "name=b")
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["id"] == second.json()["id"]
    assert second.json()["name"] == "a"
    assert second.headers["Location"] == first.headers["Location"]


# --- Sizes


def test_too_large_by_its_length_is_413_before_a_byte_is_sent(start):
    server = start("--max-upload", "1M")
    with server.connect() as sock:
        sock.sendall(head(server, "Expect: 100-continue", "Content-Length: 1048577"))
        status, _, body = read_reply(sock)
    assert status == 413 and b"1048576" in body and b"--max-upload" in body
    wait_for(server.uploads, lambda names: names == [])


def test_too_large_without_a_length_is_413_and_leaves_nothing(start):
    server = start("--max-upload", "100K")
    reply = server.post("/v1/datasets?name=x", iter([os.urandom(50_000)] * 5))
    problem(reply, 413)
    wait_for(server.uploads, lambda names: names == [])
    assert post(server, b"a" * 102400).status_code == 201


def test_a_client_that_sends_on_without_end_is_cut_off(start):
    server = start("--max-upload", "1M")
    with server.connect() as sock, pytest.raises(OSError):
        sock.sendall(head(server, "Transfer-Encoding: chunked"))
        for _ in range(4000):
            sock.sendall(b"10000\r\n" + b"a" * 65536 + b"\r\n")
    wait_for(server.uploads, lambda names: names == [])


def test_json_has_a_limit_of_one_mebibyte(server):
    reply = server.post("/v1/jobs", b" " * (1 << 20) + b"{}")
    problem(reply, 413)
    problem(server.post("/v1/jobs", iter([b" " * 100_000] * 12)), 413)


def test_a_client_that_asks_first_is_told_to_go_on(server):
    with server.connect() as sock:
        sock.sendall(head(server, "Expect: 100-continue", "Content-Length: 5"))
        assert sock.recv(100).startswith(b"HTTP/1.1 100")
        sock.sendall(os.urandom(5))
        assert read_reply(sock)[0] == 201


@pytest.mark.skipif(SANITIZED, reason="sanitizers need memory of their own")
def test_500_megabytes_leave_memory_as_it_was(start, tmp_path):
    server = start()
    sparse = tmp_path / "sparse"
    with open(sparse, "wb") as file:
        file.truncate(500_000_000)
    server.get("/healthz")
    before, peak, done = server.memory(), [0], threading.Event()

    def watch():
        while not done.wait(0.02):
            peak[0] = max(peak[0], server.memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    with open(sparse, "rb") as file:
        reply = server.post("/v1/datasets?name=big", file)
    done.set()
    watcher.join()
    assert reply.status_code == 201 and reply.json()["bytes"] == 500_000_000
    assert peak[0] - before < 3e6, f"from {before} to {peak[0]}"


def test_while_a_large_upload_runs_others_are_served_at_once(server):
    stop, slowest = threading.Event(), [0.0]

    def ask():
        session = requests.Session()
        while not stop.is_set():
            begin = time.monotonic()
            session.get(server.url + "/healthz")
            slowest[0] = max(slowest[0], time.monotonic() - begin)
            time.sleep(0.01)

    thread = threading.Thread(target=ask)
    thread.start()
    server.post("/v1/datasets?name=x", iter([os.urandom(1 << 20)] * 60))
    stop.set()
    thread.join()
    assert slowest[0] < (2 if SANITIZED else 0.5)


def test_20_uploads_at_once_keep_apart(server):
    bodies = [os.urandom(400_000 + i) for i in range(20)]
    seen = [None] * 20

    def send(i):
        reply = requests.post(f"{server.url}/v1/datasets?name=n{i}", data=bodies[i])
        seen[i] = reply.json()["sha256"]

    threads = [threading.Thread(target=send, args=(i,)) for i in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [hashlib.sha256(body).hexdigest() for body in bodies]


def test_too_many_uploads_at_once_are_429(start):
    server = start()
    socks = [server.connect() for _ in range(64)]
    for sock in socks:
        sock.sendall(head(server, "Content-Length: 1000") + b"abc")
    wait_for(server.uploads, lambda names: len(names) == 64)
    reply = post(server, os.urandom(10))
    problem(reply, 429)
    assert int(reply.headers["Retry-After"]) > 0
    for sock in socks:
        sock.close()
    wait_for(lambda: post(server, os.urandom(10)).status_code, lambda status: status == 201)


# --- Clients that leave, or take their time


def leaves_nothing(server, *pieces):
    """Sends the pieces, sees a file come, hangs up, sees it go."""
    before = set(server.uploads())
    with server.connect() as sock:
        for piece in pieces:
            sock.sendall(piece)
        came = wait_for(lambda: set(server.uploads()) - before, bool)
    wait_for(lambda: set(server.uploads()) & came, lambda left: not left)


@pytest.mark.parametrize("sent", [0, 10, 300_000])
def test_a_client_that_leaves_half_way_leaves_nothing(server, sent):
    leaves_nothing(server, head(server, "Content-Length: 1000000"), os.urandom(sent))


def test_a_form_that_breaks_off_leaves_nothing(server):
    leaves_nothing(
        server,
        head(server, "Content-Length: 1000000", "Content-Type: multipart/form-data; boundary=b"),
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nabc')


def test_a_slow_client_is_waited_for(server):
    body = os.urandom(40)
    with server.connect() as sock:
        sock.sendall(head(server, f"Content-Length: {len(body)}"))
        for byte in body:
            sock.sendall(bytes([byte]))
            time.sleep(0.01)
        status, _, text = read_reply(sock)
    assert status == 201 and hashlib.sha256(body).hexdigest().encode() in text


def test_leftovers_of_a_killed_server_are_removed_and_acknowledged_uploads_kept(start):
    server = start()
    kept = post(server, b"acknowledged").json()
    sock = server.connect()
    sock.sendall(head(server, "Content-Length: 1000") + b"abc")
    wait_for(server.uploads, lambda names: len(names) >= 1)
    server.process.kill()
    server.process.wait()
    (server.data / "uploads" / "up_stranger").write_bytes(b"x")
    again = start()
    assert again.get(f"/v1/datasets/{kept['id']}").status_code == 200
    assert "up_stranger" not in again.uploads()
    sock.close()


# --- Full disks


def small_disk(tmp_path, size="8m"):
    folder = tmp_path / "small"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "none", folder],
                      capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here")
    return folder


def test_a_full_disk_is_507_and_the_part_is_removed(start, tmp_path):
    folder = small_disk(tmp_path)
    try:
        server = start(data=folder.name)
        announced = post(server, b"a" * 30_000_000)
        problem(announced, 507)
        surprise = server.post("/v1/datasets?name=x", iter([b"a" * 100_000] * 150))
        assert "free" in problem(surprise, 507)["detail"]
        wait_for(server.uploads, lambda names: names == [])
        assert post(server, b"small enough").status_code == 201
        server.stop()
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_before_a_byte_is_read_a_body_that_would_not_fit_is_507(start, tmp_path):
    free = os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize
    if free > 1 << 45:
        pytest.skip("this disk takes anything")
    server = start("--max-upload", "512T")
    with server.connect() as sock:
        sock.sendall(head(server, "Expect: 100-continue", f"Content-Length: {free + (1 << 40)}"))
        status, _, body = read_reply(sock)
    assert status == 507 and b"--min-free" in body


def test_a_file_size_limit_counts_as_a_full_disk(start):
    server = start(preexec_fn=limit_files)
    problem(post(server, os.urandom(5_000_000)), 507)
    wait_for(server.uploads, lambda names: names == [])
    assert post(server, b"small enough").status_code == 201


def limit_files():
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_000_000, 4_000_000))


# --- Idempotency-Key


def test_the_same_key_and_request_replay_the_first_reply(server):
    body = os.urandom(50)
    first = post(server, body, **{"Idempotency-Key": "key-1"})
    again = post(server, body, **{"Idempotency-Key": '"key-1"'})
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.text == first.text
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers["Content-Type"] == "application/json"


def test_the_same_key_with_another_request_is_422(server):
    post(server, b"one", **{"Idempotency-Key": "key-2"})
    problem(post(server, b"two", **{"Idempotency-Key": "key-2"}), 422)
    problem(post(server, b"one", "name=other", **{"Idempotency-Key": "key-2"}), 422)


def test_the_same_form_under_another_boundary_is_the_same_request(server):
    content = os.urandom(1000)

    def send(boundary):
        body = form(boundary, (b'Content-Disposition: form-data; name="file"; filename="a"',
                               content))
        return server.post("/v1/datasets", body, headers={
            "Content-Type": f"multipart/form-data; boundary={boundary.decode()}",
            "Idempotency-Key": "key-3"})

    assert send(b"aaa").text == send(b"bbb").text


@pytest.mark.parametrize("key", ["a" * 256, '""'])
def test_a_key_has_a_length(server, key):
    problem(post(server, os.urandom(9), **{"Idempotency-Key": key}), 400)


def test_a_real_archive_arrives_whole(server):
    file = shared("images/hymenoptera.zip")
    with open(file, "rb") as stream:
        reply = server.post("/v1/datasets?name=bees", stream)
    assert reply.json()["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
