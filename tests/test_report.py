"""The HTML report: from small hand-made runs, through the same door as real ones."""

from __future__ import annotations

import json
import math
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from random import Random
from typing import Any

import pytest

from bench.analysis.changes import changes
from bench.analysis.history import Archive, archive_of
from bench.analysis.trends import fewest
from bench.measure.derived import add_derived_figures
from bench.saved import gates, peers
from bench.saved.runs import Run, from_json, one_line
from bench.saved.schema import MARK
from bench.views.report import page, parts, scaling_chart, svg, write_report
from tests.checkout import ROOT
from tests.stats import MACHINE, OPTIONS, stats

SVG = "{http://www.w3.org/2000/svg}"
SIDES = {"py": "python", "c": "native", "peer": "peer"}
HOSTILE = "<script>alert('\"&\u00fc\u4e16')</script>"


def case(kernel: str, variant: str, n: int, seconds: float, **more: Any) -> dict[str, Any]:
    """One benchmark of this suite, of n elements."""
    return {
        "fullname": f"test_bench.py::test_{kernel}[{variant}-{n}]",
        "stats": stats(seconds, **{"iqr": seconds / 100, **more}),
        "options": OPTIONS,
        "extra_info": {
            **MARK,
            "kernel": kernel,
            "variant": variant,
            "side": SIDES[variant.partition("-")[0]],
            "relaxed": variant == "c-fastmath",
            "size": str(n),
            "shape": [n],
            "flops": n,
            "bytes": 8 * n,
            "rate": "GB/s",
            "max_error_ulp": 0.5,
            "error_unit": "ULP of the true value",
            "confirmed": True,
        },
    }


def foreign(name: str, seconds: float) -> dict[str, Any]:
    return {"fullname": name, "stats": stats(seconds, iqr=seconds / 100), "options": OPTIONS}


def make_run(*benchmarks: dict[str, Any], day: int = 1, **machine: Any) -> Run:
    add_derived_figures(list(benchmarks))
    return from_json(
        {
            "datetime": f"2025-11-{day:02}T10:00:00",
            "commit_info": {"id": f"{day:07}", "dirty": False},
            "machine_info": {**MACHINE, **machine},
            "benchmarks": list(benchmarks),
        }
    )


def typical(day: int = 1, factor: float = 1.0, **machine: Any) -> Run:
    """Two kernels at two sizes, of which the larger is 1250x, 20x and 0.5x."""
    times = {"py-loop": 2.0, "py-idiomatic": 1.0, "c-debug": 0.05, "c-avx2": 0.0008}
    return make_run(
        *(
            case(kernel, variant, n, seconds * n / 1000 * factor)
            for kernel in ("relu_f32", "gelu_erf_f32")
            for n in (10, 1000)
            for variant, seconds in times.items()
        ),
        foreign("tests/test_x.py::test_y", 1e-3 * factor),
        day=day,
        **machine,
    )


def written(archive: Archive | list[Run], directory: Path) -> dict[str, str]:
    found = archive if isinstance(archive, Archive) else archive_of(*archive)
    return {path.name: path.read_text("utf-8") for path in write_report(found, directory)}


def sections(*contents: Any) -> dict[str, parts.Section]:
    archive = archive_of(*contents)
    found = page.sections(archive, archive.subject)
    return {section.name: section for section in found}


def texts(drawn: ET.Element, css_class: str) -> list[str]:
    found = (t for t in drawn.iter("text") if css_class in t.get("class", "").split())
    return [text.text or "" for text in found]


def titles(drawn: ET.Element) -> list[str]:
    return [title.text or "" for title in drawn.iter("title")]


