#!/usr/bin/env python3
"""Writes what the documentation takes from the programs: `make docs`. With --check, says what is
stale and writes nothing.

A generated part stands between two comments that name it; the prose around it is written by
hand."""
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("THAW_BUILD", ROOT / "build"))
PAGES = ["docs/RECIPES.md", "docs/OPERATIONS.md"]
PART = re.compile(r"(<!-- generated: ([a-z0-9_ -]+) -->\n).*?(<!-- end -->)", re.S)


def output(*command):
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout


def spec(*arguments):
    return output(str(BUILD / "tools/print_spec"), *arguments)


def block(text):
    return f"```\n{text.rstrip()}\n```\n"


def flags():
    return block(output(str(BUILD / "thawd"), "--help"))


def libraries():
    """The libraries that the programs load, in Debian's version without Debian's own suffix."""
    rows = ["| package | version |", "|---|---|"]
    for line in (ROOT / "packages.txt").read_text().splitlines():
        package = line.split()[1] if line.startswith("run ") else ""
        if package.startswith(("lib", "zlib")):
            version = output("dpkg-query", "-W", "-f", "${Version}", package)
            version = re.sub(r"^\d+:|([+-]dfsg|[.]dfsg)?-[^-]*$", "", version)
            version = re.sub(r"[.+]dfsg$", "", version)
            rows.append(f"| {package} | {version} |")
    return "\n".join(rows) + "\n"


PARTS = {
    "fields": lambda: spec("fields"),
    "presets": lambda: spec("presets"),
    "stages auto": lambda: block(spec("stages", "auto")),
    "stages fine_tune": lambda: block(spec("stages", "fine_tune")),
    "stages lesson1": lambda: block(spec("stages", "lesson1")),
    "flags": flags,
    "libraries": libraries,
}


def main():
    check = sys.argv[1:] == ["--check"]
    stale = []
    for page in PAGES:
        path = ROOT / page
        text = path.read_text()
        new = PART.sub(lambda m: m.group(1) + PARTS[m.group(2)]() + m.group(3), text)
        if new != text:
            stale.append(page)
            if not check:
                path.write_text(new)
    for page in stale:
        print(f"{page} {'is stale: run make docs' if check else 'written'}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
