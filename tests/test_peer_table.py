"""Saved comparisons: what the table says of them, and that nothing broken is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench import __main__ as command_line
from bench.saved import peers, runs, storage
from bench.views import matrix
from bench.views import peers as view
from bench.views.tables import render
from tests.altered import altered
from tests.stats import stats

TIME = {
    "ratio": 1.5, "low": 1.4, "high": 1.6, "pairs": 20, "min_seconds": 3e-6,
    "max_error_ulp": 0.5, "inexact": None,
}  # fmt: skip
GOOD: dict[str, Any] = {
    "format": "baremetal-ml peers",
    "version": 1,
    "datetime": "2026-01-02T03:04:05+00:00",
    "machine_info": {"cpu": {"brand_raw": "A CPU"}},
    "libraries": {
        "numpy": {"version": "2.0"},
        "torch": {"version": "2.4"},
        "blis": {"unavailable": "blis: no libblis; get it with: apt-get install libblis4"},
    },
    "warnings": ["libraries are held back"],
    "cells": [
        {
            "kernel": "relu_f32", "size": "1000", "threads": 1, "tier": "avx2",
            "min_seconds": 2e-6, "max_error_ulp": 0.0,
            "peers": {"numpy": TIME, "torch": {**TIME, "ratio": 0.996, "low": 0.99, "high": 1.01}},
        },
        {
            "kernel": "matmul_f32", "size": "64", "threads": 2, "tier": "avx2_omp",
            "min_seconds": 5e-6, "max_error_ulp": 1.0,
            "peers": {
                "numpy": {**TIME, "ratio": 0.83, "inexact": "matmul_f32 64 numpy: 99 ULP"},
                "torch": {"wrong": "matmul_f32 64 torch: is not the result"},
            },
        },
        {
            "kernel": "matmul_f32", "size": "65", "threads": 2, "tier": "avx2_omp",
            "min_seconds": 5e-6, "peers": {"numpy": {**TIME, "ratio": 1.0}},
        },
        {
            "kernel": "matmul_f32", "size": "66", "threads": 2, "tier": "avx2_omp",
            "min_seconds": None, "peers": {"torch": {"unavailable": "torch has none"}},
        },
    ],
}  # fmt: skip


def changed(path: str, value: Any) -> dict[str, Any]:
    return altered(GOOD, path, value)


def rows() -> list[list[str]]:
    (table,) = view.view(peers.from_json(GOOD)).tables
    return table.rows


def test_every_figure_below_one_is_marked_and_no_other() -> None:
    (table,) = view.view(peers.from_json(GOOD)).tables
    header, cells = table.header, table.rows
    assert header[4:6] == ["numpy", "torch"]
    assert cells[0][4:] == ["1.50", "0.9960<", "torch", "0.9960<", "0.99-1.01"]
    assert cells[1][4:] == ["0.83!<", "wrong", "numpy", "0.83!<", "1.40-1.60"]
    assert cells[2][4:7] == ["1.00", "", "numpy"]
    assert cells[3][3:] == ["", "", "", "", "", ""]


def test_the_summary_counts_cells_and_names_the_lowest() -> None:
    summary = view.summary(peers.from_json(GOOD))
    assert summary.startswith("1 of 3 cells at or above 1.0; lowest: 0.83!<")
    assert "matmul_f32 64 on 2 threads, numpy" in summary


@pytest.mark.parametrize(
    ("others", "median_over_min", "spoiled"),
    [
        (0.04, 1.2, False),
        (0.06, 1.0, True),
        (None, 1.4, True),
        (0.0, 1.29, False),
        (None, None, None),
    ],
)
def test_a_cell_that_a_busy_machine_spoiled_is_marked_and_counted(
    others: float | None, median_over_min: float | None, spoiled: bool | None
) -> None:
    cells = [
        {**GOOD["cells"][0], "others": others, "median_over_min": median_over_min},
        {**GOOD["cells"][2], "others": 0.01, "median_over_min": 1.01},
        {**GOOD["cells"][2], "size": "67"},  # as saved before: not known
    ]
    run = peers.from_json({**GOOD, "cells": cells})
    assert [cell.spoiled for cell in run.cells] == [spoiled, False, None]
    table = view.view(run).tables[0]
    assert table.rows[0][-1] == "0.99-1.01" + ("~" if spoiled else "")
    assert table.rows[1][-1] == "1.40-1.60"
    assert any(note.startswith("~ others used") for note in table.notes) == bool(spoiled)
    known = 1 if spoiled is None else 2
    said = f"1 of {known} spoiled by a busy machine (~)" if spoiled else f"none of {known} spoiled"
    assert said in view.summary(run)


def test_a_comparison_that_knows_nothing_of_the_machine_says_nothing_of_it() -> None:
    assert "spoiled" not in view.summary(peers.from_json(GOOD))


def test_the_notes_say_what_is_inexact_wrong_missing_and_held_back() -> None:
    text = render(view.view(peers.from_json(GOOD)), "text")
    for part in ("! timed, though", "not timed: matmul_f32 64 torch", "skipped: blis: no libblis",
                 "warning: libraries are held back", "avx2 on 1, avx2_omp on 2"):  # fmt: skip
        assert part in text


def test_the_formats_agree() -> None:
    run = peers.from_json(GOOD)
    text, markdown = render(view.view(run), "text"), render(view.view(run), "md")
    for line in rows():
        assert all(cell in text for cell in line)
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    assert len(lines) == len(rows()) + 2
    assert json.loads(render(view.view(run), "json")) == GOOD


def test_a_comparison_without_any_library_has_a_table_too() -> None:
    run = peers.from_json({**GOOD, "cells": GOOD["cells"][3:]})
    assert "No cell could be compared." in render(view.view(run), "text")


# --- The matrix of a run with peers --------------------------------------------------------------


def run_of(*variants: tuple[str, int | None, float]) -> runs.Run:
    """relu_f32 1000 by variants, each with its threads and seconds."""
    info = {
        "kernel": "relu_f32", "size": "1000", "shape": [1000], "flops": 1000, "bytes": 8000,
        "rate": "GB/s", "error_unit": "ULP", "max_error_ulp": 0, "confirmed": True,
        "gflops": 1, "gbps": 1,
    }  # fmt: skip
    sides = {"c": "native", "peer": "peer", "py": "python"}
    benchmarks = [
        {
            "fullname": variant,
            "stats": stats(seconds),
            "extra_info": {
                **info, "variant": variant, "side": sides[variant.partition("-")[0]],
                "threads": threads, "relaxed": variant == "c-fastmath",
            },
        }
        for variant, threads, seconds in variants
    ]  # fmt: skip
    machine = {
        "peers": {"numpy": {"version": "2"}, "blis": {"unavailable": "blis: get it"}},
        "refused_peers": {"torch relu_f32 1000": "relu_f32 1000 peer-torch: element 3"},
    }
    return runs.from_json({"benchmarks": benchmarks, "machine_info": machine})


NATIVE = (("c-fastmath", 1, 1e-6), ("c-avx2", 1, 2e-6), ("c-avx2_omp", 2, 2e-6))
WIDE = (("c-avx512", 1, 1e-6), ("c-avx512_omp", 2, 0.5e-6))


@pytest.mark.parametrize(
    ("tiers", "threads", "factor"),
    [
        (NATIVE, 1, "2.00x"),
        (NATIVE, 2, "2.00x"),
        (NATIVE, 3, ""),
        (NATIVE + WIDE, 1, "4.00x"),
        (NATIVE + WIDE, 2, "8.00x"),
    ],
    ids=["one", "two", "three", "one-wide", "two-wide"],
)
def test_the_best_peer_meets_the_fastest_tier_on_as_many_threads(
    tiers: tuple[tuple[str, int, float], ...], threads: int, factor: str
) -> None:
    run = run_of(*tiers, ("peer-numpy", threads, 4e-6), ("peer-torch", threads, 9e-6))
    table = matrix.table(run)
    header, (cells,) = table.header, table.rows
    assert (header[-1], cells[-1]) == ("x best peer", factor)
    text = render(matrix.view(run), "text")
    assert "skipped: blis: get it" in text
    assert "not timed: relu_f32 1000 peer-torch: element 3" in text


def test_a_run_without_peers_has_nothing_of_them() -> None:
    run = run_of(*NATIVE)
    assert "x best peer" not in matrix.table(run).header
    assert "peer" not in render(matrix.view(run), "text")


# --- Saving and reading --------------------------------------------------------------------------


def test_what_is_saved_is_read_back(tmp_path: Path) -> None:
    path = peers.KIND.save(GOOD, tmp_path / "new" / "peers.json")
    assert peers.load(path).cells == peers.from_json(GOOD).cells
    assert [p.name for p in path.parent.iterdir()] == ["peers.json"]


def test_what_cannot_be_saved_leaves_what_was_there(tmp_path: Path) -> None:
    path = peers.KIND.save(GOOD, tmp_path / "peers.json")
    with pytest.raises(TypeError):
        peers.KIND.save({"datetime": object()}, path)
    assert json.loads(path.read_text(encoding="utf-8")) == GOOD
    assert len(list(tmp_path.iterdir())) == 1


def test_the_default_place_is_not_where_benchmark_runs_are_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = peers.KIND.save(GOOD)
    assert path == Path(".peers/2026-01-02T03-04-05.json")
    with pytest.raises(runs.BadRun):
        storage.newest()


BAD_VALUES = [
    ("format", ...),
    ("format", "another"),
    ("version", 2),
    ("datetime", "yesterday"),
    ("libraries", ...),
    ("libraries.numpy", 3),
    ("warnings", ...),
    ("warnings", [3]),
    ("machine_info", 5),
    ("cells", ...),
    ("cells", []),
    ("cells", [7]),
    ("cells.0.kernel", ...),
    ("cells.0.size", 5),
    ("cells.0.threads", -1),
    ("cells.0.tier", ""),
    ("cells.0.min_seconds", 0),
    ("cells.0.min_seconds", None),
    ("cells.0.others", 1.5),
    ("cells.0.others", "few"),
    ("cells.0.median_over_min", 0.9),
    ("cells.0.peers", ...),
    ("cells.0.peers.numpy", "fast"),
    ("cells.0.peers.numpy.ratio", ...),
    ("cells.0.peers.numpy.ratio", 0),
    ("cells.0.peers.numpy.ratio", float("nan")),
    ("machine_info.cpu.brand_raw", float("inf")),
    ("cells.0.peers.numpy.low", "1"),
    ("cells.0.peers.numpy.pairs", 1.5),
    ("cells.0.peers.numpy.inexact", 1),
    ("cells.1.peers.torch.wrong", ""),
]


@pytest.mark.parametrize(("path", "value"), BAD_VALUES, ids=lambda v: v if "." in str(v) else "")
def test_a_bad_value_is_named_in_one_line(
    path: str, value: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "peers.json"
    file.write_text(json.dumps(changed(path, value)), encoding="utf-8")
    assert command_line.main(["peers", "--from", str(file)]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert str(file) in error


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe", b"{", b"[1]", b"[" * 100_000])
def test_a_file_that_is_none_is_named_in_one_line(
    content: bytes | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "peers.json"
    if content is not None:
        file.write_bytes(content)
    assert command_line.main(["peers", "--from", str(file)]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert str(file) in error


def test_a_saved_comparison_is_drawn_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = peers.KIND.save(GOOD, tmp_path / "peers.json")
    for form in ("text", "md", "json"):
        assert command_line.main(["peers", "--from", str(path), "--format", form]) == 0
    assert "relu\\_f32" in capsys.readouterr().out
