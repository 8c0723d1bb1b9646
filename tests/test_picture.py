"""The picture of all ladders: what is in it, and that the committed one is the reference run's."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from bench import __main__ as command_line
from bench.analysis.ladder import kernels, ladder
from bench.saved import runs
from bench.saved.schema import Rung
from bench.views import units
from bench.views.report import picture

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "results/reference.json"
SVG = "{http://www.w3.org/2000/svg}"
FILES = [
    (saved, f"{name}{suffix}.svg", options)
    for saved, name in (("reference", "ladders"), ("engine", "engine"))
    for suffix, options in (("", []), ("-dark", ["--dark"]))
] + [
    ("reference", f"{name}{suffix}.svg", ["--chart", chart, *options])
    for name, chart in (("factors", "factors"), ("roofline", "roofline-FLOP"))
    for suffix, options in (("", []), ("-dark", ["--dark"]))
]


def run() -> runs.Run:
    return runs.load(REFERENCE)


def texts(svg: str) -> list[str]:
    return [node.text or "" for node in ElementTree.fromstring(svg).iter(f"{SVG}text")]


@pytest.mark.parametrize(("saved", "name", "options"), FILES)
def test_the_committed_picture_is_of_the_committed_run(
    saved: str, name: str, options: list[str], tmp_path: Path
) -> None:
    out, source = tmp_path / name, f"results/{saved}.json"
    assert command_line.main(["picture", str(ROOT / source), "-o", str(out), *options]) == 0
    again = " ".join([f"python -m bench picture {source} -o docs/{name}", *options])
    assert out.read_bytes() == (ROOT / "docs" / name).read_bytes(), f"run: {again}"


def test_a_stale_picture_would_be_noticed() -> None:
    slower = [
        replace(result, minimum=2 * result.minimum) if "c-avx2-500" in result.fullname else result
        for result in run().results
    ]
    assert picture.ladders_svg(replace(run(), results=tuple(slower))) != picture.ladders_svg(run())


def test_every_rung_of_every_kernel_is_there_with_its_value() -> None:
    shown = texts(picture.ladders_svg(run()))
    assert len(kernels(run())) == 8
    for kernel in kernels(run()):
        found = ladder(run(), kernel)
        start = shown.index(f"{kernel}, {found.size}")
        rungs = shown[start + 2 : start + 2 + 2 * len(found.rungs)]
        names = [measured.rung.variant.removeprefix("c-") for measured in found.rungs]
        assert rungs[::2] == names
        assert rungs[1::2] == [units.factor(measured.cumulative) for measured in found.rungs]
        assert shown[start + 1] == units.factor(found.total)


def test_it_is_logarithmic_and_nothing_leaves_it() -> None:
    svg = picture.ladders_svg(run())
    root = ElementTree.fromstring(svg)
    for group in root.iter(f"{SVG}g"):
        ticks = [float(re.findall(r"[\d.]+", p.get("d", ""))[0]) for p in group.iter(f"{SVG}path")]
        gaps = {round(b - a) for a, b in pairwise(ticks)}
        assert max(gaps) - min(gaps) <= 1 and len(ticks) >= 3
        for bar in group.iter(f"{SVG}rect"):
            end = float(bar.get("x", "")) + float(bar.get("width", ""))
            assert end <= ticks[-1] + 0.1
    assert int(root.get("width", "")) == picture.WIDTH == 700


def test_no_text_is_too_small_for_a_phone() -> None:
    sizes = [int(size) for size in re.findall(r'font-size="(\d+)"', picture.ladders_svg(run()))]
    assert min(sizes) >= 11


def test_light_and_dark_differ_in_colours_alone() -> None:
    light, dark = picture.ladders_svg(run()), picture.ladders_svg(run(), dark=True)
    assert light != dark
    colour = re.compile(r"#[0-9a-f]{6}")
    assert colour.sub("", light) == colour.sub("", dark)


def test_hostile_names_are_text() -> None:
    hostile = run()
    name = '<script>alert("1")</script>&\x1b[31m\n]]>'
    rungs = tuple(Rung(r.variant, name, name) for r in hostile.ladders["relu_f32"])
    hostile = replace(hostile, ladders={"relu_f32": rungs})
    hostile.machine["cpu"] = {"brand_raw": name}
    svg = picture.ladders_svg(hostile)
    ElementTree.fromstring(svg)
    assert "<script" not in svg and "\x1b" not in svg


def test_a_chart_that_is_not_there_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "chart.svg"
    assert command_line.main(["picture", str(REFERENCE), "--chart", "none", "-o", str(out)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "has no chart 'none', has factors, ladder-relu_f32" in error
    assert not out.exists()


@pytest.mark.parametrize("content", ['{"benchmarks": [], "machine_info": {}}', "", "[]"])
def test_a_run_without_ladders_is_one_line_and_no_file(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run.json").write_text(content)
    out = tmp_path / "picture.svg"
    assert command_line.main(["picture", str(tmp_path / "run.json"), "-o", str(out)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not out.exists()
