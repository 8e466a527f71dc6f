#!/usr/bin/env python3
"""Checks what no compiler does: the directions and walls of the tree, sizes, banned calls, style,
READMEs and links. `make lint` runs it; `lint.py FILE...` looks at these files alone."""
import fnmatch
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
MAX_LINES = 500
MAX_FUNCTION = 80
MAX_WIDTH = 100

# Third-party headers: the only files that may include each.
WALLS = {
    "archive.h": ["engine/data/archive*.c"],
    "archive_entry.h": ["engine/data/archive*.c"],
    "cjson/cJSON.h": ["base/json.c"],
    "cmocka.h": ["tests/*"],
    "curl/curl.h": ["server/pull_fetch.c"],
    "dnnl.h": ["engine/core/*", "engine/op/*"],
    "iconv.h": ["engine/data/encoding.c"],
    "jerror.h": ["engine/data/jpeg.c"],
    "jpeglib.h": ["engine/data/jpeg.c", "tests/unit/engine/data/*.c"],
    "linux/landlock.h": ["engine/worker/sandbox*.c"],
    "microhttpd.h": ["server/http.c", "server/sse.c"],
    "nettle/sha2.h": ["base/digest.c"],
    "nettle/md5.h": ["base/digest.c"],
    "omp.h": ["engine/*", "tests/*"],
    "png.h": ["engine/data/png.c", "tests/unit/engine/data/*.c"],
    "seccomp.h": ["engine/worker/sandbox*.c"],
    "utf8proc.h": ["engine/text/character.c"],
    "sqlite3.h": ["store/*", "tests/unit/store/*"],
    "pcre2.h": ["engine/data/pattern.c"],
    "webp/decode.h": ["engine/data/webp.c"],
    "webp/encode.h": ["tests/unit/engine/data/*.c"],
    "zlib.h": ["engine/format/zip.c", "engine/format/zip_write.c", "tests/*"],
}
# The C library's and the kernel's, free for all; what is in neither table is refused.
SYSTEM = set("""
    arpa/inet.h assert.h ctype.h dirent.h errno.h fcntl.h float.h grp.h immintrin.h inttypes.h
    limits.h locale.h malloc.h math.h netdb.h netinet/in.h netinet/tcp.h poll.h pthread.h pwd.h
    regex.h sched.h setjmp.h signal.h spawn.h stdalign.h stdarg.h stdatomic.h stdbool.h stddef.h
    stdint.h
    stdio.h stdlib.h string.h strings.h sys/epoll.h sys/eventfd.h sys/file.h sys/ioctl.h sys/mman.h
    sys/prctl.h sys/ptrace.h sys/random.h sys/resource.h sys/signalfd.h sys/socket.h sys/stat.h
    sys/statvfs.h sys/syscall.h sys/time.h sys/types.h sys/uio.h sys/un.h sys/vfs.h sys/wait.h
    syscall.h sysexits.h time.h unistd.h linux/audit.h linux/filter.h linux/seccomp.h
""".split())

# Calls nobody makes, and what to use; the patterns after a reason may make them all the same.
BANNED = {
    r"strcpy|strcat|stpcpy|strncpy|strncat": ("snprintf, arena_printf or buf_puts", []),
    r"sprintf|vsprintf": ("snprintf", []),
    r"gets|scanf|fscanf": ("a bounded read", []),
    r"atoi|atol|atoll|atof": ("strtol or strtod, checked", []),
    r"system|popen": ("fork and exec without a shell", []),
    r"rand|srand|random|drand48": ("base/rng.h", []),
    r"alloca": ("mem_try_alloc or an arena", []),
    r"strtok": ("strcspn", []),
    r"exit|quick_exit": ("enum status: only a main function ends a program", ["tests/*"]),
    r"mktemp|tmpnam|tempnam": ("mkostemp", []),
    r"malloc|calloc": ("base/mem.h", ["base/mem.c"]),
}
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK|WIP)\b")
CODE = (".c", ".h")
SIZED = CODE + (".py", ".js", ".css", ".html", ".sh")

problems = []


def report(path, line, text):
    problems.append(f"{path}:{line}: {text}")


def run(*command):
    return subprocess.run(command, cwd=ROOT, text=True, capture_output=True)


def tracked_files():
    """What git knows or would add: nothing that a build made."""
    out = run("git", "ls-files", "--cached", "--others", "--exclude-standard")
    if out.returncode:
        sys.exit(f"lint needs a git checkout: {out.stderr.strip()}")
    return sorted({f for f in out.stdout.split("\n") if f and (ROOT / f).is_file()})


def layers():
    """Folder -> the folders it may include from: the Makefile's own table."""
    out = run("make", "-s", "--no-print-directory", "layers")
    if out.returncode:
        sys.exit(f"`make layers` failed: {out.stderr}")
    table = {}
    for line in out.stdout.splitlines():
        folder, _, seen = line.partition(":")
        table[folder] = set(seen.split())
    return table


def matches(path, patterns):
    return any(fnmatch.fnmatch(path, pattern) for pattern in patterns)


def check_text(path, text):
    lines = text.split("\n")
    if text and not text.endswith("\n"):
        report(path, len(lines), "the last line does not end")
    for number, line in enumerate(lines, 1):
        if line != line.rstrip():
            report(path, number, "white space at the end of the line")
        if "\t" in line and path != "Makefile" and not path.endswith((".tsv", ".txt")):
            report(path, number, "a tab: four spaces are used here")
        if path != "tests/tools/lint.py" and UNFINISHED.search(line):
            report(path, number, "unfinished business belongs into an issue, not into the code")
    if path.endswith(SIZED):
        if len(lines) - 1 > MAX_LINES:
            report(path, 1, f"{len(lines) - 1} lines: {MAX_LINES} at most, split it by ideas")
        for number, line in enumerate(lines, 1):
            if path.endswith(CODE + (".py",)) and len(line) > MAX_WIDTH:
                report(path, number, f"{len(line)} columns: {MAX_WIDTH} at most")


