#!/usr/bin/env python3
"""Builds and runs every test, and ends with one line: N passed, N failed.

    run_tests.py [--build DIR] [--san SANITIZERS]

Unit tests run as they are and under AddressSanitizer and UBSan, those of code with threads under
ThreadSanitizer too; then the tests over HTTP, of the documentation and of the editor's view. With
--san, everything runs once, built with these sanitizers."""
import argparse
import concurrent.futures
import fnmatch
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[2]
UNIT = ROOT / "tests/unit"
PYTEST_FOLDERS = ["tests/http", "tests/weights", "tests/export", "tests/reports", "tests/text",
                  "tests/docs", "tests/clangd"]
TIMEOUT = 300  # seconds; of one unit test program, and of one test of pytest
# libgomp is not instrumented, so that ThreadSanitizer reports races in correct OpenMP code: it runs
# what has threads of its own and no OpenMP.
THREADED = ["base/*", "store/*", "api/*", "server/*", "engine/data/test_loader*"]

ENVIRONMENT = {
    "ASAN_OPTIONS": "allocator_may_return_null=1:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=1",
    "OMP_WAIT_POLICY": "passive",
    "PYTHONDONTWRITEBYTECODE": "1",
}


class Totals:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.failures = []

    def add(self, passed, failed, skipped, failures):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped
        self.failures += failures


def environment(san=""):
    return {**os.environ, **ENVIRONMENT, "CMOCKA_MESSAGE_OUTPUT": "TAP", "SAN": san}


def out_folder(build, san):
    return build / san.replace(",", "-") if san else build


def unit_tests():
    """Names below OUT/unit: those of tests/unit, and the fuzz targets over their corpus."""
    units = sorted(str(p.relative_to(UNIT).with_suffix("")) for p in UNIT.glob("**/test_*.c"))
    return units + sorted(f"fuzz/{p.stem[5:]}" for p in (ROOT / "tests/fuzz").glob("fuzz_*.c"))


def build_goals(build, san, goals):
    """Builds what can be built: what cannot is counted where it is missed. False if any failed."""
    command = ["make", "-k", "-j2", f"B={build}", f"SAN={san}", *goals]
    done = subprocess.run(command, cwd=ROOT, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    if done.returncode:
        noise = re.compile(r"^  (CC|LINK) ")
        print("\n".join(line for line in done.stdout.splitlines() if not noise.match(line)))
    return done.returncode == 0


def read_tap(output):
    """Results of cmocka's TAP: (planned, passed, skipped, names of failed)."""
    planned = sum(int(n) for n in re.findall(r"^1\.\.(\d+)", output, re.M))
    skipped = len(re.findall(r"^(?:not )?ok \d+ # SKIP", output, re.M))
    passed = len(re.findall(r"^ok \d+ - ", output, re.M))
    return planned, passed, skipped, re.findall(r"^not ok \d+ - (.*)$", output, re.M)


def run_bounded(command, env):
    """Output and exit status; after TIMEOUT, the command and all that it started are killed."""
    process = subprocess.Popen(command, cwd=ROOT, env=env, text=True, errors="replace",
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, start_new_session=True)
    try:
        output, _ = process.communicate(timeout=TIMEOUT)
        return output, process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        return f"{output}\nstill running after {TIMEOUT} s", 1


def run_unit(build, san, name):
    """One test program. Every planned test that did not pass has failed, crashes included."""
    program = out_folder(build, san) / "unit" / name
    start = time.monotonic()
    try:
        output, code = run_bounded([str(program)], environment(san))
    except FileNotFoundError:
        output, code = "it was not built", 1
    planned, passed, skipped, failed = read_tap(output)
    lost = planned - passed - skipped - len(failed)
    if code and not failed and lost <= 0:
        failed, lost = ["the program as a whole"], 0  # a leak or race found at its end
    failed += ["(not reached)"] * max(lost, 0)
    return name, passed, skipped, failed, output, time.monotonic() - start


def run_units(build, san, names, totals):
    title = f"unit tests{', ' + san if san else ''}"
    print(f"--- {title}", flush=True)
    build_goals(build, san, [str(out_folder(build, san) / "unit" / name) for name in names])
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        for result in pool.map(lambda name: run_unit(build, san, name), names):
            name, passed, skipped, failed, output, seconds = result
            verdict = "FAIL" if failed else "ok"
            print(f"{verdict:4} {name}: {passed} passed"
                  f"{f', {len(failed)} failed' if failed else ''}"
                  f"{f', {skipped} skipped' if skipped else ''} ({seconds:.1f} s)", flush=True)
            if failed:
                print(output[-20000:])
            totals.add(passed, len(failed), skipped,
                       [f"{name}{' (' + san + ')' if san else ''}: {test}" for test in failed])


def pytest_jobs():
    """What one pytest runs: each file of the tests over HTTP, which wait more than they compute, so
    that two at a time cost little more than one; the other folders whole."""
    folders = [folder for folder in PYTEST_FOLDERS if (ROOT / folder).is_dir()]
    http = sorted(str(p.relative_to(ROOT)) for p in (ROOT / "tests/http").glob("test_*.py"))
    return http + [folder for folder in folders if folder != "tests/http"]


def read_report(report):
    """(passed, failed, skipped, names of failed) of a junit file."""
    passed, failed, skipped, names = 0, 0, 0, []
    for suite in xml.etree.ElementTree.parse(report).getroot().iter("testsuite"):
        wrong = int(suite.get("failures")) + int(suite.get("errors"))
        failed, skipped = failed + wrong, skipped + int(suite.get("skipped"))
        passed += int(suite.get("tests")) - int(suite.get("skipped")) - wrong
        names += [f"{case.get('classname')}: {case.get('name')}" for case in suite.iter("testcase")
                  if case.find("failure") is not None or case.find("error") is not None]
    return passed, failed, skipped, names


def seconds_before(report):
    """What the job took the last time, if there was one: the longest begin first."""
    try:
        return -float(next(xml.etree.ElementTree.parse(report).iter("testsuite")).get("time"))
    except (OSError, StopIteration, xml.etree.ElementTree.ParseError):
        return 0.


def run_pytest_job(job, out, san):
    report = out / "pytest" / (job.replace("/", "-") + ".xml")
    report.unlink(missing_ok=True)
    env = {**environment(san), "THAW_BUILD": str(out)}
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
                           f"--timeout={TIMEOUT}", "--durations=3", f"--junitxml={report}", job],
                          cwd=ROOT, env=env, text=True, errors="replace", stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    result = read_report(report) if report.is_file() else (0, 1, 0, [f"{job}: pytest did not run"])
    return job, result, done.stdout, time.monotonic() - start


