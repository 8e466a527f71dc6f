#!/usr/bin/env python3
"""Writes the seeds of tests/fuzz/corpus: small valid inputs from which the fuzzer starts.

Seeds are called seed-*; every other file there once broke something and stays as a regression.
Needs Pillow and the files of tests/golden/torch."""
import gzip
import io
import json
import pathlib
import pickle
import struct
import tarfile
import zipfile

from PIL import Image

HERE = pathlib.Path(__file__).parent
GOLDEN = HERE.parent / "golden/torch"


def write(target, name, data):
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"seed-{name}").write_bytes(data)


def pickles():
    for path in sorted(GOLDEN.glob("*.pth")):
        data = path.read_bytes()
        if data.startswith(b"PK"):
            with zipfile.ZipFile(path) as file:
                inside = next(file.read(n) for n in file.namelist() if n.endswith("data.pkl"))
            write("pickle", path.stem, inside)
            write("torch", path.stem, inside)
    for name in ("checkpoint.pth", "checkpoint-legacy.pth", "module-state-legacy.pth"):
        write("weights", name, (GOLDEN / name).read_bytes())


def safetensors():
    header = json.dumps({
        "__metadata__": {"architecture": "net", "classes": "[\"a\", \"b\"]"},
        "weight": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
        "half": {"dtype": "BF16", "shape": [8], "data_offsets": [24, 40]},
        "count": {"dtype": "I64", "shape": [], "data_offsets": [40, 48]},
        "bytes": {"dtype": "U8", "shape": [4, 4], "data_offsets": [48, 64]}}).encode()
    write("safetensors", "all", header)
    write("weights", "safetensors", struct.pack("<Q", len(header)) + header + bytes(64))


def vocabularies():
    words = "xxunk xxpad xxbos xxeos xxfld xxrep xxwrep xxup xxmaj the caf\u00e9 xxfake".split()
    for protocol in (2, 3, 4):
        write("words", f"protocol-{protocol}", pickle.dumps(words, protocol))
    write("words", "json", json.dumps(words).encode())
    write("words", "code", b"\x80\x02](cposix\nsystem\nX\4\0\0\0echo\x85Re.")


def zip_of(compression, names):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as file:
        for name, data in names.items():
            file.writestr(zipfile.ZipInfo(name), data, compression)
    return out.getvalue()


