"""On a clean clone with nothing but compile_flags.txt, clangd finds the symbols that README.md's
tour names and jumps from a call to the function's definition in another folder.

Without compile_commands.json clangd knows the files that are open and what they include, so the
test opens what a reader of the tour opens: the row's file, and for a jump the caller and, by
clangd's own header-source switch, the file that implements the header."""
import json
import pathlib
import queue
import re
import shutil
import subprocess
import threading
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TIMEOUT = 30

# A call in one folder of a function that another folder defines.
JUMPS = [
    ("api", "jobspec_resolve", "api/spec"),
    ("api", "job_get", "store"),
    ("server", "store_open", "store"),
    ("engine/train", "plan_new", "engine/core"),
    ("engine/train", "loader_next", "engine/data"),
    ("engine/zoo", "graph_conv", "engine/core"),
]


class Clangd:
    """A language server over its standard input and output."""

    def __init__(self, folder):
        self.folder = folder
        self.process = subprocess.Popen(
            ["clangd", "--background-index=false", "--log=error", "-j=2", "--pch-storage=memory"],
            cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.answers = queue.Queue()
        self.last = 0
        self.open_files = set()
        threading.Thread(target=self.read, daemon=True).start()
        self.ask("initialize", {"processId": None, "rootUri": folder.as_uri(), "capabilities": {}})
        self.tell("initialized", {})

    def read(self):
        while True:
            length = 0
            while (line := self.process.stdout.readline().strip()):
                name, _, value = line.partition(b": ")
                if name.lower() == b"content-length":
                    length = int(value)
            if not length:
                return
            message = json.loads(self.process.stdout.read(length))
            if "id" in message and "method" not in message:
                self.answers.put(message)

    def tell(self, method, params, number=None):
        message = {"jsonrpc": "2.0", "method": method, "params": params}
        if number is not None:
            message["id"] = number
        text = json.dumps(message).encode()
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(text), text))
        self.process.stdin.flush()

    def ask(self, method, params):
        self.last += 1
        self.tell(method, params, self.last)
        while True:
            answer = self.answers.get(timeout=TIMEOUT)
            if answer["id"] == self.last:
                assert "error" not in answer, answer
                return answer["result"]

    def uri(self, path):
        return (self.folder / path).as_uri()

    def open(self, path):
        """Opens a file as an editor does, and waits until clangd has read it."""
        if path not in self.open_files:
            self.open_files.add(path)
            text = (self.folder / path).read_text()
            self.tell("textDocument/didOpen", {"textDocument": {
                "uri": self.uri(path), "languageId": "c", "version": 1, "text": text}})
        self.ask("textDocument/documentSymbol", {"textDocument": {"uri": self.uri(path)}})

    def path_of(self, uri):
        return str(pathlib.Path(uri.removeprefix("file://")).relative_to(self.folder))

    def until(self, look, wanted):
        """Asks until the answer is the wanted one: what was opened is indexed a little later."""
        deadline = time.monotonic() + TIMEOUT
        while (found := look()) != wanted and time.monotonic() < deadline:
            time.sleep(.05)
        return found

    def symbols(self, name):
        found = self.ask("workspace/symbol", {"query": name})
        return {self.path_of(s["location"]["uri"]) for s in found if s["name"] == name}

    def definition(self, path, name):
        """Where the first call of `name` in `path` leads."""
        lines = (self.folder / path).read_text().split("\n")
        line, column = next((i, match.start()) for i, text in enumerate(lines)
                            if (match := re.search(rf"\b{name}\(", text)))
        found = self.ask("textDocument/definition", {
            "textDocument": {"uri": self.uri(path)},
            "position": {"line": line, "character": column + 1}})
        assert found, f"{path} has no definition for {name}"
        return self.path_of(found[0]["uri"])

    def source_of(self, header):
        """The file that implements a header, as clangd's switch between the two knows it."""
        uri = self.ask("textDocument/switchSourceHeader", {"uri": self.uri(header)})
        return self.path_of(uri) if uri else None

    def close(self):
        self.process.kill()
        self.process.wait()


def tour():
    rows = re.findall(r"^\| `([^`]+)` \| `([^`]+)` \|", (ROOT / "README.md").read_text(), re.M)
    assert len(rows) >= 8
    return rows


@pytest.fixture(scope="module")
def clangd(tmp_path_factory):
    if not shutil.which("clangd"):
        pytest.skip("clangd is not installed")
    folder = tmp_path_factory.mktemp("clone") / "thaw"
    subprocess.run(["git", "-c", "safe.directory=*", "clone", "-q", str(ROOT), str(folder)],
                   check=True)
    assert not (folder / "compile_commands.json").exists()
    server = Clangd(folder)
    yield server
    server.close()


@pytest.mark.parametrize("path, symbol", tour())
def test_the_tour_names_a_symbol_that_is_there(clangd, path, symbol):
    clangd.open(path)
    assert clangd.until(lambda: path in clangd.symbols(symbol), True)


def first_caller(folder, symbol):
    return next(str(path.relative_to(ROOT)) for path in sorted((ROOT / folder).glob("*.c"))
                if re.search(rf"[^\n]\b{symbol}\(", path.read_text()))


@pytest.mark.parametrize("folder, symbol, other", JUMPS)
def test_a_call_leads_to_its_definition_in_another_folder(clangd, folder, symbol, other):
    caller = first_caller(folder, symbol)
    clangd.open(caller)
    place = clangd.definition(caller, symbol)
    if place.endswith(".h"):  # the declaration: one step further to the file behind it
        clangd.open(place)
        source = clangd.source_of(place)
        clangd.open(source)
        clangd.until(lambda: clangd.definition(caller, symbol), source)
        place = clangd.definition(caller, symbol)
    assert place.endswith(".c") and place.rpartition("/")[0] == other
