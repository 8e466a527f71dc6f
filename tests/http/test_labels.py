"""Labels that are not folders: file names, tables in the archive, several an item, groups."""
import io
import pathlib
import subprocess
import tarfile
import zipfile

import pytest

from conftest import ENGINE, problem, shared

pytestmark = pytest.mark.skipif(not ENGINE.exists(), reason="thaw-engine was not built")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """The bytes of a few drawn pictures."""
    folder = tmp_path_factory.mktemp("drawn") / "set"
    subprocess.run([ENGINE, "synth", "--set", "a", "--out", folder, "--classes", "2",
                    "--per-class", "8", "--valid", "0", "--size", "16"],
                   check=True, stdout=subprocess.DEVNULL)
    return [path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()]


def pack(members):
    """A zip of (name, bytes or text) pairs."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members:
            archive.writestr(name, content)
    return out.getvalue()


def upload(server, body, **query):
    reply = server.http.post(f"{server.url}/v1/datasets", params={"name": "n", **query}, data=body)
    assert reply.status_code == 201, reply.text
    return server.wait_dataset(reply.json()["id"])


def counts(dataset):
    assert dataset["status"] == "ready", dataset["error"]
    return {row["name"]: row["items"] for row in dataset["classes"]}


def test_labels_by_file_name(real_server, pictures):
    body = pack([(f"images/{'pug' if i % 2 else 'great_dane'}_{i}.png", picture)
                 for i, picture in enumerate(pictures)])
    dataset = upload(real_server, body, label_regex=r"([^/]+)_\d+\.png$")
    assert counts(dataset) == {"great_dane": 8, "pug": 8}
    assert dataset["options"] == {"label_regex": r"([^/]+)_\d+\.png$"}
    again = upload(real_server, body, label_regex=r"(pug|great)")
    assert again["id"] != dataset["id"] and counts(again) == {"great": 8, "pug": 8}


def test_labels_of_a_table(real_server, pictures):
    table = "path,label,split\n" + "".join(
        f"{i}.png,{'ab'[i % 2]},{'valid' if i < 4 else 'train'}\n" for i in range(len(pictures)))
    body = pack([("labels.csv", table), *((f"{i}.png", p) for i, p in enumerate(pictures))])
    dataset = upload(real_server, body)
    assert counts(dataset) == {"a": 8, "b": 8}
    assert dataset["splits"] == {"train": 12, "valid": 4, "test": 0, "unlabelled": 0}


def test_a_table_with_a_fault_fails_the_dataset_and_says_where(real_server, pictures):
    body = pack([("labels.csv", 'path,label\n"1.png,a\n'), ("1.png", pictures[0])])
    dataset = upload(real_server, body)
    assert dataset["status"] == "failed"
    assert dataset["error"]["code"] == "bad_labels"
    assert dataset["error"]["detail"] == \
        "labels.csv: The quote that opens on line 2 is never closed."


def test_an_expression_that_is_none_fails_the_dataset(real_server, pictures):
    dataset = upload(real_server, pack([("1.png", pictures[0])]), label_regex="(x")
    assert dataset["status"] == "failed"
    assert dataset["error"]["detail"].startswith("label_regex is no regular expression: missing")


def test_an_option_without_a_value_is_refused(real_server, pictures):
    reply = real_server.post("/v1/datasets?name=x&label_regex=", pack([("1.png", pictures[0])]))
    assert "1 to 1000" in problem(reply, 422)["detail"]


def test_a_tar_compressed_by_zstd(real_server, pictures, tmp_path):
    plain = tmp_path / "x.tar"
    with tarfile.open(plain, "w") as archive:
        for i, picture in enumerate(pictures):
            member = tarfile.TarInfo(f"{'ab'[i % 2]}/{i}.png")
            member.size = len(picture)
            archive.addfile(member, io.BytesIO(picture))
    done = subprocess.run(["zstd", "-q", plain], check=False)
    if done.returncode:
        pytest.skip("no zstd")
    dataset = upload(real_server, pathlib.Path(f"{plain}.zst").read_bytes())
    assert counts(dataset) == {"a": 8, "b": 8}


def test_a_published_set_of_digits(real_server):
    dataset = upload(real_server, shared("images/mnist_tiny.zip").read_bytes(),
                     label_regex=r"/([37])/")
    assert sum(counts(dataset).values()) == 1408 and set(counts(dataset)) == {"3", "7"}
    assert dataset["splits"]["valid"] > 600
