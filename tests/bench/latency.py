#!/usr/bin/python3
"""Does the API stay quick while a job trains on every core?

Starts a thawd, submits a job that trains on all cores, and asks /healthz 1000 times, ten times a
second, each over a connection of its own. Prints p50, p99 and the worst, and thawd's memory before
the first request of all. Ends with 1 when p99 is 50 ms or more, or an idle thawd takes 15 MB.
"""
import argparse
import http.client
import sys
import time
import urllib.parse

import live

P99_SECONDS, IDLE_BYTES = .050, 15e6


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default=live.BUILD)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=10, help="requests a second")
    parser.add_argument("--model", default="thaw-small")
    return parser.parse_args()


def start_training(server, model):
    """A job that goes on for longer than we measure; returns once it takes steps."""
    dataset = server.upload(server.draw("a", size=64, classes=4, per_class=200, valid=20, seed=1))
    job = server.submit({"dataset": dataset["id"], "model": model, "weights": "random",
                         "batch_size": 32, "image": {"size": 128},
                         "stages": [{"freeze_to": 0, "epochs": 5000, "lr": 1e-3}]})
    while not (server.job(job["id"])["progress"] or {}).get("step"):
        if server.job(job["id"])["status"] in live.TERMINAL:
            raise live.Refused(f"The job ended: {server.job(job['id'])['error']}")
        time.sleep(.1)
    return job["id"]


def ask(address):
    start = time.perf_counter()
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=10)
    connection.request("GET", "/healthz")
    status = connection.getresponse().status
    connection.close()
    if status != 200:
        raise live.Refused(f"/healthz answered {status}.")
    return time.perf_counter() - start


def measure(url, requests, rate):
    address, times = urllib.parse.urlparse(url), []
    begin = time.perf_counter()
    for i in range(requests):
        time.sleep(max(0, begin + i / rate - time.perf_counter()))
        times.append(ask(address))
    return sorted(times)


def main():
    options = parse()
    with live.Thawd(options.build) as server:
        time.sleep(1)
        idle = server.resident_bytes()
        job = start_training(server, options.model)
        times = measure(server.url, options.requests, options.rate)
        status = server.job(job)["status"]
        server.call("POST", f"/v1/jobs/{job}/cancel")
        if status != "running":
            raise live.Refused(f"The job was {status} at the end: nothing was measured.")
    p50, p99 = (times[min(len(times) - 1, int(q * len(times)))] for q in (.5, .99))
    print(f"{len(times)} x GET /healthz while a job trains: p50 {p50 * 1e3:.1f} ms, "
          f"p99 {p99 * 1e3:.1f} ms, worst {times[-1] * 1e3:.1f} ms; idle thawd {idle / 1e6:.1f} MB")
    return 0 if p99 < P99_SECONDS and idle < IDLE_BYTES else 1


if __name__ == "__main__":
    sys.exit(main())