class BalancedHtml(HTMLParser):
    """Fails on a tag that is closed twice, never, or in the wrong order; keeps what was met."""

    VOID = frozenset({"meta", "link", "br", "img"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.said: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.said.append(data)


# --- The files -----------------------------------------------------------------------------------


def test_files_are_listed_page_first_and_nothing_else_is_left(tmp_path: Path) -> None:
    paths = write_report(archive_of(typical(1), typical(2)), tmp_path / "deep" / "report")
    assert [path.name for path in paths[:3]] == ["index.html", "matrix.md", "report.json"]
    assert {"factors.svg", "time-relu_f32.svg", "trend-gelu_erf_f32.svg", "trend-other.svg"} <= {
        path.name for path in paths
    }
    assert set((tmp_path / "deep" / "report").iterdir()) == set(paths)


def test_files_are_well_formed_and_charts_are_named(tmp_path: Path) -> None:
    files = written([typical(1), typical(2)], tmp_path)
    parsed = BalancedHtml(files["index.html"])
    in_page = [attributes for tag, attributes in parsed.tags if tag == "svg"]
    charts = {name: text for name, text in files.items() if name.endswith(".svg")}
    assert len(in_page) == len(charts) > 5
    assert all(a["role"] == "img" and a["aria-label"] for a in in_page)
    ids = [attributes["id"] for _, attributes in parsed.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for text in charts.values():
        root = ET.fromstring(text)
        title = root.findtext(f"{SVG}title")
        assert root.get("role") == "img"
        assert title and title == root.get("aria-label") and "pygal" not in title.lower()


def test_same_runs_give_the_same_bytes(tmp_path: Path) -> None:
    first = written([typical(1), typical(2)], tmp_path / "a")
    assert first == written([typical(1), typical(2)], tmp_path / "b")
    assert not any("<!--" in text for text in first.values())  # pygal's holds the date of the day


def test_nothing_is_loaded_and_no_chart_has_a_script(tmp_path: Path) -> None:
    loads = re.compile(r"""(?:src|srcset|data|action)\s*=|href\s*=\s*"[^#]|url\(|@import|<\?xml-""")
    for name, text in written([typical(1), typical(2)], tmp_path).items():
        page_text, _, script = text.partition("<script>")
        assert not loads.search(page_text), name
        assert "http" not in text.replace("http://www.w3.org/2000/svg", ""), name
        assert bool(script) == (name == "index.html"), name
        assert "fetch" not in script and "import" not in script


def test_light_and_dark(tmp_path: Path) -> None:
    light, dark = svg.PAGE["paper"]
    files = written([typical()], tmp_path)
    for name in [name for name in files if name.endswith(("html", "svg"))]:
        before, _, after = files[name].partition("prefers-color-scheme")
        assert light in before and dark in after, name


@pytest.mark.parametrize(("theme", "shown", "hidden"), [("light", 0, 1), ("dark", 1, 0)])
def test_a_chart_for_one_background_has_only_that(theme: str, shown: int, hidden: int) -> None:
    (figure,) = sections(typical())["factors"].figures
    text = svg.document(figure.drawn, theme)
    assert svg.PAGE["paper"][shown] in text and svg.PAGE["paper"][hidden] not in text


def test_the_matrix_is_a_file_for_a_summary(tmp_path: Path) -> None:
    text = written([typical()], tmp_path)["matrix.md"]
    assert text.startswith("### BareMetal-ML: A CPU")
    assert "| relu\\_f32, 1000 |" in text and "<details><summary>The whole matrix" in text


def test_the_data_is_a_file(tmp_path: Path) -> None:
    content = json.loads(written([typical(1), typical(2, 1.5)], tmp_path)["report.json"])
    assert content["format"] == "baremetal-ml report" and content["runs"] == 2
    factors = {row["kernel"]: row["factor"] for row in content["sections"]["factors"]["content"]}
    assert factors == pytest.approx({"relu_f32": 1250, "gelu_erf_f32": 1250})
    compared = content["sections"]["history"]["content"]["compared"]["benchmarks"]
    assert [row["ratio"] for row in compared] == pytest.approx([1.5] * len(compared))


# --- Failures ------------------------------------------------------------------------------------


def test_a_directory_that_is_a_file_is_an_oserror(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(OSError):
        write_report(archive_of(typical()), tmp_path / "taken")
    assert (tmp_path / "taken").read_text() == "mine"


def test_a_full_disk_leaves_the_last_report_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = written([typical(1)], tmp_path)
    write_text = Path.write_text

    def full(path: Path, text: str, **options: Any) -> int:
        if path.suffix == ".svg":
            write_text(path, text[:100])
            raise OSError(28, "No space left on device")
        return write_text(path, text, **options)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space"):
        write_report(archive_of(typical(2, factor=3)), tmp_path)
    assert {path.name: path.read_text("utf-8") for path in tmp_path.iterdir()} == before


# --- The finding ---------------------------------------------------------------------------------


def test_the_finding_has_the_largest_and_the_smallest_factor() -> None:
    times = {"relu_f32": 0.5, "gelu_f32": 0.01}
    benchmarks = [
        case(kernel, variant, 10, seconds)
        for kernel, native in times.items()
        for variant, seconds in (("py-loop", 1.0), ("c-avx2", native))
    ]
    for benchmark in benchmarks:
        benchmark["extra_info"]["uncertainty"] = 0.01
    first, second, third = sections(make_run(*benchmarks))["finding"].words
    assert "between 2.00x (relu_f32 at 10) and 100x" in first and "(gelu_f32 at 10)" in first
    assert "has not measured the limits" in second
    assert (
        third == "How sure: 2 of 2 factors rest on times that repeat: within 1.4% in the middle, "
        "1.4% at worst (relu_f32)."
    )


def test_the_finding_says_what_holds_each_kernel_back() -> None:
    native = case("relu_f32", "c-avx2", 10, 0.5)
    native["extra_info"] |= {"bound": "DRAM", "percent_of_limit": 93.0}
    run = make_run(case("relu_f32", "py-loop", 10, 1.0), native)
    assert "the bandwidth of DRAM for relu_f32 (93%)" in sections(run)["finding"].words[1]


def test_the_finding_says_which_factors_rest_on_one_call() -> None:
    slow = case("k", "py-loop", 10, 1.0, rounds=1, iqr=0.0)
    slow["extra_info"] |= {"confirmed": False, "uncertainty": None}
    (*_, third) = sections(make_run(slow, case("k", "c-avx2", 10, 0.5)))["finding"].words
    assert third.startswith(
        "How sure: none of 1 factor: they rest on a time that was not confirmed"
    )


def test_a_run_of_others_has_a_finding_too() -> None:
    words = sections(make_run(foreign("t.py::a", 1.0), foreign("t.py::b", 2.0)))["finding"].words
    assert words[0] == "2 benchmarks, from 1.00s (t.py::a) to 2.00s (t.py::b)."


# --- Charts --------------------------------------------------------------------------------------


def test_printed_factors_are_those_of_the_fastest_native_tier() -> None:
    (figure,) = sections(typical())["factors"].figures
    assert texts(figure.drawn, "label") == ["1,250x", "1,250x"]
    assert "relu_f32 1000, c-debug: 20.0x" in titles(figure.drawn)
    assert figure.table.header == ["kernel", "size", "py-loop", "py-idiomatic", "c-debug", "c-avx2"]
    assert figure.table.rows[0] == ["relu_f32", "1000", "0.500x", "1.00x", "20.0x", "1,250x"]


def test_a_ladder_is_a_waterfall_whose_bars_meet() -> None:
    rungs = [
        {"variant": v, "idea": "an idea", "reason": "a reason"}
        for v in ("py-loop", "c-debug", "c-avx2")
    ]
    (figure, _) = sections(typical(ladders={"relu_f32": rungs, "gelu_erf_f32": rungs}))[
        "ladders"
    ].figures
    assert texts(figure.drawn, "label") == ["1.00x", "40.0x", "62.5x"]
    bars = [
        rect
        for group in figure.drawn.iter("g")
        if "ghost" not in group.get("class", "") and group.find("g[@class='bars']") is not None
        for rect in group.iter("rect")
        if float(rect.get("width", 0)) > 0
    ]
    (debug, avx2) = [(float(b.get("x", 0)), float(b.get("width", 0))) for b in bars]
    assert debug[0] + debug[1] == pytest.approx(avx2[0], abs=0.2)
    assert avx2[1] / debug[1] == pytest.approx(math.log(62.5) / math.log(40), rel=0.01)


def test_a_rung_that_leads_back_is_hollow() -> None:
    rungs = [
        {"variant": v, "idea": "i", "reason": "r"} for v in ("py-idiomatic", "py-loop", "c-avx2")
    ]
    (figure, *_) = sections(typical(ladders={"relu_f32": rungs}))["ladders"].figures
    assert sum("hollow" in g.get("class", "") for g in figure.drawn.iter("g")) == 3  # its layers


def limit(name: str, level: str | None, rate: float) -> dict[str, Any]:
    unit = "B" if level else "FLOP"
    return {"name": name, "level": level, "cores": 1, "working_set": 4096, "per_second": rate,
            "unit": unit}  # fmt: skip


def test_a_roofline_has_every_tier_and_every_ceiling() -> None:
    slopes = [limit("read", f"L{n}", 1e11 / 10**n) for n in (1, 2, 3)]
    section = sections(typical(limits=[limit("fma", None, 1e11), *slopes]))["roofline"]
    (figure,) = section.figures
    assert texts(figure.drawn, "label") == ["L1", "L2", "L3", "1 core"]
    said = titles(figure.drawn)
    for variant in ("py-loop", "py-idiomatic", "c-debug", "c-avx2"):
        assert any(title.startswith(f"relu_f32 1000, {variant}: ") for title in said)
    assert "ceilings: L1 10 GB/s, L2 1 GB/s, L3 0.1 GB/s, 1 core 100 GFLOP/s" in figure.words
    assert len(section.folded[0].figures) == 2


def test_ceilings_that_are_near_are_named_together() -> None:
    rates = {"L1": 1.1e10, "L2": 1e10, "DRAM": 1e8}
    slopes = [limit("read", level, rate) for level, rate in rates.items()]
    run = typical(limits=[limit("fma", None, 1e11), *slopes])
    (figure,) = sections(run)["roofline"].figures
    assert texts(figure.drawn, "label") == ["L1, L2", "DRAM", "1 core"]


def test_each_width_of_registers_has_its_peak() -> None:
    """What is written for AVX2 is judged by AVX2's."""
    peaks = [
        limit("fma", None, rate) | {"tier": t} for t, rate in (("avx2", 1e11), ("avx512", 8e11))
    ]
    (figure,) = sections(typical(limits=[*peaks, limit("read", "L1", 1e10)]))["roofline"].figures
    assert texts(figure.drawn, "label") == ["L1", "avx512, 1 core", "avx2, 1 core"]


def test_a_single_size_has_no_line_over_size() -> None:
    run = make_run(case("relu_f32", "py-loop", 10, 1.0), case("relu_f32", "c-avx2", 10, 0.01))
    assert scaling_chart(run, "relu_f32") is None
    assert "sizes" not in sections(run)


def test_time_against_size_has_every_point() -> None:
    (relu, _) = sections(typical())["sizes"].figures
    assert len([c for c in relu.drawn.iter("circle") if "dot" in c.get("class", "")]) == 8
    assert "c-avx2, 1000: 800us" in titles(relu.drawn)


def test_without_python_there_are_times_but_no_factors() -> None:
    run = make_run(case("relu_f32", "c-avx2", 10, 1e-6), case("relu_f32", "c-avx2", 1000, 1e-5))
    found = sections(run)
    assert "factors" not in found and len(found["sizes"].figures) == 1


def test_boxes_are_drawn_from_quartiles_and_marked() -> None:
    calm, wild = foreign("t.py::calm", 1.0), foreign("t.py::wild", 1.0)
    calm["stats"] |= {"q1": 1.0, "q3": 1.01, "median": 1.005, "max": 1.02, "mean": 1.005}
    wild["stats"] |= {
        "q1": 1.1,
        "q3": 1.5,
        "median": 1.2,
        "max": 9.0,
        "mean": 1.3,
        "stddev": 0.5,
        "iqr": 0.4,
    }
    section = sections(make_run(calm, wild))["noise"]
    assert section.words[0].startswith("1 benchmark of 2 would make pyperf warn: 1 by a standard")
    (figure,) = section.figures
    names = [row[0] for row in figure.table.rows]
    assert names == ["wild !", "calm"]  # the widest first
    assert "1 longest round beyond 3x" in figure.words
    (folded,) = section.folded
    assert folded.tables[0].rows[0][0] == "t.py::wild"


def test_libraries_of_the_run_itself_are_shown() -> None:
    run = make_run(
        case("k", "py-loop", 10, 1.0),
        case("k", "c-avx2", 10, 0.1),
        case("k", "peer-numpy", 10, 0.3),
    )
    (figure,) = sections(run)["peers"].figures
    assert figure.table.rows == [["k", "10", "3.00"]]
    assert figure.words == "Native code is ahead of every library in 1 of 1 cell on 1 thread."


def test_a_saved_comparison_goes_before_that() -> None:
    content = json.loads((ROOT / "results/peers.json").read_text(encoding="utf-8"))
    section = sections(typical(), peers.from_json(content))["peers"]
    assert [figure.name for figure in section.figures] == ["peers-1", "peers-2"]
    assert len(section.tables[0].rows) == len(content["cells"])
    lowest = min(
        peer["ratio"]
        for cell in content["cells"]
        if cell["threads"] == 1 and cell["kernel"] == "relu_f32"
        for peer in cell["peers"].values()
        if "ratio" in peer
    )
    row = next(row for row in section.figures[0].table.rows if row[0] == "relu_f32")
    assert min(float(cell) for cell in row[2:] if cell) == pytest.approx(lowest, abs=0.006)


def test_gates_are_shown_with_their_verdicts() -> None:
    gate = gates.Gate(
        kind="timing", base="main", head="branch", threshold=0.01,
        judged=(gates.Judged("t.py::t", "regressed", 0.25, 1.0, 32),),
    )  # fmt: skip
    section = sections(typical(), gate)["gates"]
    assert section.words == ["1 gate: 1 regressed."]
    (row,) = section.tables[0].rows
    assert row[:3] == ["regressed", "branch", "main"] and "+25.0%" in row
    assert "t.py::t" in section.folded[0].tables[0].rows[0]


@pytest.mark.parametrize("rate", [0, -1, float("inf"), "x", None, {}])
def test_a_damaged_rate_of_a_model_spoils_no_page(rate: Any) -> None:
    content = json.loads((ROOT / "results/engine.json").read_text(encoding="utf-8"))
    rows = [b for b in content["benchmarks"] if b["extra_info"]["kernel"] == "decode_f32"]
    (damaged,) = [b for b in rows if b["name"] == "test_decode[c-avx2-f32-128]"]
    damaged["extra_info"]["tokens_per_second"] = rate
    section = sections(from_json({**content, "benchmarks": rows}))["engine"]
    header = section.figures[0].table.header
    assert "c-scalar" in header and "c-avx2" not in header
    damaged["extra_info"]["split"] = [{"layer": 0, "kernel": "k", "seconds": 0.0}]
    drawn = sections(from_json({**content, "benchmarks": rows}))["engine"].figures
    assert [figure.name for figure in drawn] == ["engine-tokens", "layers-decode_f32"]


# --- Across runs ---------------------------------------------------------------------------------


def test_trend_is_relative_to_the_first_run_that_has_it() -> None:
    runs = [
        make_run(case("k", "py-loop", 10, 2.0), day=1),
        make_run(case("k", "c-avx2", 10, 0.4), day=2),
        make_run(case("k", "py-loop", 10, 1.0), case("k", "c-avx2", 10, 0.6), day=3),
    ]
    (figure,) = sections(*runs)["history"].figures
    assert {row[0]: row[1:] for row in figure.table.rows} == {
        "py-loop": ["1.000", "", "0.500"],
        "c-avx2": ["", "1.000", "1.500"],
    }


def test_trend_takes_the_largest_size_that_runs_share() -> None:
    quick = make_run(case("k", "c-avx2", 10, 1.0), day=1)
    full = make_run(case("k", "c-avx2", 10, 3.0), case("k", "c-avx2", 1000, 9.0), day=2)
    (figure,) = sections(quick, full)["history"].figures
    assert figure.drawn.get("aria-label") == "k 10: time across runs"
    assert "history" not in sections(full)


def test_noise_of_a_percent_does_not_fill_the_trend() -> None:
    runs = [make_run(case("k", "c-avx2", 9, 1 + day / 100), day=day) for day in (1, 2)]
    (figure,) = sections(*runs)["history"].figures
    first, last = (float(c.get("cy", 0)) for c in figure.drawn.iter("circle"))
    assert 1 < first - last < 30


def test_many_foreign_benchmarks_take_several_charts() -> None:
    runs = [
        make_run(*(foreign(f"t.py::t{i}", 1.0 + day * (i == 7)) for i in range(25)), day=day)
        for day in (1, 2)
    ]
    figures = sections(*runs)["history"].figures
    assert [len(figure.table.rows) for figure in figures] == [10, 10, 5]
    assert figures[0].table.rows[0][0] == "t.py::t7"  # what moved most comes first
    assert len({figure.drawn.get("aria-label") for figure in figures}) == 3


def test_a_planted_step_is_marked_and_noise_is_not() -> None:
    random = Random(1)
    runs = [
        make_run(
            case("k", "c-avx2", 9, random.gauss(1, 0.005) * (1.2 if day > 15 else 1)),
            case("k", "c-debug", 9, random.gauss(9, 0.05)),
            day=day,
        )
        for day in range(1, 29)
    ]
    section = sections(*runs)["history"]
    assert "the level of 1 of 2 benchmarks changed" in section.words[0]
    (row,) = section.tables[0].rows
    assert row[0].endswith("[c-avx2-9]") and row[1] == "2025-11-16 10:00 0000016"
    assert float(row[2].rstrip("x")) == pytest.approx(1.2, abs=0.02) and row[4] == "slower"
    (label,) = texts(section.figures[0].drawn, "label")
    assert label.startswith(("+19", "+20", "+2"))


def test_too_few_runs_are_not_called_unchanged() -> None:
    def words(days: int) -> list[str]:
        section = sections(*(typical(day) for day in range(1, days + 1)))["history"]
        return [section.words[0], section.figures[0].words]

    least = fewest(0.001)
    assert least == 14
    few, enough = words(least - 1), words(least)
    assert "too few to tell" in few[0] and few[1] == "Too few runs to tell a change of level."
    assert "the level of 0 of 17 benchmarks changed" in enough[0]
    assert enough[1] == "No change of level."


def test_a_verdict_by_rounds_alone_says_what_it_is_worth() -> None:
    caveat = "identical code can get them, too"
    assert any(caveat in line for line in sections(typical(1), typical(2, 1.5))["history"].words)
    runs = [typical(day, 1 + 0.001 * (day % 3)) for day in range(1, 9)]
    sure = sections(*runs, typical(9, 1.5))["history"].words
    assert "slower" in sure[1] and not any(caveat in line for line in sure)


def test_two_runs_that_were_named_are_compared() -> None:
    archive = archive_of(*(typical(day, 1.0 + day / 10) for day in (1, 2, 3)))
    chosen = replace(archive, compared=(typical(1, 1.0), typical(2, 4.0)))
    found = page.sections(chosen, chosen.subject)
    (history,) = [section for section in found if section.name == "history"]
    table = history.tables[-1]
    assert {row[3] for row in table.rows} == {"4.00x"} and {row[5] for row in table.rows} == {
        "slower"
    }


def test_new_and_gone_are_listed() -> None:
    before = make_run(foreign("t.py::stays", 1.0), foreign("t.py::old", 1.0), day=1)
    now = make_run(foreign("t.py::young", 1.0), foreign("t.py::stays", 1.0), day=2)
    assert {c.fullname: c.verdict for c in changes(before, now)} == {
        "t.py::young": "new",
        "t.py::stays": "within noise",
        "t.py::old": "gone",
    }
    table = sections(before, now)["history"].tables[-1]
    assert {row[0]: row[-1] for row in table.rows}["t.py::old"] == "gone"


@pytest.mark.parametrize(
    ("now", "more", "verdict"),
    [
        (1.0, {}, "within noise"),
        (1.019, {}, "within noise"),  # 1 % + 1 %
        (1.03, {}, "slower"),
        (0.97, {}, "faster"),
        (1.03, {"iqr": 0.1}, "within noise"),
        (3.0, {"rounds": 1, "iqr": 0.0}, "not judged"),
    ],
)
def test_only_what_is_beyond_the_spread_is_judged(
    now: float, more: dict[str, Any], verdict: str
) -> None:
    runs = [make_run(case("k", "c-avx2", 9, 1.0)), make_run(case("k", "c-avx2", 9, now, **more))]
    (change,) = changes(*runs)
    assert change.verdict == verdict
    assert change.ratio == pytest.approx(now)
    assert change.interval is None or change.interval[0] < now < change.interval[1]


def test_the_scatter_between_runs_goes_before_the_spread() -> None:
    runs = [make_run(case("k", "c-avx2", 9, 1.0)), make_run(case("k", "c-avx2", 9, 1.03))]
    name = runs[0].results[0].fullname
    assert [c.verdict for c in changes(*runs, {name: 0.02})] == ["within noise"]
    (sure,) = changes(*runs, {name: 0.005})
    assert sure.verdict == "slower" and sure.uncertainty == pytest.approx(
        1.96 * 2**0.5 * 0.005, rel=1e-3
    )


def test_intervals_of_many_are_wider() -> None:
    """All together shall be right, so each has to be more careful."""
    names = [f"t.py::t{n}" for n in range(100)]
    runs = [make_run(*(foreign(name, 1.0) for name in names)) for _ in range(2)]
    found = changes(*runs, dict.fromkeys(names, 0.01))
    assert found[0].uncertainty == pytest.approx(3.48 * 2**0.5 * 0.01, rel=1e-2)


@pytest.mark.parametrize(
    "other",
    [
        {"cpu": {"brand_raw": "Another CPU"}},
        {"cpu": "nonsense"},
        {"python_version": "3.13.0"},
        {"tiers": {"avx2": {"compiler": "clang 16", "flags": ["-O3"], "key": "k1"}}},
        {"tiers": {"avx2": {}}},  # damaged
    ],
)
def test_runs_of_different_machines_stand_apart(other: dict[str, Any]) -> None:
    same = sections(typical(1), typical(2))
    assert len(same["history"].figures) == 3 and "machines" not in same
    apart = sections(typical(1, **other), typical(2, 9.0))
    assert "history" not in apart and len(apart["machines"].figures) == 2


def test_two_machines_that_were_named_are_not_called_faster_or_slower() -> None:
    archive = archive_of(typical(2, 9.0))
    pair = typical(1, cpu={"brand_raw": "Another CPU"}), typical(2, 9.0)
    chosen = replace(archive, compared=pair)
    found = page.sections(chosen, chosen.subject)
    (history,) = [section for section in found if section.name == "history"]
    assert any(line.startswith("These times do not compare. ") for line in history.words)
    assert {row[5] for row in history.tables[-1].rows} == {"not comparable"}


def test_times_taken_otherwise_are_not_judged() -> None:
    """As the gate has it: with other options a time says nothing of the code."""
    one, two = foreign("t.py::t", 1.0), foreign("t.py::t", 3.0)
    one["options"] = {**OPTIONS, "disable_gc": False}
    others = foreign("t.py::u", 1.0), foreign("t.py::u", 3.0)
    runs = [make_run(one, others[0]), make_run(two, others[1])]
    assert [c.verdict for c in changes(*runs)] == ["not comparable", "slower"]


def test_machines_are_compared_by_a_tier_that_they_share() -> None:
    here = typical(2)
    there = make_run(
        *(case("relu_f32", v, 1000, s) for v, s in (("py-loop", 4.0), ("c-debug", 0.1))),
        day=1,
        cpu={"brand_raw": "Another CPU"},
    )
    python, native = sections(here, there)["machines"].figures
    assert python.table.rows == [["relu_f32", "1000", "the fastest Python", "1.00s", "4.00s"]]
    assert native.table.rows == [["relu_f32", "1000", "c-debug", "50.0ms", "100ms"]]
    assert native.table.header[-2:] == ["A CPU", "Another CPU"]


# --- The page ------------------------------------------------------------------------------------


def test_sections_stand_in_their_order() -> None:
    names = [module.__name__.rpartition(".")[2] for module in page.SECTIONS]
    assert names == [
        "finding", "factors", "matrix", "ladders", "roofline", "cost", "sizes", "peers", "engine",
        "noise", "history", "machines", "gates", "doctor", "provenance",
    ]  # fmt: skip


def test_page_says_what_was_measured(tmp_path: Path) -> None:
    said = BalancedHtml(written([typical(3)], tmp_path)["index.html"]).said
    for fact in ("A CPU", "3.11.7", "g++ 12", "2025-11-03 10:00", "relu_f32", "1,250x"):
        assert fact in said or any(fact in text for text in said), fact


def test_the_page_is_of_the_newest_run_that_is_broad_enough() -> None:
    def of(day: int, *kernels: str, variants: int = 2, **machine: Any) -> Run:
        names = [f"c-{n}" for n in range(variants)]
        return make_run(*(case(k, v, 9, 1.0) for k in kernels for v in names), day=day, **machine)

    every = "abcdef"
    full, part, half = of(1, *every), of(2, "a"), of(3, *"abc")
    other = of(4, "a", cpu={"brand_raw": "Another CPU"})
    assert archive_of(full, part).subject is full
    assert archive_of(full, part, half).subject is half
    for runs in ((full, part, other), (other, part, full), (part, other, full)):
        assert archive_of(*runs).subject is full
    assert archive_of(part, other).subject is other
    again = of(5, *every)
    assert archive_of(again, full, half).subject is again


def test_a_users_kernel_is_in_every_section(tmp_path: Path) -> None:
    """Whatever it and its tiers are called: no section knows a name."""
    content = json.loads((ROOT / "results/reference.json").read_text(encoding="utf-8"))
    peer = json.loads((ROOT / "results/peers.json").read_text(encoding="utf-8"))
    renamed = {"relu_f32": "swish_f32", "c-avx2": "c-neon", "c-avx2_omp": "c-neon_omp"}
    text = json.dumps(content["benchmarks"]).replace("test_relu", "test_swish")
    ladders = json.dumps(content["machine_info"]["ladders"])
    cells = json.dumps([cell for cell in peer["cells"] if cell["kernel"] == "relu_f32"])
    for old, new in renamed.items():
        text, ladders, cells = (t.replace(f'"{old}"', f'"{new}"') for t in (text, ladders, cells))
    content["benchmarks"] = json.loads(text)
    content["machine_info"]["ladders"] = json.loads(ladders)
    content["machine_info"]["cpu"]["brand_raw"] = "A CPU"
    python = {"python_version": "3.13.0", "interpreter": {"label": "CPython 3.13.0"}}
    other = {**content, "datetime": "2026-01-01T00:00:00"}
    other["machine_info"] = {**content["machine_info"], **python}
    earlier = {**content, "datetime": "2025-01-01T00:00:00"}
    runs = [from_json(c, f"{n}.json") for n, c in enumerate((content, other, earlier))]
    found = sections(*runs, peers.from_json({**peer, "cells": json.loads(cells)}))
    without = {"finding", "engine", "gates", "doctor", "provenance"}
    assert len(found.keys() - without) == 10
    for name in found.keys() - without:
        section = found[name]
        every = [t for f in section.every_figure for t in [f.table]] + list(section.tables)
        every += [table for fold in section.folded for table in fold.tables]
        cells_of = [cell for table in every for row in table.rows for cell in row]
        drawn = [f.drawn.get("aria-label", "") for f in section.every_figure]
        assert any("swish" in cell for cell in [*cells_of, *drawn]), name
    assert any("c-neon" in title for f in found["factors"].figures for title in titles(f.drawn))
    assert "relu_f32" not in written(archive_of(*runs), tmp_path)["index.html"]


@pytest.mark.parametrize("name", [HOSTILE, "../../evil", "{{ 7 * 7 }}", "x" * 300, "]]>&amp;"])
def test_hostile_names_are_text(name: str, tmp_path: Path) -> None:
    def run(day: int) -> Run:
        return make_run(
            *(case(name, f"{v}-{name}", n, 1.0 / n) for v in ("py", "c") for n in (1, 9)),
            foreign(name, 1.0),
            day=day,
            cpu={"brand_raw": name},
            tiers={name: {"compiler": name, "flags": [name], "key": name}},
        )

    target = tmp_path / "in" / "here"
    files = written([run(1), run(2)], target)
    assert [p for p in tmp_path.rglob("*") if p.is_file() and p.parent != target] == []
    parsed = BalancedHtml(files["index.html"])
    assert one_line(name) in "".join(parsed.said)
    assert [tag for tag, _ in parsed.tags].count("script") == 1
    for file, text in files.items():
        if file.endswith(".svg"):
            assert "<script" not in text.lower(), file
            ET.fromstring(text)


def test_a_name_of_megabytes_fills_no_page(tmp_path: Path) -> None:
    name = "x" * 10_000_000
    ours = case("k", "c-avx2", 9, 1.0), case(name, "c-avx2", 9, 1.0)
    run = make_run(foreign(name, 1.0), *ours, cpu={"brand_raw": name})
    files = written([run], tmp_path)
    assert len(files["index.html"]) < 200_000 and len(files["matrix.md"]) < 10_000
    assert all(len(text) < 100_000 for file, text in files.items() if file.endswith(".svg"))


def test_names_of_files_are_unique_and_plain() -> None:
    names = parts.unique_names(["time-a b", "time-a/b", "time-A:b", "time-../c", "///"])
    assert names == ["time-a-b", "time-a-b-2", "time-A-b-3", "time-c", "chart"]


def test_of_many_rows_a_page_shows_some_and_says_so(tmp_path: Path) -> None:
    run = make_run(*(foreign(f"t.py::t{n}", 1.0) for n in range(1500)))
    files = written([run], tmp_path)
    assert "500 more rows are not shown; report.json has all of them." in files["index.html"]
    assert "t.py::t1499" in files["report.json"] and "t.py::t1499<" not in files["index.html"]
