"""Reads what an ONNX file says: nodes and initializers, from the protobuf wire format.

https://protobuf.dev/programming-guides/encoding and onnx.proto of https://github.com/onnx/onnx.
A file is hostile until checked: each length lies within what holds it, each tensor has as many
bytes as its dimensions say, messages nest five deep and no deeper. Graphs within attributes,
quantised and external tensors are not read. What is wrong raises BadInput, in one line.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from engine.errors import BadInput

MAX_BYTES = 16 * 2**20
_MAX_DIMS = 8
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types; 3 and 4, groups, are none of ONNX's
# data_type: typecode of the array, field that holds the elements where raw_data does not
_FLOAT, _INT32, _INT64 = 1, 6, 7
_TYPES = {_FLOAT: ("f", 4), _INT32: ("i", 5), _INT64: ("q", 7)}

Value = int | memoryview  # of a field: a number, or the bytes of what is longer


@dataclass(frozen=True)
class Tensor:
    """An initializer; `values` are flat, row-major: float32 ("f"), int32 ("i") or int64 ("q")."""

    name: str
    dims: tuple[int, ...]
    values: array[Any]


@dataclass(frozen=True)
class Node:
    """An operator; of its attributes, integers and lists of integers."""

    op_type: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, int | tuple[int, ...]]


@dataclass(frozen=True)
class Graph:
    nodes: list[Node] = field(default_factory=list)
    initializers: dict[str, Tensor] = field(default_factory=dict)


def read_graph(data: bytes) -> Graph:
    """The graph of an ONNX model."""
    if len(data) > MAX_BYTES:
        raise BadInput(f"the ONNX file has {len(data)} bytes; at most {MAX_BYTES} are read")
    found = [_bytes(value, "graph") for number, value in _fields(memoryview(data)) if number == 7]
    if len(found) != 1:
        raise BadInput(f"the ONNX file has {len(found)} graphs, needs one")
    graph = Graph()
    for number, value in _fields(found[0]):
        if number == 1:
            graph.nodes.append(_node(_bytes(value, "node")))
        elif number == 5:
            tensor = _tensor(_bytes(value, "initializer"))
            if tensor.name in graph.initializers:
                raise BadInput(f"the ONNX file has two initializers named {_shown(tensor.name)}")
            graph.initializers[tensor.name] = tensor
    return graph


def _node(message: memoryview) -> Node:
    inputs, outputs, op_type = [], [], ""
    attributes: dict[str, int | tuple[int, ...]] = {}
    for number, value in _fields(message):
        if number == 1:
            inputs.append(_text(value))
        elif number == 2:
            outputs.append(_text(value))
        elif number == 4:
            op_type = _text(value)
        elif number == 5:
            name, integers = _attribute(_bytes(value, "attribute"))
            attributes[name] = integers
    return Node(op_type, tuple(inputs), tuple(outputs), attributes)


def _attribute(message: memoryview) -> tuple[str, int | tuple[int, ...]]:
    name, single = "", None
    several: list[int] = []
    for number, value in _fields(message):
        if number == 1:
            name = _text(value)
        elif number == 3:
            single = _signed(value)
        elif number == 8:
            several += _integers(value)
    return name, tuple(several) if single is None else single


def _tensor(message: memoryview) -> Tensor:
    name, data_type, raw = "", 0, None
    dims: list[int] = []
    typed: dict[int, list[Value]] = {}
    for number, value in _fields(message):
        if number == 1:
            dims += _integers(value)
        elif number == 2:
            data_type = _signed(value)
        elif number == 8:
            name = _text(value)
        elif number == 9:
            raw = _bytes(value, "raw_data")
        else:
            typed.setdefault(number, []).append(value)
    shown = _shown(name)
    if data_type not in _TYPES:
        raise BadInput(f"tensor {shown}: data type {data_type}; float32, int32 and int64 are read")
    typecode, elements = _TYPES[data_type]
    try:
        values = _values(typecode, raw, typed.get(elements, []))
    except (OverflowError, ValueError) as error:
        raise BadInput(f"tensor {shown}: {error}") from None
    needed = _count(dims, shown)
    if len(values) != needed:
        raise BadInput(f"tensor {shown}: {len(values)} values for dimensions {dims}")
    return Tensor(name, tuple(dims), values)


def _values(typecode: str, raw: memoryview | None, typed: list[Value]) -> array[Any]:
    """From raw_data, or from a repeated field, which is packed or has one element each."""
    if raw is None and typecode != "f":
        return array(typecode, [number for value in typed for number in _integers(value)])
    values = array(typecode)
    for part in typed if raw is None else [raw]:
        values.frombytes(_bytes(part, "float_data"))  # ValueError: no whole number of elements
    if sys.byteorder == "big":
        values.byteswap()
    return values


def _count(dims: list[int], shown: str) -> int:
    """Elements of a tensor, which has no more than the file has bytes."""
    if len(dims) > _MAX_DIMS:
        raise BadInput(f"tensor {shown}: {len(dims)} dimensions, at most {_MAX_DIMS} are read")
    count = 1
    for size in dims:
        if not 0 <= size <= MAX_BYTES:
            raise BadInput(f"tensor {shown}: a dimension of {size}")
        count *= size
    return count


# --- The wire format -----------------------------------------------------------------------------


def _fields(message: memoryview) -> Iterator[tuple[int, Value]]:
    """Number and value of each field, in order."""
    at, end = 0, len(message)
    while at < end:
        key, at = _varint(message, at)
        number, wire = key >> 3, key & 7
        if number == 0:
            raise BadInput("the ONNX file has a field of number 0: it is damaged")
        if wire == _VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if wire == _BYTES:
            length, at = _varint(message, at)
        elif wire in (_FIXED32, _FIXED64):
            length = 4 if wire == _FIXED32 else 8
        else:
            raise BadInput(f"the ONNX file has a field of wire type {wire}: it is damaged")
        if length > end - at:
            raise BadInput("the ONNX file ends within a field: it is truncated or damaged")
        yield number, message[at : at + length]
        at += length


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """Seven bits a byte, the lowest first, ten bytes at most; and where the next field begins."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            raise BadInput("the ONNX file ends within a number: it is truncated or damaged")
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >= 2**64:
                break
            return value, at
    raise BadInput("the ONNX file has a number of more than 64 bits: it is damaged")


def _signed(value: Value) -> int:
    """int64, in two's complement."""
    if not isinstance(value, int):
        raise BadInput("the ONNX file has bytes where a number belongs: it is damaged")
    return value - 2**64 if value >= 2**63 else value


def _integers(value: Value) -> list[int]:
    """Of a repeated field: one, or a packed list."""
    if isinstance(value, int):
        return [_signed(value)]
    found, at = [], 0
    while at < len(value):
        number, at = _varint(value, at)
        found.append(_signed(number))
    return found


def _bytes(value: Value, what: str) -> memoryview:
    if isinstance(value, int):
        raise BadInput(f"the ONNX file has a number where {what} belongs: it is damaged")
    return value


def _text(value: Value) -> str:
    try:
        return str(_bytes(value, "text"), "utf-8")
    except UnicodeDecodeError:
        raise BadInput("the ONNX file has a name that is not UTF-8: it is damaged") from None


def _shown(name: str) -> str:
    return ascii(name if len(name) <= 80 else f"{name[:77]}...")
