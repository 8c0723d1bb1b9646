"""Files of weights: what train.py saves is read; anything else is refused in one line."""

from __future__ import annotations

import json
import math
import struct
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import engine
from engine.errors import BadInput
from engine.files import MODELS, load_gpt
from engine.gpt import VERSE
from engine.safetensors import MAX_HEADER, Tensor, parse
from tests.models import (
    SMALL,
    content_of,
    header_of,
    model,
    packed,
    saved,
    worst,
    write_card,
)


@pytest.mark.parametrize("dtype", ["F16", "F32"])
def test_a_saved_model_is_read(dtype: str, tmp_path: Path) -> None:
    given = model("small")
    read = load_gpt(saved(tmp_path, given, dtype))
    assert read.config == SMALL
    for name, values in given.weights.items():
        assert worst(read.weights[name], values) <= (0 if dtype == "F32" else 2**-9)
    assert read.session().generate("a", 9) == read.session("idiomatic").generate("a", 9)


def test_a_file_without_a_card_is_of_verse(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(content_of(model("verse")))
    assert engine.load(str(path)).config == VERSE


def refusal(path: object) -> str:
    with pytest.raises(BadInput) as raised:
        engine.load(path)  # type: ignore[arg-type]
    (line,) = str(raised.value).splitlines()
    return line


@pytest.mark.parametrize(
    "alter",
    [
        lambda content: content[:-1],
        lambda content: content[: len(content) // 2],
        lambda content: content + b"\0",
        lambda content: content[:-9] + bytes([content[-9] ^ 1]) + content[-8:],
        lambda content: b"",
    ],
)
def test_a_file_that_was_altered_is_told_by_its_hash(
    tmp_path: Path, alter: Callable[[bytes], bytes]
) -> None:
    path = saved(tmp_path, model("small"))
    path.write_bytes(alter(path.read_bytes()))
    assert "model.safetensors: is not the file that model.json tells of" in refusal(path)


def test_a_model_of_other_sizes_is_named(tmp_path: Path) -> None:
    path = saved(tmp_path, model("small"))
    (tmp_path / "model.json").unlink()
    reason = "wte.weight has the shape [256, 32], needs [256, 128]"
    assert refusal(path) == f"model.safetensors: {reason}"


CARDS = [
    "",
    "[]",
    "nonsense",
    "{}",
    '{"sha256": 1, "config": {}}',
    '{"sha256": "", "config": {"layers": 1}}',
    '{"sha256": "", "config": null}',
    "[" * 100_000,
    "\ufeff{}",
]


@pytest.mark.parametrize("card", CARDS, ids=range(len(CARDS)))
def test_a_card_that_is_none_is_said(tmp_path: Path, card: str) -> None:
    path = saved(tmp_path, model("small"))
    (tmp_path / "model.json").write_text(card, encoding="utf-8")
    assert refusal(path).endswith("model.json: needs sha256 and config with all sizes")


def test_a_card_of_an_impossible_model_is_said(tmp_path: Path) -> None:
    path = saved(tmp_path, model("small"))
    card = json.loads((tmp_path / "model.json").read_text())
    card["config"]["heads"] = 5
    (tmp_path / "model.json").write_text(json.dumps(card))
    assert refusal(path).endswith("model.json: heads: got 5, needs a divisor of the width 32")


def test_what_is_no_file_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "folder.safetensors"
    folder.mkdir()
    assert refusal(folder).endswith("got no regular file, needs one")
    assert refusal("/dev/zero.safetensors").endswith("No such file or directory")
    assert (
        refusal("nothing") == "model: got 'nothing', needs 'verse', 'magika' or a .safetensors file"
    )
    assert refusal(3) == "model: got int, needs a name or a path"
    assert "null" in refusal("a\0.safetensors")
    assert "\\n" in refusal("a\nb.safetensors")


def test_a_package_without_its_weights_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "is_file", lambda self: False)
    assert "verse.safetensors is missing; install the package again" in refusal("verse")


def test_the_weights_that_ship_are_those_of_their_card() -> None:
    if not (MODELS / "verse.safetensors").is_file():
        pytest.skip("engine/models/verse.safetensors is not there yet")
    assert engine.load("verse").config == VERSE
    assert 0.5 < json.loads((MODELS / "verse.json").read_text())["held_out_loss"] < 2


# --- Hostile files -------------------------------------------------------------------------------


def test_tensors_of_any_shape_are_read() -> None:
    header = {
        "__metadata__": {"format": "pt"},
        "b": {"dtype": "F32", "shape": [], "data_offsets": [4, 8]},
        "a": {"dtype": "F16", "shape": [2, 1], "data_offsets": [0, 4]},
        "none": {"dtype": "F16", "shape": [3, 0], "data_offsets": [4, 4]},
    }
    assert parse(packed(header, struct.pack("<eef", 1, -2, 0.5)), "x") == {
        "b": Tensor((), array("f", [0.5])),
        "a": Tensor((2, 1), array("f", [1, -2])),
        "none": Tensor((3, 0), array("f")),
    }


def entry(**changes: Any) -> dict[str, Any]:
    return {"dtype": "F16", "shape": [2], "data_offsets": [0, 4], **changes}


TWO = {"a": entry(), "b": entry(data_offsets=[4, 8])}
BAD_FILES: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "got 0 bytes, needs 8 and a header"),
    "half a length": (b"\1\0\0", "got 3 bytes, needs 8 and a header"),
    "a header beyond the end": (struct.pack("<Q", 9) + b"{}", "got a header of 9 bytes in a file"),
    "a huge header": (struct.pack("<Q", 2**64 - 1), "got a header of 18446744073709551615 bytes"),
    "a long header": (packed(b" " * (MAX_HEADER + 1), b""), "got a header of 1048577 bytes"),
    "no JSON": (packed(b"{a", b""), "the header is no JSON: "),
    "no UTF-8": (packed(b'{"\xff": 1}', b""), "the header is no JSON: "),
    "deep JSON": (packed(b"[" * 200_000, b""), "the header is no JSON: "),
    "a long number": (packed(b'{"a": ' + b"9" * 5000 + b"}", b""), ""),
    "NaN": (packed(b'{"a": NaN}', b""), "the header has NaN, which is no JSON"),
    "a list": (packed([], b""), "the header is no JSON object"),
    "a name twice": (packed(b'{"a": 1, "a": 2}', b""), "the header has a name twice"),
    "a key twice": (packed(b'{"a": {"dtype": 1, "dtype": 2}}', b""), "the header has a name twice"),
    "metadata": (packed({"__metadata__": {"a": 1}}, b""), "__metadata__ of the header"),
    "no entry": (packed({"a": 1}, b""), "a: needs dtype, shape and data_offsets"),
    "a key too many": (packed({"a": entry(more=1)}, bytes(4)), "a: needs dtype, shape and"),
    "an unknown type": (packed({"a": entry(dtype="BF16")}, bytes(4)), "a: got dtype 'BF16', needs"),
    "a type of types": (packed({"a": entry(dtype=["F16"])}, bytes(4)), "a: got dtype ['F16'], "),
    "a negative size": (packed({"a": entry(shape=[-2])}, bytes(4)), "a: the shape is no list"),
    "a size of true": (packed({"a": entry(shape=[True])}, bytes(4)), "a: the shape is no list"),
    "half a size": (packed({"a": entry(shape=[2.0])}, bytes(4)), "a: the shape is no list"),
    "many dimensions": (packed({"a": entry(shape=[1] * 9)}, bytes(4)), "a: the shape is no list"),
    "a huge shape": (packed({"a": entry(shape=[2**31] * 8)}, bytes(4)), "a: has 4 bytes, its"),
    "one offset": (packed({"a": entry(data_offsets=[4])}, bytes(4)), "a: data_offsets is no start"),
    "backwards": (packed({"a": entry(data_offsets=[4, 0])}, bytes(4)), "a: data_offsets is no"),
    "below": (packed({"a": entry(data_offsets=[-4, 0])}, bytes(4)), "a: data_offsets is no start"),
    "another size": (packed({"a": entry(shape=[3])}, bytes(4)), "a: has 4 bytes, its shape need"),
    "beyond the end": (packed({"a": entry()}, bytes(3)), "the tensors need 4 bytes and the file"),
    "more at the end": (packed({"a": entry()}, bytes(5)), "the tensors need 4 bytes and the file"),
    "overlap": (packed({**TWO, "b": entry(data_offsets=[2, 6])}, bytes(6)), "b: overlaps another"),
    "the same bytes": (packed({**TWO, "b": entry()}, bytes(4)), "b: overlaps another tensor"),
    "a gap": (packed({**TWO, "b": entry(data_offsets=[5, 9])}, bytes(9)), "b: lies after a gap"),
    "infinity": (packed({"a": entry()}, b"\0\x7c\0\0"), "a: has NaN or infinity"),
    "both infinities": (packed({"a": entry()}, b"\0\x7c\0\xfc"), "a: has NaN or infinity"),
    "a number that is none": (packed({"a": entry()}, b"\0\0\1\x7e"), "a: has NaN or infinity"),
    "a name to fool terminals": (packed({"\x1b[2J": 1}, b""), "\\x1b[2J: needs dtype, shape"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "reason"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_bad_file_is_refused_in_one_line(content: bytes, reason: str) -> None:
    with pytest.raises(BadInput) as raised:
        parse(content, "x\n")
    assert str(raised.value).startswith(f"x\\n: {reason}") and str(raised.value).isprintable()


TINY = content_of(model("least"))
HEADER = header_of(model("least").config)
SIZE = max(end for entry in HEADER.values() for end in entry["data_offsets"])  # of the tensors

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)


