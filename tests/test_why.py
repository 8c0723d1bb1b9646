"""docs/why.md: no figure is typed, every section says how to measure it again, and what its words
claim is so in the runs that its figures are from."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from bench import __main__ as command_line
from bench.analysis.cost import cost_breakdowns, measured, unit_costs
from bench.analysis.ladder import kernels, ladder
from bench.saved import runs
from bench.saved.runs import Run
from bench.suite import registry
from bench.views.report import scaling_chart

ROOT = Path(__file__).resolve().parent.parent
WHY = ROOT / "docs/why.md"
TEXT = WHY.read_text(encoding="utf-8")
REFERENCE = ROOT / "results/reference.json"

# Names that have a digit in them and are no figures.
_NAMES = re.compile(
    r"(AVX-?\d+|\w+_f32|\b\d+ bits|float\d+|int\d+|L\d|CPython \d\.\d+|IEEE \d+|-O\d|-m\w+\d)"
)
_RENDERED = re.compile(
    r"<!-- render: .*?<!-- end -->|<!-- figure: [^>]*-->[^<]*<!-- end -->", re.DOTALL
)
_CODE = re.compile(r"^ {4,}.*$|`[^`]*`|\]\([^)]*\)", re.MULTILINE)


@pytest.fixture(scope="module")
def run() -> Run:
    return runs.load(REFERENCE)


def typed(text: str) -> list[str]:
    """Numbers that stand in the prose itself."""
    prose = _NAMES.sub("", _CODE.sub("", _RENDERED.sub("", text)))
    return re.findall(r"\S*\d\S*", prose)


def test_no_figure_is_typed() -> None:
    assert typed(TEXT) == []


@pytest.mark.parametrize("figure", ["1,425x", "12 ns", "3 times", "0.7%", "x is 5", "a 2x2 tile"])
def test_a_typed_figure_would_be_noticed(figure: str) -> None:
    assert typed(f"{TEXT}\nThe product is {figure} as fast.\n")


def test_a_stale_figure_would_be_noticed(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "results").symlink_to(ROOT / "results")
    copy = tmp_path / "docs/why.md"
    single = re.search(r"(<!-- figure: \S+ ratio [^>]*-->)([^<]+)(<!-- end -->)", TEXT)
    assert single
    copy.write_text(TEXT.replace(single[0], f"{single[1]}9{single[2]}{single[3]}"))
    assert command_line.main(["render", "--check", str(copy)]) == 2
    assert command_line.main(["render", str(copy)]) == 0
    assert copy.read_text(encoding="utf-8") == TEXT


def test_every_section_says_how_to_measure_it_again() -> None:
    headings = [m.start() for m in re.finditer(r"^##+ ", TEXT, re.MULTILINE)]
    sections = [TEXT[a:b] for a, b in pairwise([*headings, len(TEXT)])]
    for section in sections:
        if "<!-- figure" in section or "<!-- render" in section:
            assert re.search(r"^ {4,}(python -m bench|make|pytest) ", section, re.MULTILINE) or (
                "claims" in section
            ), section.partition("\n")[0]


@pytest.mark.parametrize(
    "command", sorted(set(re.findall(r"^ {4,}python -m bench (.*RUN.*)$", TEXT, re.MULTILINE)))
)
def test_its_commands_work_on_the_committed_run(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = [str(REFERENCE) if word == "RUN" else word for word in command.split()]
    assert command_line.main(words) == 0


def test_every_kernel_of_the_run_has_a_ladder_in_the_order_of_the_registry(run: Run) -> None:
    """The run is older than some kernels."""
    measured = {metadata.kernel for _, metadata in run.ours}
    assert kernels(run) == [name for name in registry.KERNELS if name in measured]


@pytest.mark.parametrize("kernel", kernels(runs.load(REFERENCE)))
def test_the_committed_ladders_are_whole_and_add_up(run: Run, kernel: str) -> None:
    found = ladder(run, kernel)
    assert [rung.variant for rung in found.missing] == []
    factors = 1.0
    for rung in found.rungs:
        factors *= rung.factor or 1.0
    assert factors == pytest.approx(found.total)
    assert found.apart < 0.3
    natives = [r for r in found.rungs if r.rung.variant.startswith("c-")]
    assert all(rung.metadata.evidence is not None for rung in natives)


def test_the_charts_are_those_of_the_run(run: Run) -> None:
    names = set(re.findall(r"\(scaling-(\w+)\.svg\)", TEXT))
    assert names
    for name in names:
        drawn = (ROOT / f"docs/scaling-{name}.svg").read_text(encoding="utf-8")
        assert drawn == scaling_chart(run, name), "draw it again: CONTRIBUTING.md"


# --- What the words say --------------------------------------------------------------------------


def ratio(run: Run, kernel: str, size: str, slow: str, fast: str) -> float:
    times = {f.variant: r.minimum for r, f in run.ours if (f.kernel, f.size) == (kernel, size)}
    return times[slow] / times[fast]


def against_float32(run: Run, kernel: str, size: str, variant: str) -> float:
    times = {f.kernel: r.minimum for r, f in run.ours if (f.size, f.variant) == (size, variant)}
    return times["matmul_f32"] / times[kernel]


def test_the_work_is_the_least_of_an_element_and_boxes_the_most_of_its_arithmetic(run: Run) -> None:
    (relu,) = cost_breakdowns(run, "relu_f32")
    parts = {part.unit: part.cost.ns for part in relu.parts}
    assert parts["compare"] == min(parts[unit] for unit in parts if unit != "step_known")
    for kernel in ("relu_f32", "matmul_f32"):
        (account,) = cost_breakdowns(run, kernel)
        books = {"dispatch", "step", "step_known", "float", "int"}
        kept = sum(part.cost.ns for part in account.parts if part.unit in books)
        assert kept > account.whole.ns / 2
    units = unit_costs(measured(run))
    assert units["object"].ns > 0.7 * units["float"].ns
    assert all(abs(a.residual.ns / a.whole.ns) < 0.35 for a in cost_breakdowns(run))


def test_relu_is_held_up_by_its_branch_and_then_by_memory(run: Run) -> None:
    steps = {
        variant: ratio(run, "relu_f32", "1000000", below, variant)
        for below, variant in pairwise(("c-debug", "c-scalar", "c-autovec", "c-fastmath", "c-avx2"))
    }
    assert max(steps, key=lambda v: steps[v]) == "c-autovec" and steps["c-autovec"] > 8
    assert ratio(run, "relu_f32", "1000000", "c-autovec", "c-avx2") < 1.5
    few = ratio(run, "relu_f32", "4096", "c-scalar", "c-autovec")
    assert few < steps["c-autovec"] / 2  # the branch is nearly free while the data are few


@pytest.mark.parametrize("kernel", ["softmax_f32", "gelu_tanh_f32", "gelu_erf_f32"])
def test_the_wall_is_the_call(run: Run, kernel: str) -> None:
    assert ratio(run, kernel, "1000000", "c-scalar", "c-autovec") < 1.5
    assert ratio(run, kernel, "1000000", "c-autovec", "c-fastmath") > 4
    assert ratio(run, kernel, "1000000", "c-autovec", "c-avx2") > 8
    calls = {
        f.variant: f.evidence.math_calls
        for _, f in run.ours
        if (f.kernel, f.size) == (kernel, "1000000") and f.evidence
    }
    assert calls["c-autovec"] and not any("_ZGV" in name for name in calls["c-autovec"])
    assert any("_ZGV" in name for name in calls["c-fastmath"]) and not calls["c-avx2"]


def test_the_experiments_figures_hold_or_not_as_the_answers_say(run: Run) -> None:
    matmul = ratio(run, "matmul_f32", "500", "py-loop", "c-autovec")
    assert 1666 / 2 < matmul < 1666 * 2
    in_pythons_order = ratio(run, "matmul_f32", "500", "py-loop", "c-autovec_ijk")
    assert in_pythons_order < matmul / 3
    elements = {a.kernel: a.whole.ns for a in cost_breakdowns(run)}
    assert elements["matmul_f32"] < 5 * elements["relu_f32"]
    assert 8.4 / 1.5 < ratio(run, "gelu_tanh_f32", "1000000", "py-loop", "c-autovec") < 8.4 * 1.5
    assert ratio(run, "softmax_f32", "1000000", "py-loop", "c-autovec") > 5 * 2.7


def test_the_products_rungs_are_what_they_are_said_to_be(run: Run) -> None:
    assert ratio(run, "matmul_f32", "500", "c-scalar_ijk", "c-scalar") > 1.2
    assert ratio(run, "matmul_f32", "500", "c-scalar_ijk", "c-autovec_ijk") < 1.3
    assert ratio(run, "matmul_f32", "500", "c-scalar", "c-autovec") > 3
    assert ratio(run, "matmul_f32", "500", "c-autovec", "c-avx2_tiled") > 1.5


def test_the_trap_holds_in_the_plain_loop_and_nowhere_else(run: Run) -> None:
    assert against_float32(run, "matmul_i8_i32", "256", "c-autovec") < 1.05
    assert 0.8 < against_float32(run, "matmul_i8_i32", "500", "c-autovec") < 1.3
    for kernel in ("matmul_i8_i32", "quantized_matmul_f32"):
        assert against_float32(run, kernel, "500", "c-avx2") > 1.4
        assert against_float32(run, kernel, "500", "c-avx512_omp") > 2


@pytest.mark.parametrize("kernel", kernels(runs.load(REFERENCE)))
def test_with_pointers_at_hand_native_code_wins_from_one_element_on(run: Run, kernel: str) -> None:
    times = {f.variant: r.minimum for r, f in run.ours if (f.kernel, f.size) == (kernel, "1")}
    python = min(time for variant, time in times.items() if variant.startswith("py-"))
    assert max(times["c-scalar"], times["c-avx2"]) < python


def test_checking_is_earned_back_by_tens_of_elements_and_lists_by_relu_hardly(run: Run) -> None:
    assert ratio(run, "gelu_tanh_f32", "8", "py-idiomatic", "c-avx2_checked") < 1
    assert ratio(run, "gelu_tanh_f32", "100", "py-idiomatic", "c-avx2_checked") > 1
    assert ratio(run, "relu_f32", "100", "py-idiomatic", "c-avx2_checked") < 1
    assert ratio(run, "relu_f32", "512", "py-idiomatic", "c-avx2_checked") > 1
    assert ratio(run, "relu_f32", "32768", "py-idiomatic", "c-avx2_lists") < 1.5
