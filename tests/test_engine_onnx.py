"""The ONNX reader: what it reads, and one line for whatever else a file may hold."""

from __future__ import annotations

import random
import struct
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import magika, onnx
from engine.errors import BadInput
from engine.magika_weights import weights_of

# --- A writer, for what no library would write ---------------------------------------------------


def varint(value: int) -> bytes:
    found = bytearray()
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value % 2**64)


def chunk(field: int, *parts: bytes | str) -> bytes:
    content = b"".join(p.encode() if isinstance(p, str) else p for p in parts)
    return varint(field << 3 | 2) + varint(len(content)) + content


def tensor(name: str, dims: list[int], data_type: int, *fields: bytes) -> bytes:
    sizes = b"".join(number(1, size) for size in dims)
    return chunk(5, sizes, number(2, data_type), chunk(8, name), *fields)


def model(*parts: bytes) -> bytes:
    return number(1, 8) + chunk(7, *parts)


RAW = chunk(9, struct.pack("<3f", 1.0, 2.0, 3.0))
SMALL = model(
    chunk(1, chunk(1, "x"), chunk(1, "w"), chunk(2, "y"), chunk(4, "Mul")),
    tensor("w", [3, 1], 1, RAW),
    tensor("packed", [2], 7, chunk(7, varint(5), varint(2**64 - 1))),
    tensor("plain", [2], 6, number(5, 7), number(5, -8)),
    tensor("floats", [1], 1, varint(4 << 3 | 5), struct.pack("<f", 0.5)),
)


def test_what_it_reads() -> None:
    graph = onnx.read_graph(SMALL)
    assert graph.nodes == [onnx.Node("Mul", ("x", "w"), ("y",), {})]
    found = {
        n: (t.dims, t.values.typecode, t.values.tolist()) for n, t in graph.initializers.items()
    }
    assert found == {
        "w": ((3, 1), "f", [1.0, 2.0, 3.0]),
        "packed": ((2,), "q", [5, -1]),
        "plain": ((2,), "i", [7, -8]),
        "floats": ((1,), "f", [0.5]),
    }


