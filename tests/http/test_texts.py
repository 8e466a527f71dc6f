"""Data sets of text: tables, JSON lines and lines of text, from the upload to what is listed."""
import json

import pytest

from conftest import ENGINE, problem, shared

pytestmark = pytest.mark.skipif(not ENGINE.exists(), reason="thaw-engine was not built")


def upload(server, body, **query):
    body = body.encode() if isinstance(body, str) else body
    reply = server.http.post(f"{server.url}/v1/datasets", params={"name": "n", **query}, data=body)
    assert reply.status_code in (200, 201), reply.text
    assert reply.json()["kind"] == ("text" if reply.json()["status"] == "ready" else None)
    return server.wait_dataset(reply.json()["id"])


def ready(server, body, **query):
    dataset = upload(server, body, **query)
    assert dataset["status"] == "ready", dataset["error"]
    assert dataset["kind"] == "text" and dataset["items"] == sum(dataset["splits"].values())
    return dataset


def failed(server, body, **query):
    dataset = upload(server, body, **query)
    assert dataset["status"] == "failed" and dataset["kind"] is None, dataset
    return dataset["error"]


def classes(dataset):
    return {row["name"]: row["items"] for row in dataset["classes"]}


def test_a_published_csv_with_its_own_split(real_server):
    dataset = ready(real_server, shared("text/imdb_sample.csv").read_bytes())
    assert classes(dataset) == {"negative": 524, "positive": 476}
    assert dataset["splits"] == {"train": 800, "valid": 200, "test": 0, "unlabelled": 0}
    assert dataset["rejected"] == {"count": 0, "items": []} and dataset["warnings"] == []


def test_a_published_tsv_without_header(real_server):
    body = shared("text/sms_spam.tsv").read_bytes()
    assert classes(ready(real_server, body, header="false", label_column="0", text_column="1")) \
        == {"ham": 4827, "spam": 747}
    error = failed(real_server, body)
    assert error["code"] == "no_column" and "header=false" in error["hint"]


def test_published_questions_in_latin_1_taken_apart_by_an_expression(real_server):
    body = shared("text/trec-train.latin1.txt").read_bytes()
    how = {"line_regex": r"(?<label>[A-Z]+):\S+ (?<text>.*)"}
    error = failed(real_server, body, **how)
    assert error["code"] == "bad_encoding" and error["detail"].startswith("Line 66 is not in UTF-8")
    assert "?encoding=" in error["detail"]
    dataset = ready(real_server, body, encoding="latin-1", **how)
    assert classes(dataset) == {"ABBR": 86, "DESC": 1162, "ENTY": 1250, "HUM": 1223, "LOC": 835,
                                "NUM": 896}


def test_running_text_is_for_language_models(real_server):
    dataset = ready(real_server, shared("text/wikitext-2-valid.txt").read_bytes())
    assert dataset["classes"] == []
    assert dataset["splits"] == {"train": 0, "valid": 0, "test": 0, "unlabelled": 2461}


def test_json_lines_with_and_without_labels(real_server):
    rows = [{"text": "good", "label": "p"}, {"text": "bad\nvery", "label": "n"},
            {"text": "no opinion"}, {"text": "null", "label": None}, {"label": "p", "text": ""},
            {"text": 7, "label": "p"}]
    body = "\n".join(map(json.dumps, rows)) + "\n{\"text\": \"x\\u0000\"}\nno json\n"
    dataset = ready(real_server, body)
    assert classes(dataset) == {"n": 1, "p": 1} and dataset["splits"]["unlabelled"] == 2
    assert [row["path"] for row in dataset["rejected"]["items"]] == \
        ["line 5", "line 6", "line 7", "line 8"]


def test_the_same_bytes_by_an_upload_a_form_and_raw_are_one_data_set(real_server):
    body = b"text,label\r\n\"a, \"\"b\"\"\r\nc\",x\r\nd,y\r\n"
    first = ready(real_server, body)
    form = real_server.post("/v1/datasets", files={"file": ("t.csv", body)}, data={"name": "n"})
    assert form.status_code == 200 and form.json()["id"] == first["id"]
    other = real_server.post("/v1/datasets", files={"file": ("t.csv", body)},
                             data={"name": "n", "text_column": "text"})
    assert other.status_code == 201 and other.json()["id"] != first["id"]


