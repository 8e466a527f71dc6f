"""How thawd starts, what it refuses to start with, and how it ends."""
import os
import signal
import socket
import subprocess
import sys

import pytest

from conftest import SANITIZED, SCRIPTED, THAWD, Server, wait_for


def refuse(*flags, code=1, env=None, **arguments):
    """Runs thawd with flags that it has to refuse; returns its sentence."""
    done = subprocess.run([THAWD, *flags], capture_output=True, text=True, timeout=20,
                          env={**os.environ, **(env or {})}, **arguments)
    assert done.returncode == code, done
    lines = done.stderr.strip().splitlines()
    assert lines[-1].startswith("thawd: ") and lines[-1].endswith((".", "?", ")", "d", "y")), lines
    return lines[-1]


@pytest.mark.parametrize("flags, words", [
    (["--listn", "x"], ["--listn", "did you mean --listen"]),
    (["--zzz"], ["--zzz", "--help"]),
    (["--listen"], ["--listen", "ADDRESS:PORT"]),
    (["--listen", "8080"], ["--listen", '"8080"', "127.0.0.1:8080"]),
    (["--listen", "example.com:80"], ["example.com:80", "address in numbers"]),
    (["--listen", "127.0.0.1:65536"], ["65536", "0 to 65535"]),
    (["--max-jobs", "0"], ["--max-jobs", '"0"', "1 to 64"]),
    (["--max-jobs", "two"], ["--max-jobs", '"two"']),
    (["--max-upload", "12X"], ["--max-upload", "12X"]),
    (["--max-upload", "99999999999T"], ["--max-upload", "99999999999T"]),
    (["--log-level", "loud"], ["--log-level", "error|warn|info|debug"]),
    (["--sandbox", "aut"], ["--sandbox", "auto|require|off"]),
    (["--insecure=perhaps"], ["--insecure", "perhaps"]),
    (["--max-streams", "1024"], ["--max-streams", "--max-connections"]),
    (["--data", ""], ["--data"]),
])
def test_a_bad_flag_is_named_with_its_value_and_what_it_takes(flags, words):
    sentence = refuse(*flags)
    for word in words:
        assert word in sentence


def test_an_environment_variable_counts_and_is_named_when_it_is_wrong():
    assert "THAW_MAX_JOBS" in refuse(env={"THAW_MAX_JOBS": "many"})


def test_a_flag_wins_over_the_environment(tmp_path, start):
    server = start("--log-level", "debug", env={**os.environ, "THAW_LOG_LEVEL": "error"})
    server.get("/healthz")
    wait_for(lambda: server.log, lambda log: "path=/healthz" in log)


def test_help_lists_every_setting_with_default_and_variable():
    text = subprocess.run([THAWD, "--help"], capture_output=True, text=True, check=True).stdout
    for word in ["--listen", "--data", "--max-upload", "--allowed-host", "THAW_LISTEN",
                 "THAW_MAX_JOBS", "127.0.0.1:8080", "from 1 to 64"]:
        assert word in text


def test_version_is_one_line():
    done = subprocess.run([THAWD, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("thawd ") and done.stdout.count("\n") == 1


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0"])
def test_an_address_that_others_reach_is_refused_without_insecure(address, tmp_path):
    sentence = refuse("--listen", address, "--data", str(tmp_path / "d"))
    assert "--insecure" in sentence and address in sentence


def test_a_port_in_use_is_one_clear_sentence(tmp_path):
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        sentence = refuse("--listen", f"127.0.0.1:{port}", "--data", str(tmp_path / "d"),
                          "--engine", str(SCRIPTED))
    assert str(port) in sentence and "in use" in sentence
    assert not (tmp_path / "d").exists()


def test_a_data_directory_that_is_a_file_is_called_one(tmp_path):
    (tmp_path / "file").write_text("x")
    sentence = refuse("--listen", "127.0.0.1:0", "--data", str(tmp_path / "file"), "--engine",
                      str(SCRIPTED))
    assert f"{tmp_path / 'file'} is a file" in sentence


def test_a_data_directory_of_a_running_server_is_refused(start):
    server = start()
    sentence = refuse("--listen", "127.0.0.1:0", "--data", str(server.data), "--engine",
                      str(SCRIPTED))
    assert str(server.data) in sentence and "running server" in sentence
    assert server.get("/healthz").status_code == 200


def test_a_data_directory_that_others_may_write_is_refused(tmp_path):
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    sentence = refuse("--listen", "127.0.0.1:0", "--data", str(folder), "--engine", str(SCRIPTED))
    assert str(folder) in sentence and "chmod 700" in sentence


def test_a_data_directory_that_cannot_be_written_is_refused(tmp_path):
    if os.geteuid() == 0:
        target = "/proc/thaw-data"  # root may write anywhere else
    else:
        (tmp_path / "ro").mkdir(mode=0o500)
        target = str(tmp_path / "ro" / "data")
    assert target in refuse("--listen", "127.0.0.1:0", "--data", target, "--engine", str(SCRIPTED))


def test_a_missing_engine_is_refused(tmp_path):
    sentence = refuse("--listen", "127.0.0.1:0", "--data", str(tmp_path / "d"), "--engine",
                      "/nowhere/thaw-engine")
    assert "/nowhere/thaw-engine" in sentence


def test_nothing_in_the_data_directory_is_readable_by_others(start):
    server = start(umask=0)
    server.post("/v1/datasets?name=x", b"abc")
    for path in [server.data, *server.data.rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_with_open_streams_and_idle_connections(start, number):
    server = start()
    stream = server.get("/v1/events", headers={"Accept": "text/event-stream"}, stream=True)
    idle = server.connect()
    half = server.connect()
    half.sendall(b"POST /v1/datasets HTTP/1.1\r\nHost: localhost:%d\r\nContent-Length: 1000\r\n\r\n"
                 b"abc" % server.port)
    wait_for(server.uploads, lambda names: len(names) == 1)
    assert server.stop(number) == 0
    assert server.uploads() == []
    assert b"".join(stream.iter_content(1000)).startswith(b":")
    idle.close()
    half.close()


def test_it_listens_on_ipv6_too(tmp_path):
    if not os.path.exists("/proc/net/if_inet6"):
        pytest.skip("this machine has no IPv6")
    process = subprocess.Popen([THAWD, "--listen", "[::1]:0", "--data", str(tmp_path / "d"),
                                "--engine", str(SCRIPTED)], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    line = process.stdout.readline()
    if not line:
        pytest.skip(f"no IPv6 loopback: {process.communicate()[1]}")
    assert line.startswith("listening on http://[::1]:")
    with socket.create_connection(("::1", int(line.rsplit(":", 1)[1]))) as sock:
        host = line.split("//")[1].strip().encode()
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")
        assert sock.recv(100).startswith(b"HTTP/1.1 200")
    process.terminate()
    process.communicate(timeout=20)
    assert process.returncode == 0


@pytest.mark.skipif(SANITIZED, reason="sanitizers need memory of their own")
def test_idle_it_takes_less_than_15_megabytes(start):
    server = start()
    for path in ["/healthz", "/v1/jobs", "/v1/models", "/version"]:
        server.get(path)
    assert server.memory() < 15e6
    print(f"VmRSS {server.memory() / 1e6:.1f} MB, RssAnon {server.memory('RssAnon') / 1e6:.1f} MB",
          file=sys.stderr)
