"""The table of growth, its command, and its chart."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from bench import __main__ as command_line
from bench.analysis.history import archive_of
from bench.saved.runs import Run, from_json
from bench.views.explain import scaling as view
from bench.views.report import scaling_chart
from bench.views.report.parts import Figure
from bench.views.report.sections import sizes
from bench.views.tables import render
from tests.altered import altered
from tests.growing import CACHES, LENGTHS, REFERENCE, case, case_without_metadata, content, run_of


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


def figure_of(run: Run) -> Figure:
    section = sizes.section(archive_of(run), run)
    assert section
    (figure,) = section.figures
    return figure


def marks_of(figure: Figure) -> dict[str, float]:
    """By their names, where they stand on the axis of sizes."""
    texts = [text for text in figure.drawn.iter("text") if text.get("class") == "label"]
    ticks = {}
    for group in figure.drawn.iter("g"):
        if group.get("class", "").startswith("axis x"):
            ticks = {t.text or "": float(t.get("x", 0)) for t in group.iter("text")}
    (first, second) = sorted(ticks.values())[:2]
    powers = {v: "10⁰¹²³⁴⁵⁶⁷⁸⁹"[2:].index(k[2:]) for k, v in ticks.items()}
    step = (second - first) / (powers[second] - powers[first])
    found = {}
    for text in texts:
        beside = -7 if text.get("text-anchor") == "end" else 7
        place = float(text.get("x", 0)) - beside
        found[text.text or ""] = 10 ** (powers[first] + (place - first) / step)
    return found


def both_sides(caches: dict[str, int] | None = CACHES) -> Run:
    return from_json(
        content(
            *(case("py-loop", (n,), 1e-7 + 1e-8 * n) for n in LENGTHS),
            *(case("c-avx2", (n,), 1e-7 + 1e-10 * n**1.1) for n in LENGTHS),
            caches=caches,
        )
    )


def test_the_table_has_exponents() -> None:
    figure = figure_of(both_sides())
    assert figure.table.header == ["size", "py-loop", "c-avx2"]
    assert figure.table.rows[-1] == ["grows as size^", "1.00", "1.10"]
    assert "to the power of 1.00 to 1.10" in figure.words


def test_marks_stand_where_the_buffers_fill_a_cache() -> None:
    marks = marks_of(figure_of(both_sides()))
    assert marks == pytest.approx({"L1": CACHES["L1"] / 8, "L2": CACHES["L2"] / 8}, rel=0.05)


def test_marks_of_products_go_by_their_bytes() -> None:
    sides = (8, 16, 64, 256)  # 12 bytes n^2: L1 is full at 52.3
    run = from_json(content(*(case("c-avx2", (n, n, n), 1e-9 * n**3) for n in sides)))
    figure = figure_of(run)
    assert marks_of(figure)["L1"] == pytest.approx((CACHES["L1"] / 12) ** 1.5, rel=0.05)
    assert any(text.text == "multiply-adds (log)" for text in figure.drawn.iter("text"))


def test_without_cache_sizes_there_are_no_marks() -> None:
    assert marks_of(figure_of(both_sides(caches=None))) == {}


def test_the_size_from_which_native_code_is_ahead_is_marked() -> None:
    slow_calls = [case("c-avx2", (n,), 1e-5 + 1e-10 * n) for n in LENGTHS]
    run = from_json(content(*(case("py-loop", (n,), 1e-8 * n) for n in LENGTHS), *slow_calls))
    marks = {n: at for n, at in marks_of(figure_of(run)).items() if n.startswith("=")}
    ((name, place),) = marks.items()
    assert (
        int(name[2:].replace(",", "")) == pytest.approx(place, rel=0.05) == pytest.approx(1010, 0.1)
    )


@pytest.mark.parametrize("largest", [4097, 50_000, 2_000_000, 5_000_000])
@pytest.mark.parametrize("count", [1, 3, 11])
def test_everything_stays_inside(largest: int, count: int) -> None:
    benchmarks = [
        case(f"c-t{i}", (n,), seconds)
        for i in range(count)
        for n, seconds in ((1, 1e-7), (largest, 1e-3))
    ]
    drawn = figure_of(from_json(content(*benchmarks))).drawn
    _, _, width, height = map(int, drawn.get("viewBox", "").split())
    for group in [drawn, *drawn.iter("g")]:
        moved = re.match(r"translate\((\S+), (\S+)\)", group.get("transform", ""))
        left, top = map(float, moved.groups()) if moved else (0.0, 0.0)
        for text in group.findall("text") if moved else ():
            wide = 7.2 * len(text.text or "")
            start = left + float(text.get("x", 0)) - wide * (text.get("text-anchor") == "end")
            assert start >= 0 and start + wide <= width + 1, text.text
            assert 0 < top + float(text.get("y", 0)) < height


def test_variants_beside_the_ladder_are_not_drawn() -> None:
    beside = [case("c-scalar_lists", (n,), 1e-7 * n) for n in LENGTHS]
    for benchmark in beside:
        benchmark["extra_info"]["auxiliary"] = True
    run = from_json(content(*beside, *(case("c-avx2", (n,), 1e-9 * n) for n in LENGTHS)))
    assert figure_of(run).table.header == ["size", "c-avx2"]
    assert "c-scalar_lists" in render(view.view(run), "text")  # the table has room
    assert scaling_chart(from_json(content(*beside)), "k") is None


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
