"""A small tree of files of many types, made on the spot, for tests of Magika."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import marshal
import pickle
import random
import sqlite3
import struct
import tarfile
import wave
import zipfile
import zlib
from pathlib import Path


def samples(folder: Path) -> dict[str, bytes]:
    """Name and content; the folder is for what can only be written to a file."""
    source = Path(__file__).read_bytes()
    rows = [{"number": i, "square": i * i, "name": f"row {i}"} for i in range(300)]
    drawn = random.Random(1)
    made = {
        "python.py": source,
        "data.json": json.dumps(rows, indent=1).encode(),
        "lines.jsonl": "\n".join(map(json.dumps, rows)).encode(),
        "table.csv": b"a,b,c\n" + b"".join(b"%d,%d,%d\n" % (i, 2 * i, 3 * i) for i in range(200)),
        "page.html": b"<!DOCTYPE html>\n<html><head><title>x</title></head><body>"
        + b"<p>One line of text.</p>\n" * 40
        + b"</body></html>\n",
        "page.xml": b'<?xml version="1.0"?>\n<list>' + b"<item n='1'>x</item>\n" * 60 + b"</list>",
        "kernel.cpp": b"#include <vector>\n" + b"template <class T> T add(T a, T b);\n" * 30,
        "run.sh": b"#!/bin/sh\nset -e\n" + b'for f in *.txt; do echo "$f"; done\n' * 20,
        "notes.md": b"# Title\n\n" + b"Some *text* with a [link](https://example.org).\n\n" * 20,
        "gzip.gz": gzip.compress(source, mtime=0),
        "bzip.bz2": bz2.compress(source),
        "xz.xz": lzma.compress(source),
        "zlib.z": zlib.compress(source),
        "pickle.pkl": pickle.dumps(rows),
        "code.pyc": struct.pack("<IIII", 0x0A0D0DA7, 0, 0, 0)
        + marshal.dumps(compile(source, "x.py", "exec")),
        "random.bin": drawn.randbytes(5000),
        "zeros.bin": bytes(5000),
        "hex.txt": drawn.randbytes(500).hex().encode(),
        "latin.txt": "Äpfel, Öl, Übermut. ".encode("latin-1") * 30,
        "spaces.txt": b" \n\t" * 3000,
        "empty": b"",
        "one_byte": b"x",
        "one_wrong_byte": b"\xff",
        "seven": b"1234567",
        "eight": b"12345678",
        "seven_among_spaces": b"    1234567    ",
        "cut_character": b" " * 4095 + "é".encode(),
        "block": b"x = 1\n" * 683,
        "longer_than_two_blocks": b"\n" * 5000 + source * 3 + b"\n" * 5000,
    }
    made["archive.zip"], made["archive.tar"] = _zip(source), _tar(source)
    made["sound.wav"], made["image.png"] = _wav(), _png()
    made["base.sqlite"] = _sqlite(folder / "base.sqlite")
    return made


def _zip(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("x.py", content)
    return file.getvalue()


def _tar(content: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        entry = tarfile.TarInfo("x.py")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return file.getvalue()


def _wav() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(random.Random(2).randbytes(8000))
    return file.getvalue()


def _png() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    rows = b"".join(b"\0" + random.Random(i).randbytes(3 * 64) for i in range(64))
    header = struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def _sqlite(path: Path) -> bytes:
    with sqlite3.connect(path) as base:
        base.execute("create table numbers (n integer, name text)")
        base.executemany("insert into numbers values (?, ?)", [(i, f"row {i}") for i in range(99)])
    base.close()
    return path.read_bytes()
