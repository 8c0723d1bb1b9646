"""Every reader of files, and a file that some bytes make of a good one: fuzz.py has a fuzzer choose
the bytes, and the tests draw a few.

    python -m tests.hostile [OPTION...]     Atheris, with options of libFuzzer; needs '.[fuzz]'

Whatever is in a file, a reader returns what it read, or refuses in one line.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

from bench.saved import alignment, archive, contention, doctor, gates, ledger
from bench.saved.checks import Refusal
from engine import files, onnx, safetensors
from engine.errors import BadInput
from tests.checkout import ROOT
from tests.test_engine_onnx import SMALL

# What JSON can hold and a program rarely expects.
_VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**63, -(2**64), 10**400, 0.0, -0.0, 1e-320, 1e308, float("nan"),
    float("inf"), "", "\0", "\ud800", "\x1b[2J", "nan", "1e9", "../../x", "x" * 5000, [], {}, [[]],
    {"": None}, [0] * 3000, {"format": 1},
)  # fmt: skip
_LITERALS = (b"1e999", b"-0", b"[" * 3000, b'"\\ud800"', b"\xef\xbb\xbf", b"\xff\xfe", b"\0", b"//")


class Bytes:
    """The bytes that decide; zeros follow the last."""

    def __init__(self, data: bytes) -> None:
        self._data = iter(data)

    def below(self, count: int) -> int:
        high, low = next(self._data, 0), next(self._data, 0)
        return (high << 8 | low) % max(1, count)


def _places(content: Any) -> Iterator[tuple[Any, Any]]:
    """(container, key) of all that is in there."""
    inside = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in list(inside):
        yield content, key
        if isinstance(value, dict | list):
            yield from _places(value)


def altered_json(text: bytes, choice: Bytes) -> bytes:
    """A leaf or a branch is replaced, dropped or doubled, once or more; then bytes of the text."""
    content = json.loads(text)
    for _ in range(choice.below(4)):
        places = list(_places(content))
        if not places:
            break
        inside, key = places[choice.below(len(places))]
        how = choice.below(8)
        if how == 0:
            del inside[key]
        elif how == 1 and isinstance(inside, list):
            inside.append(deepcopy(inside[key]))
        elif how == 2 and isinstance(inside, dict):
            inside[str(key) + " "] = inside.pop(key)
        elif how == 3:
            other, name = places[choice.below(len(places))]
            if isinstance(other[name], str | int | float | None):
                inside[key] = other[name]
        else:
            inside[key] = deepcopy(_VALUES[choice.below(len(_VALUES))])
    try:
        return altered_bytes(json.dumps(content).encode("utf-8", "surrogatepass"), choice)
    except ValueError:  # an integer that Python does not print
        return text


def altered_bytes(content: bytes, choice: Bytes) -> bytes:
    altered = bytearray(content)
    for _ in range(choice.below(3)):
        place = choice.below(len(altered) + 1)
        how = choice.below(5)
        if how == 0:
            del altered[place:]
        elif how == 1:
            altered[place : place + 1] = _LITERALS[choice.below(len(_LITERALS))]
        elif how == 2:
            del altered[place : place + 1 + choice.below(9)]
        elif place < len(altered):
            altered[place] = choice.below(256)
    return bytes(altered)


# --- Readers --------------------------------------------------------------------------------------


def _shortened(path: Path) -> bytes:
    """A saved file with the first few entries of each long list."""

    def short(value: Any) -> Any:
        if isinstance(value, list):
            return [short(item) for item in value[:2]]
        if isinstance(value, dict):
            return {key: short(item) for key, item in list(value.items())[:40]}
        return value

    return json.dumps(short(json.loads(path.read_text(encoding="utf-8")))).encode()


_LOADS: tuple[Callable[[Path], object], ...] = (
    archive.read, gates.load, doctor.load, alignment.load, contention.load, files.read_card,
)  # fmt: skip


def _json(content: bytes) -> None:
    """All that read JSON get to see it, whatever it says that it is. Raises the last refusal if
    none takes it."""
    reasons = []
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        file.write(content)
        file.flush()
        for load in _LOADS:
            reasons += _refused(load, Path(file.name))
    if len(reasons) == len(_LOADS):
        raise reasons[-1]


def _refused(load: Callable[[Path], object], path: Path) -> list[Exception]:
    try:
        load(path)
    except (Refusal, BadInput) as reason:
        _in_one_line(reason)
        return [reason]
    return []


def _ledger(content: bytes) -> None:
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        ledger.load(Path(file.name))


def _in_one_line(reason: Exception) -> None:
    said = str(reason)
    assert said and said.isprintable() and len(said) <= 2003, repr(said[:300])


Reader = tuple[Callable[[bytes], object], Callable[[bytes, Bytes], bytes], bytes]


@cache
def readers() -> list[Reader]:
    """What reads, what alters, and a file that is good."""
    results = ROOT / "results"
    names = ("reference", "engine", "peers", "alignment", "contention")
    saved = [results / f"{name}.json" for name in names]
    saved += sorted((ROOT / "tests/data").glob("*.json"))
    saved += [ROOT / "engine/models/verse.json", next((results / "interpreters").glob("*.json"))]
    found: list[Reader] = [(_json, altered_json, _shortened(path)) for path in saved]
    lines = (results / "gate-ledger.jsonl").read_bytes().splitlines()
    found.append((_ledger, altered_json, lines[0]))
    header = json.dumps({"w": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}).encode()
    tensors = len(header).to_bytes(8, "little") + header + bytes(24)

    def parse(content: bytes) -> object:
        return safetensors.parse(content, "x.safetensors")

    found.append((parse, altered_bytes, tensors))
    found.append((onnx.read_graph, altered_bytes, SMALL))
    return found


def try_one(data: bytes) -> bytes:
    """One reader gets the file that these bytes make; the file. Raises what no reader may."""
    choice = Bytes(data)
    read, alter, good = readers()[choice.below(len(readers()))]
    content = alter(good, choice)
    try:
        read(content)
    except (Refusal, BadInput) as reason:
        _in_one_line(reason)
    return content


def main() -> None:
    import atheris

    atheris.instrument_all()
    readers()
    atheris.Setup(sys.argv, lambda data: try_one(data) and None)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
