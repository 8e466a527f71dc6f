"""The page at /, as a browser gets it."""
import re


def test_the_page_and_everything_it_names_is_served(server):
    seen, todo = set(), ["/"]
    while todo:
        path = todo.pop()
        if path in seen:
            continue
        seen.add(path)
        reply = server.get(path)
        assert reply.status_code == 200, path
        text = reply.text
        todo += re.findall(r'(?:src|href)="(/[^"]*)"', text)
        if path.endswith(".js"):
            todo += ["/js/" + name for name in re.findall(r'from "\./([^"]+)"', text)]
    assert {"/app.css", "/js/main.js", "/js/chart.js"} <= seen


def test_the_page_may_load_nothing_from_elsewhere(server):
    reply = server.get("/")
    policy = reply.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "script-src 'self'" in policy
    assert "unsafe" not in policy and "frame-ancestors 'none'" in policy
    assert "<script>" not in reply.text and " style=" not in reply.text
    assert not re.search(r"\son[a-z]+=", reply.text)
    for path in ["/", "/app.css", "/js/main.js", "/js/jobs.js"]:
        assert not re.search(r"https?://(?!www\.w3\.org/)", server.get(path).text), path


def test_the_types_are_right_and_an_unchanged_file_is_304(server):
    for path, kind in [("/", "text/html"), ("/app.css", "text/css"),
                       ("/js/main.js", "text/javascript")]:
        reply = server.get(path)
        assert reply.headers["Content-Type"] == kind + "; charset=utf-8"
        tag = reply.headers["ETag"]
        assert server.get(path, headers={"If-None-Match": tag}).status_code == 304


def test_there_is_no_other_file(server):
    for path in ["/js/nothing.js", "/index.html", "/js/", "/js/..", "/web/app.css", "/app.css/"]:
        assert server.raw(f"GET {path} HTTP/1.1\r\nHost: localhost:{server.port}\r\n\r\n"
                          .encode())[0] == 404, path