@pytest.mark.parametrize("body, query, code, part", [
    ("text,label\n\"a,x\nb,y\n", {}, "bad_table",
     "The quote that opens on line 2 is never closed."),
    ("text,label\n\"a\" b,x\n", {}, "bad_table", "On line 2 text follows a closing quote"),
    ("review,stars\na,1\nb,2\n", {"text_column": "body"}, "no_column", "it has: review, stars."),
    ("text,stars\na,1\nb,2\n", {}, "no_column", "no column \"label\"; it has: text, stars."),
    ("text,label\na,x\n", {"label_column": "lable"}, "no_column", "it has: text, label."),
    ("text,label\na,x\nb,x\n", {}, "one_class", "one label only, \"x\""),
    ("text,label\n,x\n  ,y\n", {}, "no_texts", "2 rows were rejected, the first was line 2"),
    ("a\tb\n", {"header": "maybe"}, "bad_option", "true or false"),
    ("a\tb\n", {"encoding": "latin-7"}, "bad_option", "did you mean latin-"),
    ("a b\n", {"line_regex": "(?<words>.*)"}, "bad_pattern", "no group called \"text\""),
    ("text,label\nb\u00e4r,x\n".encode("latin-1"), {}, "bad_encoding", "the byte 0xe4"),
    ("text,label\nx,y\n".encode("utf-16"), {}, "bad_encoding", "encoding=utf-16"),
    ("text,label,is_valid\na,x,1\nb,y,1\n", {}, "no_training_texts", "for validation"),
])
def test_what_cannot_be_read_says_where_and_what_to_do(real_server, body, query, code, part):
    error = failed(real_server, body, **query)
    assert error["code"] == code and part in error["detail"], error


def test_a_short_table_with_a_nul_says_what_to_remove(real_server):
    error = failed(real_server, "text,label\nhel\0lo,good\nworld,bad\n")
    assert error["code"] == "not_an_archive" and "NUL" in error["hint"], error


def test_rows_that_cannot_be_used_are_listed_and_stop_nothing(real_server):
    body = ("text,label,split\n" "a,x,train\n" "b,y,train\n" "c,x\n" "d,x,train,more\n"
            "e\0f,x,train\n" ",x,train\n" "g,x,sometime\n" "h,z,test\n" "i,y,test\n"
            "\u05e9\u05dc\u05d5\u05dd e\u0301,x,train\n")
    dataset = ready(real_server, body)
    assert classes(dataset) == {"x": 2, "y": 2}
    assert dataset["splits"] == {"train": 3, "valid": 0, "test": 1, "unlabelled": 0}
    reasons = {row["path"]: row["reason"] for row in dataset["rejected"]["items"]}
    assert set(reasons) == {f"line {n}" for n in (4, 5, 6, 7, 8, 9)}
    assert reasons["line 4"] == "It has 2 fields, and the first row has 3."
    assert "NUL" in reasons["line 6"] and "empty" in reasons["line 7"]
    assert "sometime" in reasons["line 8"] and "label" in reasons["line 9"]


def test_labels_that_differ_by_case_or_spaces_are_named_in_a_warning(real_server):
    dataset = ready(real_server, "text,label\na,Spam\nb,spam \nc,ham\nd,\u00c4 x\ne,\u00e4x\n")
    assert len(dataset["classes"]) == 5
    assert len(dataset["warnings"]) == 2
    assert '"Spam", "spam "' in " ".join(dataset["warnings"])
    assert '"\u00c4 x", "\u00e4x"' in " ".join(dataset["warnings"])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "cp1252", "gb18030", "utf-8-sig"])
def test_encodings_give_the_same_data_set(real_server, encoding):
    text = "text,label\n\u00e4\u00f6\u00fc \u00dftra\u00dfe,x\nplain,y\n"
    names = {"utf-16-le": "utf-16le", "cp1252": "windows-1252", "utf-8-sig": "utf-8"}
    dataset = ready(real_server, text.encode(encoding), encoding=names.get(encoding, encoding))
    assert classes(dataset) == {"x": 1, "y": 1}


def test_a_job_on_pictures_over_a_text_data_set_is_refused(real_server):
    dataset = ready(real_server, "text,label\na,x\nb,y\n")
    reply = real_server.post("/v1/jobs", json={"dataset": dataset["id"], "model": "thaw-small"})
    assert "holds texts" in problem(reply, 422)["detail"]


def test_a_form_with_an_unknown_option_is_refused(real_server):
    reply = real_server.post("/v1/datasets?text_colum=x", b"text\na\n")
    assert "text_column" in problem(reply, 400)["detail"]
