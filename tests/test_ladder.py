"""Where a factor comes from: rungs multiply to the total, and what is not known is not claimed."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import __main__ as command_line
from bench.analysis.ladder import ladder, ladders
from bench.saved.runs import BadRun, Run, from_json, undamaged
from bench.suite import ladder as rungs
from bench.suite import registry
from bench.views.explain import ladder as view
from bench.views.tables import render
from tests.altered import altered
from tests.growing import case, content

NAMES = ("py-loop", "py-idiomatic", "c-debug", "c-scalar", "c-avx2", "c-avx2_omp")
RUNGS = [{"variant": n, "idea": f"idea of {n}", "reason": f"reason of {n}"} for n in NAMES]
times = st.lists(st.floats(1e-6, 1e3), min_size=2, max_size=len(NAMES))


def benchmark(variant: str, seconds: float, size: int = 100, **extra: Any) -> dict[str, Any]:
    made = case(variant, (size,), seconds)
    made["extra_info"].update(uncertainty=0.01, **extra)
    return made


def made(*benchmarks: dict[str, Any], **machine: Any) -> Run:
    return from_json(content(*benchmarks, **{"ladders": {"k": RUNGS}, **machine}))


def chain(seconds: list[float], off: float = 1.0, **extra: Any) -> list[dict[str, Any]]:
    """Rungs with these times; alternating rounds find factors that are `off` times theirs."""
    found = [benchmark(NAMES[0], seconds[0], **extra)]
    pairs = zip(pairwise(NAMES), pairwise(seconds), strict=False)
    for (below, name), (before, now) in pairs:
        ratio = off * before / now
        step = {"over": below, "ratio": ratio, "low": ratio, "high": ratio, "pairs": 9}
        found.append(benchmark(name, now, paired_ratio=step, **extra))
    return found


@given(times)
def test_factors_multiply_to_the_total(seconds: list[float]) -> None:
    found = ladder(made(*chain(seconds)), "k")
    factors = [rung.factor for rung in found.rungs[1:]]
    assert found.rungs[0].factor is None and None not in factors
    assert math.isclose(math.prod(f or 0.0 for f in factors), found.total, rel_tol=1e-9)
    assert math.isclose(found.total, seconds[0] / seconds[-1], rel_tol=1e-9)
    assert found.alternated == len(seconds) - 1
    assert math.isclose(found.product, found.total, rel_tol=1e-9)


def test_uncertainties_add_up_as_independent_errors_do() -> None:
    found = ladder(made(*chain([8.0, 4.0, 1.0])), "k")
    assert found.uncertainty == pytest.approx(0.01 * math.sqrt(2))
    assert found.rungs[1].uncertainty == pytest.approx(0.01 * math.sqrt(2))


def test_alternating_rounds_that_differ_widen_the_rung_and_are_shown() -> None:
    found = ladder(made(*chain([8.0, 4.0], off=1.5)), "k")
    assert found.rungs[1].factor == 2.0 and found.rungs[1].alternated == 3.0
    assert (found.rungs[1].uncertainty or 0) > 0.49
    assert found.product == pytest.approx(3.0) and found.uncertainty == pytest.approx(0.5)


@given(times, st.floats(0.5, 2.0))
def test_product_and_total_are_never_further_apart_than_is_said(
    seconds: list[float], off: float
) -> None:
    found = ladder(made(*chain(seconds, off)), "k")
    assert found.uncertainty is not None
    assert abs(math.log(found.product / found.total)) <= math.log1p(found.uncertainty) + 1e-9
    assert f"{100 * found.uncertainty:.0f}%"[:1].isdigit()


def test_factors_that_are_off_to_the_same_side_add_up_in_the_total() -> None:
    found = ladder(made(*chain([4.0, 2.0, 1.0], off=1.2)), "k")
    assert found.uncertainty == pytest.approx(0.44)
    shown = render(view.view([made(*chain([4.0, 2.0, 1.0], off=1.2))]), "text")
    assert "the product is 5.76x (+44.0%)" in shown


def test_a_step_over_another_rung_is_not_taken_for_this_one() -> None:
    run = made(benchmark("py-loop", 8.0), *chain([8.0, 4.0, 1.0])[2:])
    found = ladder(run, "k")
    assert [r.rung.variant for r in found.rungs] == ["py-loop", "c-debug"]
    assert found.rungs[1].alternated is None and found.rungs[1].factor == 8.0
    assert "py-idiomatic" in [rung.variant for rung in found.missing]
    assert [rung.variant for rung in found.rungs[1].skipped] == ["py-idiomatic"]
    for drawn in (render(view.view([run]), form) for form in ("text", "md")):
        assert "idea of c-debug, and what py-idiomatic would change" in drawn
        assert "reason of c-debug" not in drawn  # several changes are in one factor
        assert "missing rungs" in drawn


def test_a_single_round_is_as_uncertain_as_the_variants_other_sizes_and_marked() -> None:
    slow, fast = chain([8.0, 1.0])
    slow["extra_info"]["uncertainty"] = None
    alone = ladder(made(slow, fast), "k")
    assert alone.uncertainty is None and alone.rungs[0].single
    assert "+- unknown?" in view.title(alone)
    others = [benchmark("py-loop", 1e-3 * size, size=size) for size in (7, 8)]
    others[1]["extra_info"]["uncertainty"] = 0.2
    found = ladder(made(*others, slow, fast), "k", "100")
    assert found.uncertainty == pytest.approx(math.hypot(0.2, 0.01))
    assert "+-20%?" in view.title(found)
    assert "a single call does not say" in render(view.view([made(slow, fast)]), "text")


def test_the_largest_size_is_the_default_and_others_can_be_named() -> None:
    small = [benchmark(n, 1.0 - 0.1 * i, size=7) for i, n in enumerate(NAMES)]
    run = made(*small, *chain([8.0, 1.0]), benchmark("py-loop", 9.0, size=1000))
    assert ladder(run, "k").size == "100"  # at 1000 there is one rung only
    assert ladder(run, "k", "7").size == "7"
    with pytest.raises(BadRun, match="no ladder of k at '1000', has 100, 7"):
        ladder(run, "k", "1000")
    with pytest.raises(BadRun, match="no ladder of 'q', has k"):
        ladder(run, "q")
    assert [one.size for one in ladders(run, size="7")] == ["7"]
    with pytest.raises(BadRun, match="no kernel's ladder at '5'"):
        ladders(run, size="5")
    with pytest.raises(BadRun, match="no two rungs of a kernel"):
        ladders(made(benchmark("py-loop", 9.0)))


def test_a_run_of_before_there_were_ladders_says_what_to_do() -> None:
    run = from_json(content(*chain([8.0, 1.0])))
    with pytest.raises(BadRun, match="measure again: pytest --benchmark-only"):
        ladders(run)


@pytest.mark.parametrize(
    ("path", "value", "needs"),
    [
        ("machine_info.ladders", [], "needs an object"),
        ("machine_info.ladders.k", [RUNGS[0], RUNGS[0]], "each rung once"),
        ("machine_info.ladders.k", {}, "needs a list"),
        ("machine_info.ladders.k.0.idea", 3, "needs text"),
        ("machine_info.ladders.k.0.reason", "", "needs text"),
        ("benchmarks.1.extra_info.paired_ratio", 2, "needs an object"),
        ("benchmarks.1.extra_info.paired_ratio.ratio", 0, "needs a number"),
        ("benchmarks.1.extra_info.paired_ratio.low", float("nan"), "needs a number"),
        ("benchmarks.1.extra_info.paired_ratio.pairs", 0, "needs a whole number"),
        ("benchmarks.1.extra_info.paired_ratio.over", "", "needs text"),
        ("benchmarks.1.extra_info.uncertainty", "small", "needs a number"),
    ],
)
def test_what_a_file_says_of_rungs_is_checked(path: str, value: Any, needs: str) -> None:
    good = content(*chain([8.0, 1.0]), ladders={"k": RUNGS})
    with pytest.raises(BadRun, match=needs):
        undamaged(from_json(altered(good, path, value)))


def test_formats_say_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "run.json"
    path.write_text(json.dumps(content(*chain([8.0, 4.0, 1.0]), ladders={"k": RUNGS})))
    said = {}
    for form in ("text", "md", "json"):
        assert command_line.main(["ladder", str(path), "--kernel", "k", "--format", form]) == 0
        said[form] = capsys.readouterr().out
    (as_json,) = json.loads(said["json"])
    assert as_json["total"] == 8.0 and [r["factor"] for r in as_json["rungs"]] == [None, 2.0, 4.0]
    for rung in as_json["rungs"]:
        assert rung["reason"] in said["text"] and rung["reason"] in said["md"]
    assert "8.00x" in said["text"] and "8.00x" in said["md"]


@pytest.mark.parametrize("arguments", [["--kernel", "q"], ["--kernel", "k", "--size", "5"]])
def test_bad_requests_are_one_line(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.json"
    path.write_text(json.dumps(content(*chain([8.0, 1.0]), ladders={"k": RUNGS})))
    assert command_line.main(["ladder", str(path), *arguments]) == 2
    assert capsys.readouterr().err.count("\n") == 1


# --- The registry's ladders ----------------------------------------------------------------------


@pytest.mark.parametrize("name", registry.KERNELS)
def test_every_ladder_goes_from_pythons_loop_to_all_cores(name: str) -> None:
    kernel = registry.kernel(name)
    names = [rung.variant for rung in rungs.ladder(kernel)]
    assert names[:2] == ["py-loop", "py-idiomatic"]
    assert names.index("c-avx2") < names.index("c-avx2_omp") < names.index("c-avx512_omp")
    assert len(set(names)) == len(names) and set(names) <= set(kernel.variants)


def test_the_product_has_loop_order_tile_and_packing_as_rungs() -> None:
    names = [rung.variant for rung in rungs.ladder(registry.kernel("matmul_f32"))]
    order = ["c-scalar_ijk", "c-scalar", "c-autovec", "c-fastmath", "c-avx2_tiled", "c-avx2"]
    assert [name for name in names if name in order] == order
    assert rungs.below(registry.kernel("matmul_f32"), "c-scalar")[0] == "c-scalar_ijk"


def test_what_is_no_rung_has_nothing_below_it() -> None:
    assert rungs.below(registry.kernel("relu_f32"), "c-avx512") == ()
    assert rungs.below(registry.kernel("relu_f32"), "py-loop") == ()


def test_a_kernel_of_ones_own_has_a_ladder_too() -> None:
    from dataclasses import replace

    own = replace(registry.kernel("relu_f32"), name="silu_f32")
    assert all(rung.idea and rung.reason for rung in rungs.ladder(own))
    assert [r.variant for r in rungs.ladder(own)][2] == "c-debug"


# --- Several interpreters ------------------------------------------------------------------------


def of_interpreter(label: str, *benchmarks: dict[str, Any]) -> dict[str, Any]:
    said = {"label": label, "version": "3.99.0", "free_threaded": False, "gil": True}
    return content(
        *benchmarks, ladders={"k": RUNGS}, interpreter={**said, "jit": False, "debug": False}
    )


def test_ladders_of_interpreters_stand_side_by_side_at_the_largest_common_size(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    larger = [benchmark(NAMES[0], 80.0, size=1000), benchmark(NAMES[1], 10.0, size=1000)]
    saved = {
        "CPython 3.98.0": of_interpreter("CPython 3.98.0", *chain([8.0, 4.0, 1.0])),
        "CPython 3.99.0": of_interpreter("CPython 3.99.0", *chain([6.0, 1.5]), *larger),
    }
    for label, content_of in saved.items():
        (tmp_path / f"{label[8:]}.json").write_text(json.dumps(content_of))
    arguments = ["ladder", str(tmp_path), "--by", "interpreter"]
    assert command_line.main([*arguments, "--format", "json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["kernel"], found["size"]) == ("k", "100")
    factors = {
        label: [rung["factor"] for rung in measured]
        for label, measured in found["interpreters"].items()
    }
    assert factors == {"CPython 3.98.0": [None, 2.0, 4.0], "CPython 3.99.0": [None, 4.0]}
    for form in ("text", "md"):
        assert command_line.main([*arguments, "--format", form]) == 0
        said = capsys.readouterr().out
        assert "8.00x" in said and "idea of c-debug" in said
    assert command_line.main([*arguments, "--kernel", "q"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_several_runs_are_explained_one_after_the_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [tmp_path / name for name in ("a.json", "b.json")]
    for path, seconds in zip(paths, ([8.0, 1.0], [6.0, 1.0]), strict=True):
        path.write_text(json.dumps(content(*chain(seconds), ladders={"k": RUNGS})))
    assert command_line.main(["ladder", *map(str, paths), "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(one["run"], one["total"]) for one in found] == [
        (str(paths[0]), 8.0), (str(paths[1]), 6.0),
    ]  # fmt: skip
    assert command_line.main(["ladder", *map(str, paths)]) == 0
    said = capsys.readouterr().out
    assert all(f"{path}: k, 100" in said for path in paths)
