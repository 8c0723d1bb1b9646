"""The HTML report: from small hand-made runs, through the same door as real ones."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from bench.analysis.changes import changes
from bench.measure.derived import add_derived_figures
from bench.saved.runs import Run, from_json, one_line
from bench.saved.schema import MARK
from bench.views.report import charts, drawing, page, write_report
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


def written(runs: list[Run], directory: Path) -> dict[str, str]:
    return {path.name: path.read_text("utf-8") for path in write_report(runs, directory)}


def svg_of(chart: Any) -> ET.Element:
    return ET.fromstring(drawing.as_svg(chart, "x"))


def texts(svg: ET.Element, css_class: str) -> list[ET.Element]:
    return [t for t in svg.iter(f"{SVG}text") if css_class in t.get("class", "").split()]


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
    paths = write_report([typical(1), typical(2)], tmp_path / "deep" / "report")
    assert paths[0].name == "index.html"
    assert {p.name for p in paths} == {
        "index.html",
        "speedups.svg",
        "time-relu_f32.svg",
        "time-gelu_erf_f32.svg",
        "trend-relu_f32.svg",
        "trend-gelu_erf_f32.svg",
        "trend-other.svg",
    }
    assert set((tmp_path / "deep" / "report").iterdir()) == set(paths)


def test_files_are_well_formed_and_charts_are_named(tmp_path: Path) -> None:
    files = written([typical(1), typical(2)], tmp_path)
    parsed = BalancedHtml(files["index.html"])
    in_page = [attributes for tag, attributes in parsed.tags if tag == "svg"]
    assert len(in_page) == len(files) - 1
    ids = [attributes["id"] for _, attributes in parsed.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for name, text in files.items():
        if name.endswith(".svg"):
            root = ET.fromstring(text)
            title = root.findtext(f"{SVG}title")
            assert root.get("role") == "img"
            assert title and title == root.get("aria-label") and "pygal" not in title.lower()


def test_same_runs_give_the_same_bytes(tmp_path: Path) -> None:
    first = written([typical(1), typical(2)], tmp_path / "a")
    assert first == written([typical(1), typical(2)], tmp_path / "b")
    assert not any("<!--" in text for text in first.values())  # pygal's holds the date of the day


def test_nothing_is_loaded_and_nothing_runs(tmp_path: Path) -> None:
    loads = re.compile(
        r"""(?:href|src|srcset|data|action)\s*=|url\(|@import|<script|<\?xml-""", re.I
    )
    for name, text in written([typical(1), typical(2)], tmp_path).items():
        assert not loads.search(text), name
        assert "http" not in text.replace("http://www.w3.org/2000/svg", ""), name


def test_light_and_dark(tmp_path: Path) -> None:
    light, dark = drawing.BACKGROUNDS
    for name, text in written([typical()], tmp_path).items():
        before, _, after = text.partition("prefers-color-scheme")
        assert light in before and dark in after, name


@pytest.mark.parametrize("color", drawing.PALETTE)
@pytest.mark.parametrize("background", drawing.BACKGROUNDS)
def test_palette_contrasts(color: str, background: str) -> None:
    def luminance(hexadecimal: str) -> float:  # WCAG 2.1
        channels = [int(hexadecimal[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    darker, lighter = sorted((luminance(color), luminance(background)))
    assert (lighter + 0.05) / (darker + 0.05) >= 3


# --- Failures ------------------------------------------------------------------------------------


def test_no_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one run"):
        write_report([], tmp_path)


def test_a_directory_that_is_a_file_is_an_oserror(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(OSError):
        write_report([typical()], tmp_path / "taken")
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
        write_report([typical(2, factor=3)], tmp_path)
    assert {path.name: path.read_text("utf-8") for path in tmp_path.iterdir()} == before


# --- Charts --------------------------------------------------------------------------------------


def test_printed_values_are_the_measured_speedups() -> None:
    svg = svg_of(charts.speedups(typical()))
    values = [text.text or "" for text in texts(svg, "value")]
    assert values.count("1,250x") == 2
    # The fastest Python variant is 1x by definition and not drawn.
    numbers = sorted(float(value.rstrip("x").replace(",", "")) for value in values)
    assert numbers == [0.5, 0.5, 20, 20, 1250, 1250]


def test_every_bar_shows_and_stays_inside() -> None:
    chart = charts.speedups(typical())
    svg = svg_of(chart)
    bars = [r for r in svg.iter(f"{SVG}rect") if "tooltip-trigger" in r.get("class", "")]
    widths = sorted(float(bar.get("width", 0)) for bar in bars)
    assert len(widths) == 6 and widths[0] > 20
    plot = next(g for g in svg.iter(f"{SVG}g") if g.get("class") == "plot")
    left = int(re.findall(r"\d+", plot.get("transform", ""))[0])
    for text in texts(svg, "value"):
        end = left + float(text.get("x", 0)) + 0.62 * 11 * len(text.text or "")
        assert end <= drawing.WIDTH


def test_a_single_equal_speedup_is_drawn() -> None:
    """The axis spans nothing: pygal alone would give it no ticks and the bar no length."""
    run = make_run(case("k", "py-loop", 10, 1.0), case("k", "c-avx2", 10, 1.0))
    svg = svg_of(charts.speedups(run))
    (bar,) = [r for r in svg.iter(f"{SVG}rect") if "tooltip-trigger" in r.get("class", "")]
    assert float(bar.get("width", 0)) > 20
    assert "1x" in {text.text for text in svg.iter(f"{SVG}text")}


@pytest.mark.parametrize("count", range(1, 12))
def test_the_whole_legend_stays_inside(count: int) -> None:
    names = [f"c-tier{i}" for i in range(count)]
    run = make_run(case("k", "py-loop", 10, 1.0), *(case("k", name, 10, 0.1) for name in names))
    svg = svg_of(charts.speedups(run))
    legends = next(g for g in svg.iter(f"{SVG}g") if g.get("class") == "legends")
    top = int(re.findall(r"\d+", legends.get("transform", ""))[1])
    entries = list(legends.iter(f"{SVG}text"))
    assert [entry.text for entry in entries] == names
    height = int(svg.get("viewBox", "").split()[3])
    assert all(top + float(entry.get("y", 0)) < height - 15 for entry in entries)


def test_a_single_size_has_no_line_over_size(tmp_path: Path) -> None:
    run = make_run(case("relu_f32", "py-loop", 10, 1.0), case("relu_f32", "c-avx2", 10, 0.01))
    assert charts.time_against_size(run, "relu_f32") is None
    assert set(written([run], tmp_path)) == {"index.html", "speedups.svg"}


def test_time_against_size_has_every_point() -> None:
    svg = svg_of(charts.time_against_size(typical(), "relu_f32"))
    dots = [c for c in svg.iter(f"{SVG}circle") if "dot" in c.get("class", "")]
    assert len(dots) == 8
    said = {title.text for title in svg.iter(f"{SVG}title")}
    assert any(t and t.startswith("c-avx2, 10³: 800") for t in said)


def test_without_python_there_are_times_but_no_speedups(tmp_path: Path) -> None:
    run = make_run(case("relu_f32", "c-avx2", 10, 1e-6), case("relu_f32", "c-avx2", 1000, 1e-5))
    assert charts.speedups(run) is None
    assert set(written([run], tmp_path)) == {"index.html", "time-relu_f32.svg"}


def test_trend_is_relative_to_the_first_run_that_has_it() -> None:
    runs = [
        make_run(case("k", "py-loop", 10, 2.0)),
        make_run(case("k", "c-avx2", 10, 0.4)),
        make_run(case("k", "py-loop", 10, 1.0), case("k", "c-avx2", 10, 0.6)),
    ]
    chart: Any = charts.trend(runs, "k")
    lines = {options["title"]: values for values, options in chart.raw_series}
    assert lines["py-loop"] == [1.0, None, 0.5]
    assert lines["c-avx2"] == pytest.approx([None, 1.0, 1.5])


def test_trend_takes_the_largest_size_that_runs_share() -> None:
    quick = make_run(case("k", "c-avx2", 10, 1.0))
    full = make_run(case("k", "c-avx2", 10, 3.0), case("k", "c-avx2", 1000, 9.0))
    chart: Any = charts.trend([quick, full], "k")
    assert chart.config.title.startswith("k 10:") and chart.raw_series[0][0] == [1.0, 3.0]
    assert charts.trend([full], "k") is None
    assert charts.trend([make_run(case("k", "c-avx2", 7, 1.0)), full], "k") is None


def test_an_unchanged_trend_is_drawn() -> None:
    svg = svg_of(charts.trend([typical(1), typical(2)], "relu_f32"))
    assert len([c for c in svg.iter(f"{SVG}circle") if "dot" in c.get("class", "")]) == 8


def test_noise_of_a_percent_does_not_fill_the_trend() -> None:
    runs = [make_run(case("k", "c-avx2", 9, seconds)) for seconds in (1.0, 1.01)]
    svg = svg_of(charts.trend(runs, "k"))
    first, last = (float(c.get("cy", 0)) for c in svg.iter(f"{SVG}circle"))
    assert 1 < first - last < 0.1 * int(svg.get("viewBox", "").split()[3])


def test_a_variant_has_one_color_in_every_chart() -> None:
    runs = [typical(1), typical(2)]
    drawn: list[Any] = [
        charts.speedups(runs[-1]),
        charts.time_against_size(runs[-1], "relu_f32"),
        charts.trend(runs, "relu_f32"),
    ]
    seen = set()
    for chart in drawn:
        names = [options["title"] for _, options in chart.raw_series]
        seen.add(chart.config.style.colors[names.index("c-avx2")])
    assert len(seen) == 1


def test_many_foreign_benchmarks_take_several_charts() -> None:
    runs = [make_run(*(foreign(f"t.py::t{i}", 1.0) for i in range(25))) for _ in range(2)]
    drawn = charts.other_trends(runs)
    assert [len(chart.raw_series) for chart in drawn] == [10, 10, 5]
    assert len({chart.config.title for chart in drawn}) == 3


# --- The page ------------------------------------------------------------------------------------


def test_page_says_what_was_measured(tmp_path: Path) -> None:
    said = BalancedHtml(written([typical(3)], tmp_path)["index.html"]).said
    for fact in ("A CPU", "3.11.7", "g++ 12", "2025-11-03 10:00", "0000003", "relu_f32", "1,250x"):
        assert fact in said


def test_foreign_benchmarks_only(tmp_path: Path) -> None:
    runs = [make_run(foreign("t.py::t", seconds)) for seconds in (1.0, 2.0)]
    assert set(written(runs[:1], tmp_path / "one")) == {"index.html"}
    files = written(runs, tmp_path / "two")
    assert set(files) == {"index.html", "trend-other.svg"}
    said = BalancedHtml(files["index.html"]).said
    assert said.count("t.py::t") >= 2 and "slower" in said  # its own table, and the comparison


def test_new_and_gone_are_listed(tmp_path: Path) -> None:
    before = make_run(foreign("t.py::stays", 1.0), foreign("t.py::old", 1.0))
    now = make_run(foreign("t.py::young", 1.0), foreign("t.py::stays", 1.0))
    verdicts = {c.fullname: c.verdict for c in changes(before, now)}
    assert verdicts == {
        "t.py::young": "new",
        "t.py::stays": "within spread",
        "t.py::old": "gone",
    }
    _, _, table = written([before, now], tmp_path)["index.html"].partition('id="comparison"')
    for name, verdict in (("old", "gone"), ("young", "new")):
        row = re.search(rf"t\.py::{name}</th>(?:<td[^>]*>[^<]*</td>\s*)+</tr>", table)
        assert row and f'class="{verdict}">{verdict}<' in row[0]


@pytest.mark.parametrize(
    ("now", "more", "verdict"),
    [
        (1.0, {}, "within spread"),
        (1.019, {}, "within spread"),  # 1 % + 1 %
        (1.03, {}, "slower"),
        (0.97, {}, "faster"),
        (1.03, {"iqr": 0.1}, "within spread"),
        (3.0, {"rounds": 1, "iqr": 0.0}, "not judged"),
    ],
)
def test_only_what_is_beyond_the_spread_is_judged(
    now: float, more: dict[str, Any], verdict: str, tmp_path: Path
) -> None:
    runs = [make_run(case("k", "c-avx2", 9, 1.0)), make_run(case("k", "c-avx2", 9, now, **more))]
    (change,) = changes(*runs)
    assert change.verdict == verdict
    assert change.ratio == pytest.approx(now)
    colored = re.findall(r'<td class="(\w+)"', written(runs, tmp_path)["index.html"])
    assert colored == ([verdict] * 2 if verdict in ("faster", "slower") else [])


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
def test_different_machines_are_said(other: dict[str, Any], tmp_path: Path) -> None:
    """And no time is called faster or slower, nor drawn beside the others."""
    warning = "These times do not compare"
    same = written([typical(1), typical(2)], tmp_path / "same")
    assert warning not in same["index.html"] and "Against the run before" in same["index.html"]
    apart = written([typical(1, **other), typical(2, 9.0)], tmp_path / "apart")
    assert warning in apart["index.html"]
    assert not {"slower", "faster"} & set(BalancedHtml(apart["index.html"]).said)
    assert "trend-relu_f32.svg" in same.keys() - apart.keys()


def test_times_taken_otherwise_are_not_judged(tmp_path: Path) -> None:
    """As the gate has it: with other options a time says nothing of the code."""
    one, two = foreign("t.py::t", 1.0), foreign("t.py::t", 3.0)
    one["options"] = {**OPTIONS, "disable_gc": False}
    others = foreign("t.py::u", 1.0), foreign("t.py::u", 3.0)
    runs = [make_run(one, others[0]), make_run(two, others[1])]
    assert [c.verdict for c in changes(*runs)] == ["not comparable", "slower"]
    page = written(runs, tmp_path)["index.html"]
    assert "not comparable" in page


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
    assert len(files) == 5  # page, speedups, time, trend, other
    said = "".join(BalancedHtml(files["index.html"]).said)
    assert one_line(name) in said
    for file, text in files.items():
        assert "<script" not in text.lower(), file
        if file.endswith(".svg"):
            ET.fromstring(text)


def test_names_of_files_are_unique_and_plain() -> None:
    names = page.unique_names(["time-a b", "time-a/b", "time-A:b", "time-../c"])
    assert names == ["time-a-b", "time-a-b-2", "time-A-b-3", "time-c"]