def run_pytest(build, san, totals):
    print(f"--- {', '.join(PYTEST_FOLDERS)}", flush=True)
    out = out_folder(build, san)
    if not build_goals(build, san, ["all", "tools", "oracle-programs"]):
        totals.add(0, 1, 0, ["thawd, thaw-engine or a tool was not built"])
    (out / "pytest").mkdir(parents=True, exist_ok=True)
    jobs = sorted(pytest_jobs(), key=lambda job: seconds_before(
        out / "pytest" / (job.replace("/", "-") + ".xml")))
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        for job, result, output, seconds in pool.map(lambda j: run_pytest_job(j, out, san), jobs):
            passed, failed, skipped, _ = result
            print(f"{'FAIL' if failed else 'ok':4} {job}: {passed} passed"
                  f"{f', {failed} failed' if failed else ''}"
                  f"{f', {skipped} skipped' if skipped else ''} ({seconds:.1f} s)", flush=True)
            if failed or not passed + skipped:
                print(output[-20000:])
            totals.add(*result)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--san", default="")
    arguments = parser.parse_args()
    build, totals, names = arguments.build.resolve(), Totals(), unit_tests()
    if arguments.san:
        threaded = arguments.san == "thread"
        wanted = [n for n in names if not threaded or any(fnmatch.fnmatch(n, t) for t in THREADED)]
        run_units(build, arguments.san, wanted, totals)
    else:
        run_units(build, "", names, totals)
        run_units(build, "address,undefined", names, totals)
        run_units(build, "thread",
                  [n for n in names if any(fnmatch.fnmatch(n, t) for t in THREADED)], totals)
    run_pytest(build, arguments.san, totals)
    for failure in totals.failures:
        print(f"failed: {failure}")
    if totals.skipped:
        print(f"{totals.skipped} skipped")
    print(f"{totals.passed} passed, {totals.failed} failed")
    return 1 if totals.failed or not totals.passed else 0


if __name__ == "__main__":
    sys.exit(main())
