#!/usr/bin/env python3
"""The rules before tokenising beside fastai's regular expressions, on drawn and on given texts.

    text.py --driver build/oracle/text [--texts N] [FILE ...]

Each rule alone, on texts drawn to be hard (capitals, repetitions, HTML, many scripts, bytes that
are no UTF-8) and on the lines of the files. Equal is equal byte for byte."""
import argparse
import html
import random
import re
import struct
import subprocess
import sys

REPLACEMENTS = [("#39;", "'"), ("amp;", "&"), ("#146;", "'"), ("nbsp;", " "), ("#36;", "$"),
                ("\\n", "\n"), ("quot;", "'"), ("<br />", "\n"), ('\\"', '"'), ("<unk>", "xxunk"),
                (" @.@ ", "."), (" @-@ ", "-"), ("...", " \u2026")]
PIECES = [" ", " ", "  ", "\n", "\t", "\u00a0", "\x1c", "a", "ah", "AH", "Ah", "aaa", "b", "...",
          "..", "&", "&amp;", "&amp", "&eacute;", "&notin;", "&notit;", "&#233;", "&#x80;", "&#0;",
          "&#xD800;", "&#x110000;", "&#99999999999;", "&#1;", "&#x;", "&hellip;", "&nGt;", "#39;",
          "<br />", "<unk>", " @.@ ", " @-@ ", "\\n", '\\"', "quot;", "/", "#", "\\", "1", "00",
          "\u0130", "\u03a3", "\u039f\u03a3", "\u00c9", "\u00e9", "e\u0301", "\u05d0\u05d1",
          "\u4e2d", "\U0001f600", "'", ".", ",", "-", "_", "I", "U.S.", "I'M", "\u00df", "\u1e9e",
          "\u2160", "\u02b0", "\u00aa", "\u00ad", "\x00", "\u2028", "\u0661", "\u00b2", "\u01c5",
          "\u023a"]


def fix_html(text):
    for old, new in REPLACEMENTS:
        text = text.replace(old, new)
    return html.unescape(text)


def words(pattern, mark):
    def small(match):
        word = match.group(2)
        return match.group(1) + (mark + " " if len(word) > 1 else "") + word.lower()
    return lambda text: re.sub(pattern, small, text)


RULES = {
    "fix_html": fix_html,
    "replace_rep": lambda text: re.sub(
        r"(\S)(\1{2,})", lambda m: f" xxrep {len(m.group(2)) + 1} {m.group(1)} ", text),
    "replace_wrep": lambda text: re.sub(
        r"(?:\s|^)(\w+)\s+((?:\1\s+)+)\1(\s|\W|$)",
        lambda m: f" xxwrep {len(m.group(2).split()) + 2} {m.group(1)} {m.group(3)}", text),
    "spec_add_spaces": lambda text: re.sub(r"([/#\\])", r" \1 ", text),
    "rm_useless_spaces": lambda text: re.sub(" {2,}", " ", text),
    "replace_all_caps": words(r"(\s|^)([A-Z]+[^a-z\s]*)(?=(\s|$))", "xxup"),
    "replace_maj": words(r"(\s|^)([A-Z][^A-Z\s]*)(?=(\s|$))", "xxmaj"),
    "lowercase": lambda text: "xxbos " + text.lower().strip(),
}


def repaired(raw):
    """Each byte that belongs to no character becomes U+FFFD."""
    out = []
    while raw:
        try:
            return "".join(out) + raw.decode()
        except UnicodeDecodeError as error:
            out.append(raw[:error.start].decode() + "\ufffd")
            raw = raw[error.start + 1:]
    return "".join(out)


def drawn(seed):
    chance = random.Random(seed)
    raw = "".join(chance.choice(PIECES) for _ in range(chance.randrange(40))).encode()
    if seed % 5 == 0:
        at = chance.randrange(len(raw) + 1)
        raw = raw[:at] + bytes([chance.randrange(128, 256)]) + raw[at:]
    return raw


def ask(driver, *command, documents):
    sent = b"".join(struct.pack("<I", len(d)) + d for d in documents)
    said = subprocess.run([driver, *command], input=sent, stdout=subprocess.PIPE, check=True).stdout
    answers = []
    at = 0
    while at < len(said):
        length, = struct.unpack_from("<I", said, at)
        answers.append(said[at + 4:at + 4 + length])
        at += 4 + length
    assert len(answers) == len(documents)
    return answers


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--driver", required=True)
    parser.add_argument("--texts", type=int, default=2000)
    parser.add_argument("files", nargs="*")
    arguments = parser.parse_args()
    documents = [drawn(seed) for seed in range(arguments.texts)]
    for name in arguments.files:
        with open(name, "rb") as file:
            documents += file.read().split(b"\n")
    failed = 0
    for name, rule in RULES.items():
        answers = ask(arguments.driver, "rule", name, documents=documents)
        wrong = [(d, a) for d, a in zip(documents, answers) if rule(repaired(d)).encode() != a]
        failed += len(wrong)
        print(f"{name:18} {len(documents)} texts, {len(wrong)} differ")
        for document, answer in wrong[:3]:
            print(f"  of {document!r}\n  expected {rule(repaired(document))!r}\n"
                  f"  is       {answer.decode()!r}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
