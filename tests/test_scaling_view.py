"""The table of growth, its command, and its chart."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from bench import __main__ as command_line
from bench.saved.runs import Run, from_json
from bench.views.explain import scaling as view
from bench.views.report import charts, scaling_chart
from bench.views.tables import render
from tests.altered import altered
from tests.growing import CACHES, LENGTHS, REFERENCE, case, case_without_metadata, content, run_of

SVG = "{http://www.w3.org/2000/svg}"


def test_the_formats_agree_on_the_reference_run() -> None:
    run = from_json(json.loads(REFERENCE.read_text(encoding="utf-8")))
    (table,) = view.view(run).tables
    header, cells = table.header, table.rows
    text, markdown = (render(view.view(run), form) for form in ("text", "md"))
    assert len(cells) == len({(metadata.kernel, metadata.variant) for _, metadata in run.ours})
    for line in cells:
        assert len(line) == len(header) and all(cell in text for cell in line)
    rows = [line for line in markdown.splitlines() if line.startswith("|")]
    assert len(rows) == len(cells) + 2
    assert {row.count("|") - row.count("\\|") for row in rows} == {len(header) + 1}
    as_json = json.loads(render(view.view(run), "json"))
    assert [[v["kernel"], v["variant"]] for v in as_json["variants"]] == [c[:2] for c in cells]


def test_many_sizes_are_not_called_few_and_unconfirmed_ones_are_marked() -> None:
    steady = render(view.view(run_of({n: 1e-9 * n for n in LENGTHS})), "text")
    assert "Few sizes" not in steady and "~" not in steady
    shaky = render(view.view(run_of({n: 1e-9 * n for n in LENGTHS}, confirmed=False)), "text")
    assert "~1.000 +- 0.000" in shaky
    cases = [case("c-avx2", (n,), 1e-9 * n, confirmed=n > 8) for n in LENGTHS]
    one_of_many = render(view.view(from_json(content(*cases))), "text")
    assert " 1.000 +- 0.000" in one_of_many and "not confirmed" in one_of_many


def test_kernels_can_be_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["scaling", str(REFERENCE), "--kernel", "relu_f32"]) == 0
    said = capsys.readouterr().out
    assert "relu_f32" in said and "matmul_f32" not in said


@pytest.mark.parametrize(
    ("arguments", "needs"),
    [
        (["--kernel", "silu"], "needs one of relu_f32"),
        (["--svg", "x.svg"], "exactly one --kernel"),
        (["--svg", "x.svg", "--kernel", "relu_f32", "softmax_f32"], "exactly one --kernel"),
        (["--svg", ".", "--kernel", "relu_f32"], "name of a file"),
    ],
)
def test_bad_requests_are_one_line(
    arguments: list[str],
    needs: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command_line.main(["scaling", str(REFERENCE), *arguments]) == 2
    error = capsys.readouterr().err
    assert needs in error and error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_foreign_benchmarks_do_not_grow(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"benchmarks": [case_without_metadata()]}))
    assert command_line.main(["scaling", str(tmp_path / "run.json")]) == 2
    assert "no benchmark of this suite" in capsys.readouterr().err


@pytest.mark.parametrize("path", ["benchmarks.0.stats.min", "benchmarks.0.extra_info.shape"])
def test_a_damaged_run_is_named(
    path: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = altered(content(case("c-avx2", (8,), 1.0)), path, ...)
    (tmp_path / "run.json").write_text(json.dumps(damaged))
    assert command_line.main(["scaling", str(tmp_path / "run.json")]) == 2
    assert "run.json" in capsys.readouterr().err


def test_runs_of_two_machines_are_not_mixed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, python in (("a.json", "3.11.7"), ("b.json", "3.13.0")):
        made = content(case("c-avx2", (8,), 1.0), python_version=python)
        (tmp_path / name).write_text(json.dumps(made))
    assert command_line.main(["scaling", str(tmp_path / "a.json"), str(tmp_path / "b.json")]) == 3
    error = capsys.readouterr().err
    assert "3.11.7" in error and "3.13.0" in error and error.count("\n") == 1


# --- The chart -----------------------------------------------------------------------------------


def chart_of(run: Run) -> Any:
    return charts.time_against_size(run, "k")


def svg_of(run: Run) -> ET.Element:
    drawn = scaling_chart(run, "k")
    assert drawn
    return ET.fromstring(drawn)


def labels(svg: ET.Element) -> list[str | None]:
    return [text.text for text in svg.iter(f"{SVG}text") if text.get("class") == "label"]


def both_sides(caches: dict[str, int] | None = CACHES) -> Run:
    return from_json(
        content(
            *(case("py-loop", (n,), 1e-7 + 1e-8 * n) for n in LENGTHS),
            *(case("c-avx2", (n,), 1e-7 + 1e-10 * n**1.1) for n in LENGTHS),
            caches=caches,
        )
    )


def test_the_legend_has_exponents() -> None:
    names = [options["title"] for _, options in chart_of(both_sides()).raw_series]
    assert names[-2:] == ["py-loop, size^1.00", "c-avx2, size^1.10"]
    few = run_of({n: 1e-9 * n for n in (8, 64)})
    assert [options["title"] for _, options in chart_of(few).raw_series] == ["c-avx2"]


def test_marks_stand_where_the_buffers_fill_a_cache() -> None:
    chart = chart_of(both_sides())
    marks = [values for values, options in chart.raw_series if options["title"] is None]
    places = [values[0][0] for values in marks]
    assert places == pytest.approx([CACHES["L1"] / 8, CACHES["L2"] / 8])  # L3 holds all of it
    svg = svg_of(both_sides())
    assert labels(svg) == ["L1 32 KiB", "L2 1 MiB"]
    entries = next(g for g in svg.iter(f"{SVG}g") if g.get("class") == "legends")
    assert len(list(entries.iter(f"{SVG}text"))) == 2  # marks are not in it
    assert {"L1 32 KiB", "L2 1 MiB"} <= {title.text for title in svg.iter(f"{SVG}title")}


def test_marks_of_products_go_by_their_bytes() -> None:
    sides = (8, 16, 64, 256)  # 12 bytes n^2: L1 is full at 52.3
    run = from_json(content(*(case("c-avx2", (n, n, n), 1e-9 * n**3) for n in sides)))
    chart = chart_of(run)
    place = chart.raw_series[0][0][0][0]
    assert place == pytest.approx((CACHES["L1"] / 12) ** 1.5)
    assert chart.config.x_title == "multiply-adds"


def test_without_cache_sizes_there_are_no_marks() -> None:
    assert labels(svg_of(both_sides(caches=None))) == []


@pytest.mark.parametrize("largest", [4097, 50_000, 2_000_000, 5_000_000])
def test_labels_of_marks_stay_inside(largest: int) -> None:
    svg = svg_of(run_of({1: 1e-7, largest: 1e-3}))
    width = int(svg.get("viewBox", "").split()[2])
    plot = next(g for g in svg.iter(f"{SVG}g") if g.get("class") == "plot")
    left = float(plot.get("transform", "").partition("(")[2].partition(",")[0])
    for text in svg.iter(f"{SVG}text"):
        if text.get("class") == "label":
            end = left + float(text.get("x", 0))
            wide = 7 * len(text.text or "")
            inside = end - wide > left if text.get("text-anchor") == "end" else end + wide < width
            assert inside, text.text


@pytest.mark.parametrize("count", range(1, 12))
def test_the_legend_of_a_marked_chart_ends_where_the_chart_does(count: int) -> None:
    benchmarks = [case(f"c-t{i}", (n,), 1e-9 * n) for i in range(count) for n in LENGTHS]
    svg = svg_of(from_json(content(*benchmarks)))
    legends = next(g for g in svg.iter(f"{SVG}g") if g.get("class") == "legends")
    top = float(legends.get("transform", "").partition(",")[2].rstrip(")"))
    bottom = top + max(float(text.get("y", 0)) for text in legends.iter(f"{SVG}text"))
    height = int(svg.get("viewBox", "").split()[3])
    assert 10 < height - bottom < 20


def test_variants_beside_the_ladder_are_not_drawn() -> None:
    beside = [case("c-scalar_lists", (n,), 1e-7 * n) for n in LENGTHS]
    for benchmark in beside:
        benchmark["extra_info"]["auxiliary"] = True
    run = from_json(content(*beside, *(case("c-avx2", (n,), 1e-9 * n) for n in LENGTHS)))
    names = [options["title"] for _, options in chart_of(run).raw_series]
    assert [name for name in names if name] == ["c-avx2, size^1.00"]
    assert "c-scalar_lists" in render(view.view(run), "text")  # the table has room
    assert chart_of(from_json(content(*beside))) is None


def test_the_chart_is_a_file_and_the_same_each_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = tmp_path / "a" / "one.svg", tmp_path / "two.svg"
    for path in (first, second):
        chosen = ["--kernel", "matmul_f32", "--svg", str(path)]
        assert command_line.main(["scaling", str(REFERENCE), *chosen]) == 0
    assert capsys.readouterr().out.split() == [str(first), str(second)]
    text = first.read_text(encoding="utf-8")
    assert text == second.read_text(encoding="utf-8")
    assert ET.fromstring(text).get("role") == "img"
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "") and "<script" not in text
    assert [path.name for path in first.parent.iterdir()] == ["one.svg"]


def test_a_chart_that_cannot_be_drawn_leaves_the_old_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run.json").write_text(json.dumps(content(case("c-avx2", (8,), 1.0))))
    (tmp_path / "old.svg").write_text("mine")
    chosen = ["--kernel", "k", "--svg", str(tmp_path / "old.svg")]
    assert command_line.main(["scaling", str(tmp_path / "run.json"), *chosen]) == 2
    assert "at one size only" in capsys.readouterr().err
    assert (tmp_path / "old.svg").read_text() == "mine"


def test_a_hostile_name_is_text() -> None:
    name = "<script>\"'&../"
    benchmarks = [case(f"c-{name}", (n,), 1e-9 * n) for n in LENGTHS]
    for benchmark in benchmarks:
        benchmark["extra_info"]["kernel"] = name
    drawn = scaling_chart(from_json(content(*benchmarks)), name)
    assert drawn and "<script" not in drawn
    ET.fromstring(drawn)