def read_or_refused(content: bytes) -> None:
    """As a file it is a model or it is refused; that it is anything else fails the test."""
    try:
        tensors = parse(content, "x")
    except BadInput as error:
        assert str(error).isprintable()
        return
    for tensor in tensors.values():
        assert len(tensor.values) == math.prod(tensor.shape)
        assert all(map(math.isfinite, tensor.values))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=64), st.integers(0, 2**64 - 1))
def test_any_bytes_are_read_or_refused(content: bytes, length: int) -> None:
    read_or_refused(content)
    read_or_refused(struct.pack("<Q", length) + content)
    read_or_refused(packed(content, b""))


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(TINY)), st.binary(max_size=6), st.integers(0, 6))
def test_a_file_with_bytes_altered_is_read_or_refused(at: int, put: bytes, cut: int) -> None:
    read_or_refused(TINY[:at] + put + TINY[at + cut :])


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(sorted(HEADER)),
    st.sampled_from(["dtype", "shape", "data_offsets"]),
    json_values,
)
def test_a_header_with_a_value_altered_is_read_or_refused(name: str, key: str, value: Any) -> None:
    altered = {**HEADER, name: {**HEADER[name], key: value}}
    read_or_refused(packed(altered, TINY[-SIZE:]))
    read_or_refused(packed({**HEADER, name: value}, TINY[-SIZE:]))


def test_a_tensor_too_many_or_too_few_is_named(tmp_path: Path) -> None:
    given = model("least")
    path = tmp_path / "x.safetensors"
    more = {**HEADER, "other": {"dtype": "F16", "shape": [1], "data_offsets": [SIZE, SIZE + 2]}}
    content = packed(more, bytes(SIZE + 2))
    path.write_bytes(content)
    write_card(path, content, given.config)
    assert refusal(path) == "x.safetensors: other: is nothing that this model has"
    last = max(HEADER, key=lambda name: HEADER[name]["data_offsets"])
    content = packed(
        {k: v for k, v in HEADER.items() if k != last}, bytes(HEADER[last]["data_offsets"][0])
    )
    path.write_bytes(content)
    write_card(path, content, given.config)
    assert refusal(path) == f"x.safetensors: {last}: is missing"
