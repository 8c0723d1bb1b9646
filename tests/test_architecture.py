"""docs/architecture.md: its map is that of the imports, and what it names is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.test_layers import ROOT, imports

TEXT = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")


def table(text: str) -> dict[str, set[str]]:
    """From the page: what each room imports; a room of bench/ by its own name."""
    rows = re.findall(r"^\| `([^`]+)` \|.*\|([^|]*)\|$", text, re.MULTILINE)
    return {room.removeprefix("bench/"): set(re.findall(r"`([^`]+)`", last)) for room, last in rows}


MAP = table(TEXT)


def room_of(module: str) -> str:
    """bench.saved.runs is in saved, build_ffi in build_ffi.py."""
    top, _, rest = module.partition(".")
    if top == "bench":
        return rest.partition(".")[0]
    return top if (ROOT / top).is_dir() else f"{top}.py"


def files(room: str) -> list[Path]:
    if room == "cli":
        return [*(ROOT / "bench").glob("*.py"), *(ROOT / "bench/cli").rglob("*.py")]
    if room.endswith(".py"):
        return [ROOT / room]
    return sorted(next(p for p in (ROOT / "bench" / room, ROOT / room) if p.is_dir()).rglob("*.py"))


def rooms_of(*paths: Path) -> set[str]:
    """The rooms that the files import from."""
    return {room_of(module) for path in paths for module in imports(path)} & set(MAP)


def test_every_room_is_named() -> None:
    rooms = {path.parent.name for path in (ROOT / "bench").glob("*/__init__.py")}
    kernels = {path.parent.name for path in ROOT.glob("kernels_*/__init__.py")}
    assert set(MAP) == {"conftest.py", "build_ffi.py", "engine", *rooms, *kernels}


@pytest.mark.parametrize("room", MAP)
def test_the_map_is_that_of_the_imports(room: str) -> None:
    made = rooms_of(*files(room)) - {room}
    assert MAP[room] == made, f"{room} imports {sorted(made)}"


def test_rows_import_from_rows_below() -> None:
    order = list(MAP)
    for room, others in MAP.items():
        assert all(order.index(other) > order.index(room) for other in others), room


def test_a_wrong_arrow_would_be_noticed() -> None:
    assert table("| `bench/stats` | pure | `views`, `saved` |\n") == {"stats": {"views", "saved"}}
    assert "saved" in MAP["views"] and "measure" not in MAP["views"]
    assert room_of("bench.saved.runs") == "saved" and room_of("build_ffi") == "build_ffi.py"
    assert rooms_of(ROOT / "bench/measure/session.py") >= {"measure", "saved", "suite"}


def test_what_it_names_is_there() -> None:
    named = set(re.findall(r"`([\w.]+/[\w./]+)`", TEXT))
    assert len(named) > 10
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_it_is_a_page_and_no_book() -> None:
    assert TEXT.count("\n") <= 60
