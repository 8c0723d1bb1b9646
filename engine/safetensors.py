"""Reads safetensors: eight bytes with the length of a header, the header (JSON), the tensors.

A file is treated as hostile. Nothing in it is believed before it is checked: lengths, JSON, names,
types, shapes, offsets (tensors lie one after the other without gap or overlap, as the format asks),
and that every number is finite. Whatever is wrong raises BadInput in one line.

https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
import math
import os
import stat
import struct
import sys
from array import array
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from engine.errors import BadInput, one_line

MAX_FILE = 2**31  # bytes; what we read is held in memory three times over for a moment
MAX_HEADER = 2**20  # bytes; that of verse has 5,000
_MAX_DIMENSIONS = 8
_ITEMSIZE = {"F16": 2, "F32": 4}


class Tensor(NamedTuple):
    """Row-major values of that shape, as float32 whatever the file has."""

    shape: tuple[int, ...]
    values: array[float]


def read_bytes(path: Path) -> bytes:
    """All of a regular file of at most MAX_FILE bytes. Raises BadInput."""
    name = one_line(path)
    try:
        # Nothing but a regular file is opened: a pipe would wait for whoever writes into it.
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode):
            raise BadInput(f"{name}: got no regular file, needs one")
        if found.st_size > MAX_FILE:
            raise BadInput(f"{name}: got {found.st_size} bytes, needs at most {MAX_FILE}")
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"{name}: {error.strerror or error}") from None
    except ValueError as error:  # a NUL in the path
        raise error if isinstance(error, BadInput) else BadInput(f"{name}: {error}") from None


def parse(data: bytes, name: str) -> dict[str, Tensor]:
    """The tensors of a file's content, by name, in the file's order. Raises BadInput; `name` is
    what its message calls the file."""
    try:
        header, start = _header(data)
        entries = {key: _Entry.of(key, value) for key, value in header.items()}
        _one_after_the_other(entries, len(data) - start)
        return {key: _tensor(key, entry, data, start) for key, entry in entries.items()}
    except BadInput as error:
        raise BadInput(f"{one_line(name)}: {error}") from None


def _header(data: bytes) -> tuple[dict[str, Any], int]:
    """The header without its metadata, and where the tensors start."""
    if len(data) < 8:
        raise BadInput(f"got {len(data)} bytes, needs 8 and a header: it is cut off")
    (length,) = struct.unpack_from("<Q", data)
    if length > min(MAX_HEADER, len(data) - 8):
        raise BadInput(
            f"got a header of {length} bytes in a file of {len(data)}: "
            "it is cut off, or no safetensors file"
        )
    try:
        header = json.loads(
            data[8 : 8 + length].decode("utf-8"),
            object_pairs_hook=_without_duplicates,
            parse_constant=_no_constant,
        )
    except BadInput:
        raise
    except (ValueError, RecursionError) as error:
        raise BadInput(f"the header is no JSON: {one_line(error)}") from None
    if not isinstance(header, dict):
        raise BadInput("the header is no JSON object")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise BadInput("__metadata__ of the header is no object of texts")
    return header, 8 + length


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise BadInput("the header has a name twice")
    return made


def _no_constant(name: str) -> NoReturn:
    raise BadInput(f"the header has {name}, which is no JSON")


class _Entry(NamedTuple):
    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int

    @classmethod
    def of(cls, name: str, value: object) -> _Entry:
        """A checked entry of the header."""
        shown = one_line(name)
        if not isinstance(value, dict) or set(value) != {"dtype", "shape", "data_offsets"}:
            raise BadInput(f"{shown}: needs dtype, shape and data_offsets, and nothing else")
        dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
        if not isinstance(dtype, str) or dtype not in _ITEMSIZE:
            raise BadInput(f"{shown}: got dtype {one_line(repr(dtype)[:40])}, needs F16 or F32")
        if not _is_sizes(shape) or len(shape) > _MAX_DIMENSIONS:
            raise BadInput(f"{shown}: the shape is no list of at most {_MAX_DIMENSIONS} sizes")
        if not _is_sizes(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
            raise BadInput(f"{shown}: data_offsets is no start and end")
        needed = math.prod(shape) * _ITEMSIZE[dtype]
        if offsets[1] - offsets[0] != needed:
            raise BadInput(
                f"{shown}: has {offsets[1] - offsets[0]} bytes, its shape needs {needed}"
            )
        return cls(dtype, tuple(shape), *offsets)


def _is_sizes(value: object) -> bool:
    """A list of whole numbers that could be sizes of something in a file; True is none."""
    return isinstance(value, list) and all(type(v) is int and 0 <= v <= MAX_FILE for v in value)


def _one_after_the_other(entries: dict[str, _Entry], size: int) -> None:
    """Raises BadInput unless the tensors are the `size` bytes after the header, each once."""
    end = 0
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].start, item[1].end)):
        if entry.start != end:
            fault = "overlaps another tensor" if entry.start < end else "lies after a gap"
            raise BadInput(f"{one_line(name)}: {fault} (byte {entry.start}, not {end})")
        end = entry.end
    if end != size:
        fault = "it is cut off" if end > size else "something follows the tensors"
        raise BadInput(f"the tensors need {end} bytes and the file has {size}: {fault}")


def _tensor(name: str, entry: _Entry, data: bytes, start: int) -> Tensor:
    raw = memoryview(data)[start + entry.start : start + entry.end]
    if entry.dtype == "F16":
        values = array("f", struct.unpack(f"<{len(raw) // 2}e", raw))
    else:
        values = array("f")
        values.frombytes(raw)
        if sys.byteorder == "big":
            values.byteswap()
    # NaN and infinity stay in a sum, and a double cannot overflow from so few float32.
    if not math.isfinite(sum(values)):
        raise BadInput(f"{one_line(name)}: has NaN or infinity, needs finite weights")
    return Tensor(entry.shape, values)
