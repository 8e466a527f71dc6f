"""Archives of text, and looking into data sets: items, their content, what they have not."""
import io
import tarfile
import zipfile

import pytest

from conftest import ENGINE, problem, shared
from test_texts import classes, failed, ready

pytestmark = pytest.mark.skipif(not ENGINE.exists(), reason="thaw-engine was not built")


def zipped(members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def tarred(members, mode="w:gz"):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:
        for name, content in members.items():
            data = content.encode() if isinstance(content, str) else content
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def items(server, dataset, **query):
    reply = server.get(f"/v1/datasets/{dataset['id']}/items", params=query)
    assert reply.status_code == 200, reply.text
    return reply.json()


MOVIES = {"aclImdb/README": "about", "aclImdb/train/pos/0_9.txt": "good one",
          "aclImdb/train/pos/1_7.txt": "fine", "aclImdb/train/neg/0_1.txt": "bad",
          "aclImdb/train/unsup/0_0.txt": "who knows", "aclImdb/test/pos/0_8.txt": "nice",
          "aclImdb/test/neg/0_2.txt": "awful\nfilm"}


@pytest.mark.parametrize("packer", [zipped, tarred, lambda m: tarred(m, "w")])
def test_folders_of_texts_as_movie_reviews_come(real_server, packer):
    dataset = ready(real_server, packer(MOVIES))
    assert classes(dataset) == {"neg": 2, "pos": 3}
    assert dataset["splits"] == {"train": 3, "valid": 0, "test": 2, "unlabelled": 1}
    assert [row["path"] for row in dataset["rejected"]["items"]] == ["aclImdb/README"]
    listed = items(real_server, dataset, split="test")["data"]
    assert [(row["path"], row["class"], row["text"]) for row in listed] == [
        ("aclImdb/test/neg/0_2.txt", "neg", "awful\nfilm"),
        ("aclImdb/test/pos/0_8.txt", "pos", "nice")]


def test_class_folders_and_an_unsup_folder_alone(real_server):
    dataset = ready(real_server, zipped({"a/1.txt": "x", "a/2.txt": "y", "b/1.txt": "z",
                                         "unsup/1.txt": "w", "b/2.txt": " \n",
                                         "b/3.txt": b"caf\xe9", "b/4.txt": b"x\0y"}))
    assert classes(dataset) == {"a": 2, "b": 1} and dataset["splits"]["unlabelled"] == 1
    reasons = {row["path"]: row["reason"] for row in dataset["rejected"]["items"]}
    assert set(reasons) == {"b/2.txt", "b/3.txt", "b/4.txt"}
    assert "?encoding=" in reasons["b/3.txt"] and "Line 1 " in reasons["b/3.txt"]


def test_documents_in_another_encoding(real_server):
    dataset = ready(real_server, zipped({"a/1.txt": "caf\u00e9".encode("cp1252"), "b/1.txt": "z"}),
                    encoding="windows-1252")
    assert [row["text"] for row in items(real_server, dataset)["data"]] == ["caf\u00e9", "z"]


def test_a_folder_of_texts_without_classes_is_a_corpus(real_server):
    dataset = ready(real_server, zipped({"books/1.txt": "once", "books/2.txt": "upon"}))
    assert dataset["classes"] == [] and dataset["splits"]["unlabelled"] == 2


def test_documents_with_a_table_of_labels(real_server):
    dataset = ready(real_server, zipped({
        "labels.csv": "file,label,split\n1.txt,x,train\n2.txt,y,train\n3.txt,y,valid\n4.txt,,\n",
        "1.txt": "a", "2.txt": "b", "3.txt": "c", "4.txt": "d"}))
    assert classes(dataset) == {"x": 1, "y": 2}
    assert dataset["splits"] == {"train": 2, "valid": 1, "test": 0, "unlabelled": 1}


def test_one_table_in_an_archive(real_server):
    table = "text,label\n" + "".join(f"text {i},{'ab'[i % 2]}\n" for i in range(1000))
    for body in (zipped({"set/reviews.csv": table}), tarred({"set/reviews.csv": table})):
        dataset = ready(real_server, body)
        assert classes(dataset) == {"a": 500, "b": 500}
        assert items(real_server, dataset, limit=1)["data"][0]["path"] == "set/reviews.csv:2"
    error = failed(real_server, zipped({"r.csv": "text,label\n\"a,x\n"}))
    assert error["detail"] == "r.csv: The quote that opens on line 2 is never closed."


def test_published_questions_as_two_files_named_by_their_split(real_server):
    body = tarred({name: shared(f"text/{name}").read_bytes()
                   for name in ("trec-train.latin1.txt", "trec-test.latin1.txt")})
    dataset = ready(real_server, body, encoding="latin-1",
                    line_regex=r"(?<label>[A-Z]+):\S+ (?<text>.*)")
    assert dataset["splits"] == {"train": 5452, "valid": 0, "test": 500, "unlabelled": 0}


def test_a_corpus_keeps_the_splits_that_its_rows_name(real_server):
    dataset = ready(real_server, zipped({"train.txt": "a\nb\n", "valid.txt": "c\n\nd\n"}))
    assert dataset["splits"] == {"train": 0, "valid": 2, "test": 0, "unlabelled": 2}


def test_items_by_page_class_and_split(real_server):
    rows = "".join(f"\"row, {i}\",{'abc'[i % 3]}\n" for i in range(250))
    dataset = ready(real_server, "text,label\n" + rows)
    page = items(real_server, dataset, limit=100)
    assert page["has_more"] and page["first_id"] == 0 and page["last_id"] == 99
    last = items(real_server, dataset, limit=100, after=199)
    assert not last["has_more"] and len(last["data"]) == 50
    listed = items(real_server, dataset, **{"class": "b", "limit": 2, "after": 1})["data"]
    assert [row["item"] for row in listed] == [4, 7]
    row = listed[0]
    assert row == {"item": 4, "object": "item", "path": "line 6", "class": "b", "split": "train",
                   "type": "text/plain; charset=utf-8", "bytes": 6, "sha256": row["sha256"],
                   "text": "row, 4"}
    where = f"/v1/datasets/{dataset['id']}/items"
    assert "no class" in problem(real_server.get(where, params={"class": "d"}), 422)["detail"]
    assert "unlabelled" in problem(real_server.get(where, params={"split": "x"}), 422)["detail"]


def test_the_content_of_a_text_is_its_bytes_as_plain_text(real_server):
    dataset = ready(real_server, "text,title,label\n<b>\u05e9\u05dc\u05d5\u05dd</b>,one,x\nb,,y\n",
                    text_column="title,text")
    where = f"/v1/datasets/{dataset['id']}/items"
    reply = real_server.get(f"{where}/0/content")
    assert reply.content == "one\x1f<b>\u05e9\u05dc\u05d5\u05dd</b>".encode()
    assert reply.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    part = real_server.get(f"{where}/0/content", headers={"Range": "bytes=2-5"})
    assert part.status_code == 206 and part.content == b"e\x1f<b"
    again = real_server.get(f"{where}/0/content",
                            headers={"If-None-Match": reply.headers["ETag"]})
    assert again.status_code == 304
    assert real_server.get(f"{where}/1/content").content == b"\x1fb"
    assert "0 to 1" in problem(real_server.get(f"{where}/2/content"), 404)["detail"]
    problem(real_server.get(f"{where}/-1/content"), 404)
    detail = problem(real_server.get(f"{where}/0/thumbnail"), 404)["detail"]
    assert "has no thumbnail" in detail


def test_the_content_of_a_picture_is_the_file(real_server):
    body = shared("images/mnist_tiny.zip").read_bytes()
    reply = real_server.http.post(f"{real_server.url}/v1/datasets", data=body,
                                  params={"label_regex": "/([37])/"})
    dataset = real_server.wait_dataset(reply.json()["id"])
    row = items(real_server, dataset, limit=1, **{"class": "7"})["data"][0]
    assert row["type"] == "image/png" and row["text"] is None
    content = real_server.get(f"/v1/datasets/{dataset['id']}/items/{row['item']}/content").content
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        assert content == archive.read(row["path"])


def test_options_for_text_over_pictures_are_refused(real_server):
    body = shared("images/mnist_tiny.zip").read_bytes()
    reply = real_server.http.post(f"{real_server.url}/v1/datasets", data=body,
                                  params={"text_column": "x"})
    error = real_server.wait_dataset(reply.json()["id"])["error"]
    assert error["code"] == "bad_option" and "data sets of pictures" in error["detail"]