def test_it_reads_what_the_library_writes() -> None:
    library = pytest.importorskip("onnx", reason="needs onnx: pip install -e '.[peers]'")
    helper, types = library.helper, library.TensorProto
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["y"], strides=[1, 2], group=1, auto_pad="VALID"),
        helper.make_node("Identity", ["y"], ["z"]),
    ]
    weights = [
        helper.make_tensor("w", types.FLOAT, [2, 2], [1.0, -2.0, 3.0, 4.0]),
        helper.make_tensor("v", types.INT64, [2], [-1, 2**40]),
        helper.make_tensor("scalar", types.INT32, [], [-3]),
        helper.make_tensor("raw", types.INT32, [1], struct.pack("<i", -5), raw=True),
    ]
    values = [helper.make_tensor_value_info(n, types.FLOAT, [2]) for n in "xz"]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], weights)
    found = onnx.read_graph(helper.make_model(graph).SerializeToString())
    assert found.nodes[0].attributes == {"strides": (1, 2), "group": 1, "auto_pad": ()}
    assert [(n.op_type, n.inputs, n.outputs) for n in found.nodes] == [
        ("Conv", ("x", "w"), ("y",)),
        ("Identity", ("y",), ("z",)),
    ]
    assert {n: t.values.tolist() for n, t in found.initializers.items()} == {
        "w": [1.0, -2.0, 3.0, 4.0],
        "v": [-1, 2**40],
        "scalar": [-3],
        "raw": [-5],
    }
    assert found.initializers["scalar"].dims == ()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the ONNX file has 0 graphs, needs one"),
        (model() + model(), "the ONNX file has 2 graphs, needs one"),
        (number(7, 1), "a number where graph belongs"),
        (model(number(1, 1)), "a number where node belongs"),
        (model(number(5, 1)), "a number where initializer belongs"),
        (SMALL[:-1], "ends within a field: it is truncated or damaged"),
        (b"\x80", "ends within a number: it is truncated or damaged"),
        (b"\x80" * 10 + b"\x01", "a number of more than 64 bits"),
        (b"\xff" * 9 + b"\x7f", "a number of more than 64 bits"),
        (b"\x00\x00", "a field of number 0"),
        (b"\x0b", "a field of wire type 3"),
        (b"\x3a\xff\xff\xff\xff\x0f", "ends within a field"),
        (model(chunk(1, chunk(4, b"\xff"))), "a name that is not UTF-8"),
        (model(chunk(1, chunk(5, number(1, 5)))), "a number where text belongs"),
        (model(chunk(1, chunk(5, chunk(3, "x")))), "bytes where a number belongs"),
        (model(tensor("w", [3], 1, RAW), tensor("w", [3], 1, RAW)), "two initializers named 'w'"),
        (model(tensor("w", [3], 11, RAW)), "tensor 'w': data type 11; float32, int32 and int64"),
        (model(tensor("w", [4], 1, RAW)), r"tensor 'w': 3 values for dimensions \[4\]"),
        (model(tensor("w", [3], 1)), r"tensor 'w': 0 values for dimensions \[3\]"),
        (model(tensor("w", [-1, -3], 1, RAW)), "tensor 'w': a dimension of -1"),
        (model(tensor("w", [2**62] * 8, 1, RAW)), "tensor 'w': a dimension of"),
        (model(tensor("w", [2**24] * 8, 1, RAW)), "tensor 'w': 3 values for dimensions"),
        (model(tensor("w", [1] * 9, 1, RAW)), "tensor 'w': 9 dimensions, at most 8"),
        (model(tensor("w", [3], 1, chunk(9, b"12345"))), "tensor 'w': bytes length not a multiple"),
        (model(tensor("w", [1], 6, number(5, 2**31))), "tensor 'w': "),
        (model(tensor("w", [1], 1, number(4, 1))), "a number where float_data belongs"),
        (model(tensor("a\nb" * 99, [1], 1)), r"tensor 'a\\nb[^\n]*\.\.\.': 0 values"),
        (bytes(onnx.MAX_BYTES + 1), "16777217 bytes; at most 16777216 are read"),
    ],
)
def test_what_is_wrong_is_one_line(data: bytes, message: str) -> None:
    with pytest.raises(BadInput, match=message) as refused:
        onnx.read_graph(data)
    assert "\n" not in str(refused.value)


def read_or_refused(data: bytes) -> Any:
    try:
        return onnx.read_graph(data)
    except BadInput as refused:
        assert "\n" not in str(refused)
        return None


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    read_or_refused(data)


@given(st.data())
@settings(max_examples=300)
def test_a_changed_file_is_read_or_refused(data: st.DataObject) -> None:
    changed = bytearray(SMALL)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(changed) - 1))
        changed[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    read_or_refused(bytes(changed))


# --- Magika's own file ---------------------------------------------------------------------------


@cache
def magika_file() -> bytes:
    package = pytest.importorskip("magika", reason="needs magika: pip install '.[magika]'")
    return Path(package.__file__).parent.joinpath(magika._MODEL).read_bytes()


def known_or_refused(data: bytes) -> None:
    graph = read_or_refused(data)
    if graph is None:
        return
    try:
        weights_of(graph)
    except BadInput as refused:
        assert "\n" not in str(refused)


def test_magikas_file_cut_anywhere_is_refused() -> None:
    content, drawn = magika_file(), random.Random(4)
    for _ in range(100):
        with pytest.raises(BadInput):
            onnx.read_graph(content[: drawn.randrange(len(content))])


def test_magikas_file_with_changed_bytes_is_known_or_refused() -> None:
    """Outside the weights' raw data, which is most of the file: nodes come first."""
    content, drawn = magika_file(), random.Random(5)
    structure = content.index(b"LayerNorm_1/Reshape_3:0J")
    for _ in range(60):
        changed = bytearray(content)
        for _ in range(drawn.randint(1, 3)):
            changed[drawn.randrange(structure)] = drawn.randrange(256)
        known_or_refused(bytes(changed))