def check_includes(path, text, table):
    folder = os.path.dirname(path)
    seen = table.get(folder)
    for match in re.finditer(r'^[ ]*#\s*include\s+([<"])([^>"]+)[>"]', text, re.M):
        line = text.count("\n", 0, match.start()) + 1
        quote, header = match.groups()
        if quote == "<":
            if header in WALLS and not matches(path, WALLS[header]):
                report(path, line, f"<{header}> stays behind {', '.join(WALLS[header])}")
            elif header not in WALLS and header not in SYSTEM:
                report(path, line, f"<{header}> is in neither table of lint.py: add it where it "
                                   "belongs")
            continue
        if not (ROOT / header).is_file():
            report(path, line, f'"{header}" is no path from the top of the tree')
        elif seen is not None and os.path.dirname(header) not in seen:
            report(path, line, f'{folder} does not include from {os.path.dirname(header)}: '
                               f'it sees {", ".join(sorted(seen))}')


def without_comments_and_texts(text):
    """The same length and lines, so that positions stay true."""
    pattern = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
    return pattern.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def check_calls(path, code):
    for names, (instead, allowed) in BANNED.items():
        if matches(path, allowed):
            continue
        for match in re.finditer(rf"(?<![\w.>])({names})\s*\(", code):
            report(path, code.count("\n", 0, match.start()) + 1,
                   f"{match.group(1)}() is not used here: {instead}")


def check_functions(path, code):
    """A function's body opens with { in the first column (clang-format sees to that)."""
    start = None
    for number, line in enumerate(code.split("\n"), 1):
        if line == "{":
            start = number
        elif line == "}" and start:
            if number - start + 1 > MAX_FUNCTION:
                report(path, start, f"a function of {number - start + 1} lines: {MAX_FUNCTION} at "
                                    "most")
            start = None


def check_guard(path, text):
    if not path.endswith(".h") or path.startswith("tests/"):
        return
    guard = "THAW_" + re.sub(r"[^A-Z0-9]", "_", path.upper())
    if f"#ifndef {guard}\n#define {guard}\n" not in text:
        report(path, 1, f"the include guard is {guard}")


def check_readmes(files):
    folders = {os.path.dirname(f) for f in files if f.endswith(SIZED) and "/" in f}
    for folder in sorted(folders):
        if folder.startswith("tests/unit"):
            continue  # tests/unit mirrors the tree; tests/README.md says so
        if not (ROOT / folder / "README.md").is_file():
            report(folder, 0, "this folder has sources but no README.md")


def anchors(text):
    """GitHub's names for the headings of a page."""
    names = set()
    for heading in re.findall(r"^#+\s+(.*)$", text, re.M):
        name = re.sub(r"[^\w\- ]", "", heading.strip().lower().replace("`", ""))
        names.add(name.replace(" ", "-"))
    return names


def check_links(path, text):
    prose = re.sub(r"^```.*?^```", lambda m: "\n" * m.group().count("\n"), text, flags=re.S | re.M)
    for match in re.finditer(r"\[[^\]]*\]\(([^)\s]+)\)", prose):
        link = match.group(1)
        line = prose.count("\n", 0, match.start()) + 1
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (ROOT / path).parent / file if file else ROOT / path
        if not target.exists():
            report(path, line, f"the link {link} points nowhere")
        elif anchor and target.suffix == ".md" and anchor not in anchors(target.read_text()):
            report(path, line, f"the link {link} names no heading of {target.name}")


def check_file(path, table):
    try:
        text = (ROOT / path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return  # pictures and other data
    if re.search("/(golden|corpus)/", path) and not path.endswith(SIZED):
        return  # data, byte for byte
    check_text(path, text)
    if path.endswith(CODE):
        check_includes(path, text, table)
        code = without_comments_and_texts(text)
        check_calls(path, code)
        check_functions(path, code)
        check_guard(path, text)
    if path.endswith(".md"):
        check_links(path, text)


def check_format(files):
    out = run("clang-format", "--dry-run", "-Werror", *files)
    first = {}
    for match in re.finditer(r"^(.+?):(\d+):\d+: error: ", out.stderr, re.M):
        first.setdefault(match.group(1), match.group(2))
    for path, line in first.items():
        report(path, line, f"not formatted from here on: clang-format -i {path}")


def check_cppcheck(files):
    jobs = str(os.cpu_count() or 1)
    out = run("cppcheck", "--enable=warning,performance,portability", "--std=c11", "--quiet",
              "--inline-suppr", "--suppressions-list=tests/tools/cppcheck.txt",
              "--template={file}:{line}: {message} [{id}]", "--error-exitcode=1", "-j", jobs, "-I.",
              "-D_GNU_SOURCE", *files)
    if out.returncode:
        problems.extend(line for line in out.stderr.splitlines() if line and line[0] != " ")


def main():
    files = tracked_files()
    wanted = {os.path.relpath(os.path.abspath(f), ROOT) for f in sys.argv[1:]}
    if wanted:
        files = [f for f in files if f in wanted]
    table = layers()
    for path in files:
        check_file(path, table)
    if not wanted:
        check_readmes(files)
    code = [f for f in files if f.endswith(CODE)]
    sources = [f for f in files if f.endswith(".c") and not f.startswith("tests/")]
    if code:
        check_format(code)
    if sources:
        check_cppcheck(sources)
    for problem in problems:
        print(problem)
    print(f"lint: {len(files)} files, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
