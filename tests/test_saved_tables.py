"""Saved tables of every kind: what they say, and that nothing broken is read or drawn."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench import __main__ as command_line
from bench.saved import alignment, contention
from bench.views import alignment as alignment_view
from bench.views import contention as contention_view
from bench.views.tables import View, render
from tests.altered import altered

TOP: dict[str, Any] = {
    "version": 1,
    "datetime": "2026-01-02T03:04:05+00:00",
    "machine_info": {"cpu": {"brand_raw": "A CPU"}},
    "warnings": ["it was hot"],
}
RATIO = {"ratio": 1.0, "low": 0.99, "high": 1.01, "pairs": 20}
ALIGNMENT: dict[str, Any] = {
    **TOP,
    "format": "baremetal-ml alignment",
    "cells": [
        {
            "kernel": "relu_f32", "size": "2048", "level": "L1", "tier": "avx2",
            "min_seconds": 2e-7,
            "offsets": {
                "both 4": {**RATIO, "ratio": 1.2}, "result 16": {**RATIO, "ratio": 1.0504},
                "both 64": RATIO,
            },
        },
        {
            "kernel": "relu_f32", "size": "2048 in place", "level": "L1", "tier": "avx2",
            "min_seconds": 2e-7,
            "offsets": {"both 4": {**RATIO, "ratio": 1.05}, "both 64": {**RATIO, "ratio": 0.99}},
        },
    ],
}  # fmt: skip
CONDITION = {
    "seconds": 2e-4, "single_seconds": 3e-4, "speedup": 1.9, "over_quiet": 1.0, "turns": 7,
    "libraries": {"torch": 1.5, "numpy": 3.0},
}  # fmt: skip
CONTENTION: dict[str, Any] = {
    **TOP,
    "format": "baremetal-ml contention",
    "unavailable": ["blis: no libblis"],
    "cells": [
        {
            "kernel": "gelu_erf_f32", "size": "600011", "threads": 2, "tier": "avx2_omp",
            "single": "avx2",
            "conditions": {
                "quiet": CONDITION,
                "busy neighbour": {**CONDITION, "speedup": 0.9496, "libraries": {"torch": 0.9}},
                "first call": {**CONDITION, "libraries": {}, "over_quiet": 2.5},
            },
            "recoveries_ms": [1.0, 7.25, 2.0],
            "refused": {"onnxruntime": "gelu_erf_f32 600011 onnxruntime: is not the result"},
            "others": 0.25,
        },
    ],
}  # fmt: skip
# By command: a table, and what reads and draws its JSON.
TABLES: dict[str, tuple[dict[str, Any], Callable[[Any], View]]] = {
    "alignment": (ALIGNMENT, lambda content: alignment_view.view(alignment.from_json(content))),
    "contention": (
        CONTENTION,
        lambda content: contention_view.view(contention.from_json(content)),
    ),
}
KINDS = {"alignment": alignment.KIND, "contention": contention.KIND}


def shown(command: str) -> View:
    content, view = TABLES[command]
    return view(content)


def test_what_is_lost_off_a_line_is_marked_and_counted() -> None:
    (table,) = shown("alignment").tables
    assert table.header[3:] == ["on a line", "both 4", "result 16", "both 64"]
    assert [row[4:] for row in table.rows] == [["1.200>", "1.050>", "1.00"], ["1.05", "", "0.99"]]
    assert table.title == (
        "1 of 3 cells within 5 %; worst: 1.200> (relu_f32 2048 in L1, both 4); "
        "control: 0.99 to 1.00"
    )


def test_what_several_threads_lose_is_marked_and_counted() -> None:
    conditions, recoveries = shown("contention").tables
    assert [row[3:] for row in conditions.rows] == [
        ["200us", "1.90", "1.00", "torch", "1.50"],
        ["200us", "0.9496<", "1.00", "torch", "0.90<"],
        ["200us", "1.90", "2.50", "", ""],
    ]
    assert recoveries.rows == [["gelu_erf_f32", "600011", "2.0", "7.2"]]
    assert conditions.title == (
        "Several threads at or above 0.95 of one in 2 of 3 cells; lowest: 0.9496< "
        "(gelu_erf_f32 600011, busy neighbour). At or ahead of the best library in 1 of 2; lowest: "
        "0.90< (gelu_erf_f32 600011, busy neighbour, torch)"
    )


def test_the_notes_say_what_spoiled_it_and_who_is_missing() -> None:
    text = render(shown("contention"), "text")
    for part in (
        "other programs had 25% of the cores",
        "skipped: blis",
        "warning: it was hot",
        "not timed: gelu_erf_f32 600011 onnxruntime",
        "avx2_omp on 2 threads",
    ):
        assert part in text


@pytest.mark.parametrize("command", TABLES)
def test_the_formats_agree_and_json_is_what_was_saved(command: str) -> None:
    view = shown(command)
    text, markdown = render(view, "text"), render(view, "md")
    for table in view.tables:
        assert all(cell in text for row in table.rows for cell in row)
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    assert len(lines) == sum(len(table.rows) + 2 for table in view.tables)
    assert json.loads(render(view, "json")) == TABLES[command][0]


@pytest.mark.parametrize("command", TABLES)
def test_what_is_saved_is_drawn_again_by_its_command_and_in_documents(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    path = KINDS[command].save(TABLES[command][0])
    assert path == Path(f".{command}/2026-01-02T03-04-05.json")
    for form in ("text", "md", "json"):
        assert command_line.main([command, "--from", str(path), "--format", form]) == 0
    markdown = render(shown(command), "md")
    assert markdown in capsys.readouterr().out
    document = tmp_path / "page.md"
    document.write_text(f"<!-- render: {command} {path} -->\n<!-- end -->\n", encoding="utf-8")
    assert command_line.main(["render", str(document)]) == 0
    assert markdown in document.read_text(encoding="utf-8")


BAD_VALUES = [
    *((command, path, value) for command in TABLES for path, value in [
        ("format", "another"), ("version", 2), ("datetime", "yesterday"), ("warnings", [3]),
        ("machine_info", 5), ("machine_info.cpu.brand_raw", float("inf")),
        ("cells", ...), ("cells", []), ("cells", [7]), ("cells.0.kernel", ...),
        ("cells.0.size", 5), ("cells.0.tier", ""),
    ]),
    ("alignment", "cells.0.level", 1),
    ("alignment", "cells.0.min_seconds", 0),
    ("alignment", "cells.0.offsets", ...),
    ("alignment", "cells.0.offsets.both 4", 1.0),
    ("alignment", "cells.0.offsets.both 4.ratio", float("nan")),
    ("alignment", "cells.0.offsets.both 4.pairs", 1.5),
    ("contention", "unavailable", ...),
    ("contention", "cells.0.threads", -1),
    ("contention", "cells.0.conditions", []),
    ("contention", "cells.0.conditions.quiet.seconds", None),
    ("contention", "cells.0.conditions.quiet.speedup", 0),
    ("contention", "cells.0.conditions.quiet.libraries.torch", "fast"),
    ("contention", "cells.0.recoveries_ms", []),
    ("contention", "cells.0.recoveries_ms", [-1]),
    ("contention", "cells.0.refused.onnxruntime", 3),
    ("contention", "cells.0.others", 2),
]  # fmt: skip


@pytest.mark.parametrize(("command", "path", "value"), BAD_VALUES)
def test_a_bad_value_is_named_in_one_line(
    command: str, path: str, value: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "table.json"
    content = altered(TABLES[command][0], path, value)
    file.write_text(json.dumps(content), encoding="utf-8")
    assert command_line.main([command, "--from", str(file)]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert str(file) in error


@pytest.mark.parametrize("command", TABLES)
def test_another_commands_file_is_refused(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (other,) = set(TABLES) - {command}
    path = KINDS[other].save(TABLES[other][0], tmp_path / "other.json")
    assert command_line.main([command, "--from", str(path)]) == 2
    assert f"'baremetal-ml {command}' of version 1" in capsys.readouterr().err
