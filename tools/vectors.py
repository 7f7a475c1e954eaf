#!/usr/bin/env python3
"""Reads test vectors (tests/support/vectors.h has the form). As a program, writes each as a file, for fuzzers.
Usage: vectors.py DIRECTORY VECTORS.txt..."""
import pathlib, re, sys

ESCAPES = {"n": b"\n", "t": b"\t", "0": b"\0"}


def unescape(text):
    out, at = b"", 0
    for match in re.finditer(r"\\(x[0-9a-f]{2}|.)", text):
        code = match[1]
        out += text[at:match.start()].encode() + (bytes.fromhex(code[1:]) if len(code) == 3 else ESCAPES.get(code, code.encode()))
        at = match.end()
    return out + text[at:].encode()


def load(path):
    """(name, bytes) of each vector of a file."""
    out = []
    for block in pathlib.Path(path).read_text().split("\n\n"):
        fields = [line.split(" =", 1) for line in block.splitlines() if not line.startswith("#")]
        data = b"".join(bytes.fromhex(value) if key == "hex" else unescape(value[1:]) for key, value in fields if key in ("hex", "text"))
        if fields:
            out.append((fields[0][1].strip(), data))
    return out


if __name__ == "__main__":
    directory = pathlib.Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    for file in sys.argv[2:]:
        for name, data in load(file):
            (directory / f"{pathlib.Path(file).stem}-{name}").write_bytes(data)