def archives():
    photo = picture("L", (8, 8), "PNG")
    members = {"train/ant/1.png": photo, "train/bee/2.png": photo, "valid/ant/3.png": photo,
               "valid/b\u00e4r/4.png": b"no picture"}
    write("zip", "stored", zip_of(zipfile.ZIP_STORED, {"x/data.pkl": b"N.", "x/data/0": b"1234"}))
    write("archive", "deflated.zip", zip_of(zipfile.ZIP_DEFLATED, members))
    write("archive", "stored.zip", zip_of(zipfile.ZIP_STORED, members))
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as file:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("train/ant/link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        file.addfile(link)
    write("archive", "tar", out.getvalue())
    write("archive", "tar.gz", gzip.compress(out.getvalue(), mtime=0))


def picture(mode, size, kind, **options):
    gradient = Image.linear_gradient("L").resize(size)
    bands = len(Image.new(mode, (1, 1)).getbands())
    if mode in ("P", "1", "I;16"):
        image = gradient.convert("I;16" if mode == "I;16" else mode)
    else:
        image = Image.merge(mode, [gradient.rotate(90 * i) for i in range(bands)])
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def pictures():
    exif = Image.Exif()
    exif[0x0112] = 6
    write("jpeg", "rgb", picture("RGB", (24, 16), "JPEG"))
    write("jpeg", "grey", picture("L", (9, 17), "JPEG"))
    write("jpeg", "cmyk", picture("CMYK", (16, 16), "JPEG"))
    write("jpeg", "progressive", picture("RGB", (33, 20), "JPEG", progressive=True))
    write("jpeg", "turned", picture("RGB", (20, 12), "JPEG", exif=exif.tobytes(), subsampling=2))
    write("webp", "lossy", picture("RGB", (24, 17), "WEBP", quality=50))
    write("webp", "alpha", picture("RGBA", (20, 12), "WEBP", quality=80, exif=exif.tobytes()))
    write("webp", "lossless", picture("RGB", (13, 21), "WEBP", lossless=True))
    write("webp", "palette", picture("P", (16, 16), "WEBP", lossless=True))
    write("png", "rgb", picture("RGB", (12, 7), "PNG"))
    write("png", "rgba", picture("RGBA", (7, 12), "PNG", exif=exif.tobytes()))
    write("png", "palette", picture("P", (16, 16), "PNG"))
    write("png", "bits", picture("1", (16, 3), "PNG"))
    write("png", "grey16", picture("I;16", (5, 5), "PNG"))


def pack():
    """Indexes of two classes, two items (base/pack_index.h): one label each, and sets."""
    texts = [b"ant", b"bee", b"ant/1.png", b"bee/2.png"]
    strings, places = b"", []
    for text in texts:
        places.append((len(strings), len(text)))
        strings += text + b"\0"
    classes = b"".join(struct.pack("<QQ", *place) for place in places[:2])
    for version, sets, label_sets in (1, b"", (0, 0)), (2, struct.pack("<4I", 2, 0, 1, 0), (1, 4)):
        records = b""
        for i in range(2):
            path, path_len = places[2 + i]
            label = i if version == 1 else (0, -1)[i]
            records += struct.pack("<QQiBBBBIIQII32s", 128 * i, 128, label, 0, 1, 1, 0, 8, 8, path,
                                   path_len, label_sets[i], bytes([i] * 32))
        classes_at = 72 if version == 1 else 104
        records_at = classes_at + len(classes)
        sets_at = records_at + len(records)
        strings_at = sets_at + len(sets)
        header = struct.pack("<8sIIIIQQQQQQ", b"THAWIDX", version, 80, 2, 2, 256, classes_at,
                             records_at, strings_at, len(strings), strings_at + len(strings))
        if version == 2:
            header += struct.pack("<QQQQ", sets_at, len(sets) // 4, sets_at, 0)
        write("pack", ("two", "sets")[version - 1], header + classes + records + sets + strings)


def text_pack():
    """An index of three texts, two of them with a label, and groups."""
    strings = b"\0t.csv\0ham\0spam\0"
    records = b""
    for i, (label, split) in enumerate([(0, 0), (1, 1), (-1, 3)]):
        records += struct.pack("<QQiBBBBIIQII32s", 64 * i, 64, label, split, 16, 0, 0, 2 + i, 0, 1,
                               5, 0, bytes([i] * 32))
    groups_at = 104 + len(records)
    classes_at = groups_at + 24
    strings_at = classes_at + 32
    header = struct.pack("<8sIIIIQQQQQQQQQQ", b"THAWIDX", 3, 80, 3, 2, 256, classes_at, 104,
                         strings_at, len(strings), strings_at + len(strings), groups_at, 0,
                         groups_at, 3)
    write("pack", "texts", header + records + struct.pack("<QQQ", 7, 0, 7)
          + struct.pack("<QQQQ", 7, 3, 11, 4) + strings)


def uploads():
    write("rows", "csv", b"\0\7text,label,split\r\n\"a \"\"b\"\"\r\nc\",x,valid\nd,,\n")
    write("rows", "counted", b"\1\3a,x\n\"b,y\n\",z\n")
    write("rows", "tsv", b"\2\1a\tb\n\"x\ty\"\n")
    write("rows", "jsonl", b"\3\x10{\"a\": \"x\", \"text\": \"y\"}\n{\"a\": 1}\n")
    write("rows", "lines", b"\4\2ABC:what is it ?\nno\n")
    write("rows", "utf-16", b"\5\1" + "text\nb\u00e4r\n".encode("utf-16"))
    write("rows", "shift-jis", b"\6\1" + "text\n\u30c6\u30b9\u30c8\n".encode("shift_jis"))
    write("rows", "semicolons", b"\7\2text;label;g\n\"a;x;1\nb;y;\n")


def frames():
    def frame(header, payload=b""):
        text = json.dumps(header).encode()
        return struct.pack("<II", len(text), len(payload)) + text + payload
    write("frame", "three", frame({"type": "progress", "done": 1, "total": 2}) +
          frame({"type": "warning", "code": "x", "detail": "text"}, b"payload") +
          frame({"type": "error", "status": "invalid", "detail": "A sentence."}))


def texts():
    write("names", "plain", b"./train//ant/b\xc3\xa4r.jpg")
    write("names", "parent", b"train/../../etc/passwd")
    write("names", "exif", b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0")
    write("target", "query", b"/v1/jobs/job_1/events?after=3&name=a%20b+c")
    write("target", "escapes", b"/v1/models/%C3%A4?x=%2F&y")
    body = (b"--b\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nbees\r\n"
            b"--b\r\nContent-Disposition: form-data; name=\"file\"; "
            b"filename=\"a \\\"x\\\".zip\"\r\n"
            b"Content-Type: application/zip\r\n\r\nPK\r\n--\r\n-b\r\n--b--\r\n")
    write("multipart", "form", b"\x23" + body)
    write("text", "review", "This MOVIE was sooooo good<br />He's 5km away &amp; it's ah ah ah: "
          "\U0001f44d\U0001f3fd don't (a-b)... www.x.org/y".encode())
    write("text", "scripts", "\u65e5\u672c\u3002 \u05e9\u05dc\u05d5\u05dd \u0e44\u0e17\u0e22 "
          "e\u0301 \u0130\u03a3 &#xE9;&notit; 3\u20ac \u2014x\u2026".encode() + b"\xff\x1f\0")
    # Two documents of three tokens; digests are the target's to put right.
    write("corpus", "two", b"THAWTOK\0" + struct.pack("<IIQQQ", 1, 9, 2, 3, 0) + bytes(4 * 32) +
          struct.pack("<QQQ3i", 0, 1, 3, 2, 0, 8))
    write("labels", "csv", b"\0path,label,split\r\n\"a/1.png\",\"x;y\",valid\n2.png,x,\n")
    write("labels", "groups", b"\2fname,labels,is_valid,group\n1.png,x,True,p1\n")
    write("labels", "lines", b"\1{\"file_name\": \"1.png\", \"label\": [\"x\", 2]}\n")


if __name__ == "__main__":
    for make in (pickles, safetensors, vocabularies, archives, pictures, pack, text_pack, uploads,
                 frames, texts):
        make()
