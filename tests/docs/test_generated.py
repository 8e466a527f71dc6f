"""The generated parts of the documentation are what the programs say, and the prose names targets
and files that exist."""
import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = ["README.md", *sorted(str(p.relative_to(ROOT)) for p in (ROOT / "docs").glob("*.md"))]
CODE_FOLDERS = "base|api|store|server|engine|web|weights|tests|docs"


def test_generated_parts_are_fresh():
    env = {"THAW_BUILD": str(ROOT / "build"), **os.environ}
    done = subprocess.run([sys.executable, "tests/tools/make_docs.py", "--check"], cwd=ROOT,
                          env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("page", PAGES)
def test_make_targets_that_are_named_exist(page):
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"`(?:KEEP=1 |SAN=\S+ )?make ([a-z_.-]+)`", (ROOT / page).read_text()):
        assert re.search(rf"^{re.escape(target)}:", makefile, re.M), f"{page}: make {target}"


@pytest.mark.parametrize("page", PAGES)
def test_files_that_are_named_exist(page):
    text = (ROOT / page).read_text()
    for path in re.findall(rf"`((?:{CODE_FOLDERS})/[\w./-]*\w)`", text):
        assert (ROOT / path).exists(), f"{page}: {path}"
