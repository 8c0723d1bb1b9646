"""Which benchmark is which, and what is listed beside them: match() on made-up lists."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bench.gate.checkouts.identity import same_code
from bench.gate.checkouts.sides import Side
from bench.gate.prepare import inventory
from bench.gate.prepare.inventory import Inventory, match
from bench.gate.rounds.pytest_process import Listed
from bench.gate.verdicts.errors import GateError
from bench.gate.verdicts.pairs import Pair
from bench.saved.gates import NEW, REMOVED, RENAMED, SKIPPED, UNCOMPARABLE

SIDES = [Side("base", "main (1a2b3c4)", Path("b")), Side("head", "working tree", Path("h"))]
NO_AVX512 = "tier avx512 needs AVX-512, which this CPU does not have"


def kernel(variant: str = "c-scalar", size: str = "100", name: str = "relu_f32") -> dict[str, Any]:
    return {"kernel": name, "variant": variant, "size": size}


def third_party(code: str = "code", seconds: float = 1e-3) -> dict[str, Any]:
    return {"code": code, "seconds": seconds}


def listed(found: dict[str, dict[str, Any]], skipped: dict[str, str] | None = None) -> Listed:
    return Listed(found, {}, skipped or {})


def matched(
    base: Listed | dict[str, Any],
    head: Listed | dict[str, Any],
    unavailable: Sequence[dict[str, str]] = ({}, {}),
    longest_call: float = 0.5,
) -> Inventory:
    both = [side if isinstance(side, Listed) else listed(side) for side in (base, head)]
    return match(SIDES, both, unavailable, longest_call)


def pairs(found: Inventory) -> dict[str, str]:
    return {p.name: p.base_name for p in found.pairs}


def beside(found: Inventory) -> dict[str, str]:
    names = [u.name for u in found.unjudged]
    assert len(names) == len(set(names)), names
    return {u.name: u.why for u in found.unjudged}


def test_the_same_on_both_sides() -> None:
    both = {"t.py::a[c-scalar-100]": kernel(), "t.py::b": third_party()}
    found = matched(both, both)
    assert pairs(found) == {name: name for name in both}
    assert beside(found) == {}
    assert found.pairs[0].kernel == "relu_f32"
    assert found.pairs[1].kernel == ""
    assert found.pairs[1].seconds == 1e-3


def test_new_and_removed() -> None:
    found = matched(
        {"t.py::old": third_party("o"), "t.py::k[1]": kernel(size="1")},
        {"t.py::young": third_party("y"), "t.py::k[2]": kernel(size="2")},
    )
    assert pairs(found) == {}
    assert beside(found) == {
        "t.py::young": NEW, "t.py::k[2]": NEW, "t.py::old": REMOVED, "t.py::k[1]": REMOVED,
    }  # fmt: skip
    notes = {u.name: u.note for u in found.unjudged}
    assert notes["t.py::young"] == "main (1a2b3c4) does not have it"
    assert notes["t.py::old"] == "working tree does not have it"


@pytest.mark.parametrize("metadata", [kernel(), third_party()], ids=["kernel", "third_party"])
@pytest.mark.parametrize("name", ["t.py::b", "u.py::a", "u/t.py::C::a[x::y]"])
def test_a_renamed_test_or_file_is_still_the_same(name: str, metadata: dict[str, Any]) -> None:
    found = matched({"t.py::a": metadata}, {name: metadata})
    assert pairs(found) == {name: "t.py::a"}
    assert beside(found) == {name: RENAMED}
    assert found.unjudged[0].note == "was t.py::a"


def test_two_tests_that_do_the_same_are_not_told_apart_when_renamed() -> None:
    found = matched(
        {"t.py::a": third_party(), "t.py::b": third_party()},
        {"t.py::c": third_party(), "t.py::d": third_party()},
    )
    assert pairs(found) == {}
    assert set(beside(found).values()) == {NEW, REMOVED}
    found = matched(
        {"t.py::a": third_party()}, {"t.py::c": third_party(), "t.py::d": third_party()}
    )
    assert pairs(found) == {}
    found = matched(
        {"t.py::a": third_party(), "t.py::b": third_party()}, {"t.py::d": third_party()}
    )
    assert pairs(found) == {}


def test_of_two_alike_the_one_that_kept_its_name_is_known() -> None:
    found = matched(
        {"t.py::a": third_party(), "t.py::b": third_party()},
        {"t.py::a": third_party(), "t.py::d": third_party()},
    )
    assert pairs(found) == {"t.py::a": "t.py::a", "t.py::d": "t.py::b"}


def test_names_that_are_swapped_go_by_name() -> None:
    found = matched(
        {"t.py::a": third_party("1"), "t.py::b": third_party("2")},
        {"t.py::a": third_party("2"), "t.py::b": third_party("1")},
    )
    assert pairs(found) == {}
    assert set(beside(found).values()) == {UNCOMPARABLE}


def test_swapped_kernels_go_by_what_they_are() -> None:
    found = matched(
        {"t.py::a": kernel(size="1"), "t.py::b": kernel(size="2")},
        {"t.py::a": kernel(size="2"), "t.py::b": kernel(size="1")},
    )
    assert pairs(found) == {"t.py::a": "t.py::b", "t.py::b": "t.py::a"}


def test_a_test_whose_body_changed_is_not_comparable() -> None:
    found = matched({"t.py::a": third_party("1")}, {"t.py::a": third_party("2")})
    assert pairs(found) == {}
    assert beside(found) == {"t.py::a": UNCOMPARABLE}
    assert "the test itself differs" in found.unjudged[0].note


def test_a_test_that_became_a_kernels_is_new_and_the_other_removed() -> None:
    for base, head in ((third_party(), kernel()), (kernel(), third_party())):
        found = matched({"t.py::a": base}, {"t.py::a": head})
        assert pairs(found) == {}
        assert [u.why for u in found.unjudged] == [NEW, REMOVED]


@pytest.mark.parametrize("side", [0, 1])
def test_a_tier_that_one_side_cannot_run_is_skipped(side: int) -> None:
    both = {
        "t.py::a": kernel("c-avx512"),
        "t.py::b": kernel("c-avx2"),
        "t.py::c": kernel("py-loop"),
        "t.py::d": kernel("c-avx512_lists"),
        "t.py::e": kernel("c-another_tier"),
    }
    unavailable: list[dict[str, str]] = [{}, {}]
    unavailable[side] = {"avx512": NO_AVX512, "loop": "no tier of that name"}
    found = matched(both, both, unavailable)
    assert pairs(found) == {name: name for name in ("t.py::b", "t.py::c", "t.py::e")}
    assert beside(found) == {"t.py::a": SKIPPED, "t.py::d": SKIPPED}
    assert found.unjudged[0].note == NO_AVX512


def test_a_step_of_a_tier_that_cannot_run_is_skipped() -> None:
    both = {"t.py::a": kernel("c-avx2_tiled", "16", "matmul_f32"), "t.py::b": kernel("c-scalar")}
    found = matched(both, both, ({"avx2": "needs AVX2"}, {}))
    assert pairs(found) == {"t.py::b": "t.py::b"}
    assert [(u.why, u.note) for u in found.unjudged] == [(SKIPPED, "needs AVX2")]


def test_a_variant_that_only_the_sides_know_is_taken_by_its_name() -> None:
    both = {"t.py::a": kernel("c-avx1024"), "t.py::b": kernel("c-avx512", name="silu_f32")}
    found = matched(both, both, ({}, {"avx1024": "too wide", "avx512": NO_AVX512}))
    assert [(u.why, u.note) for u in found.unjudged] == [
        (SKIPPED, "too wide"),
        (SKIPPED, NO_AVX512),
    ]


def test_a_step_whose_function_one_side_lacks_is_not_compared(tmp_path: Path) -> None:
    sides = []
    for label, functions in (("base", b"relu_f32"), ("head", b"relu_f32 matmul_ijk_f32")):
        (tmp_path / label / "kernels_c").mkdir(parents=True)
        (tmp_path / label / "kernels_c/_scalar.abi3.so").write_bytes(functions)
        sides.append(Side(label, f"{label} (1a2b3c4)", tmp_path / label))
    both = listed(
        {"t.py::a": kernel("c-scalar_ijk", "16", "matmul_f32"), "t.py::b": kernel("c-scalar")}
    )
    found = match(sides, (both, both), ({}, {}), 0.5)
    assert pairs(found) == {"t.py::b": "t.py::b"}
    assert [(u.name, u.why, u.note) for u in found.unjudged] == [
        ("t.py::a", UNCOMPARABLE, "matmul_ijk_f32 is not in this checkout: base (1a2b3c4)")
    ]
    assert pairs(match([sides[1]] * 2, (both, both), ({}, {}), 0.5)).keys() == both.found.keys()


@pytest.mark.parametrize("head_key", ["a", "b"])
def test_a_step_is_the_same_code_where_its_tier_is(tmp_path: Path, head_key: str) -> None:
    sides = []
    for label, key in (("base", "a"), ("head", head_key)):
        (tmp_path / label / "kernels_c").mkdir(parents=True)
        module = tmp_path / label / "kernels_c/_scalar.abi3.so"
        module.write_text(f'"key": "{key * 64}"')
        sides.append(Side(label, label, tmp_path / label))
    step = Pair("s", "s", "matmul_f32", "c-scalar_ijk", "16", "16")
    assert same_code(step, sides) == (head_key == "a")
    assert not same_code(Pair("f", "f"), sides)


@pytest.mark.parametrize("side", [0, 1])
def test_a_test_that_one_side_skips_is_listed_as_that_and_once(side: int) -> None:
    sides = [listed({"t.py::a": third_party()}), listed({"t.py::a": third_party()})]
    sides[side] = listed({}, {"t.py::a": "needs a network"})
    found = matched(*sides)
    assert pairs(found) == {}
    assert beside(found) == {"t.py::a": SKIPPED}
    assert found.unjudged[0].note == f"{SIDES[side].label}: needs a network"


def test_tests_that_are_no_benchmarks_are_not_listed() -> None:
    both = listed({}, {"t.py::plain": "Skipping non-benchmark (--benchmark-only active)."})
    assert matched(both, both) == Inventory()


@pytest.mark.parametrize(("seconds", "is_measured"), [(0.5, True), (0.51, False), (30.0, False)])
def test_a_call_that_takes_too_long_is_not_comparable(seconds: float, is_measured: bool) -> None:
    both = {"t.py::a": third_party(seconds=seconds)}
    found = matched(both, both)
    assert bool(found.pairs) == is_measured
    if not is_measured:
        assert beside(found) == {"t.py::a": UNCOMPARABLE}
        assert "more than --longest-call 0.5" in found.unjudged[0].note
        assert matched(both, both, longest_call=60).pairs


def test_one_kernel_and_size_in_two_tests_is_compared_twice() -> None:
    both = {"t.py::a": kernel(), "u.py::b": kernel()}
    found = matched(both, both)
    assert pairs(found) == {"t.py::a": "t.py::a", "u.py::b": "u.py::b"}
    renamed = {"t.py::a": kernel(), "u.py::c": kernel()}
    found = matched(both, renamed)
    assert set(pairs(found)) == set(renamed)
    assert set(beside(found).values()) <= {RENAMED, REMOVED}


def test_every_benchmark_is_accounted_for() -> None:
    """Each of the head's is measured or listed; so is each of the base's, under its name or the
    head's."""
    base = {
        "same": third_party("s"), "gone": third_party("g"), "body": third_party("1"),
        "long": third_party("l", 9.0), "was": third_party("r"), "k": kernel(),
        "k512": kernel("c-avx512"), "skips": third_party("z"),
    }  # fmt: skip
    head = {
        "same": third_party("s"), "young": third_party("y"), "body": third_party("2"),
        "is": third_party("r"), "long": third_party("l", 9.0), "k2": kernel(),
        "k512": kernel("c-avx512"),
    }  # fmt: skip
    skipped = listed(head, {"skips": "today"})
    found = matched(listed(base), skipped, [{}, {"avx512": NO_AVX512}])
    named = set(pairs(found)) | set(beside(found))
    assert named == set(head) | {"gone", "skips"}
    assert set(pairs(found).values()) | (set(beside(found)) - {"young"}) >= set(base) - {"was", "k"}


@pytest.mark.parametrize("side", [0, 1])
def test_a_failing_benchmark_is_an_error_that_names_it(side: int) -> None:
    failed = Listed({}, {"t.py::a": "ValueError: x\ny", "t.py::b": "no"}, {})
    with pytest.raises(GateError) as error:
        inventory.require_no_failure(SIDES[side], failed)
    start = f"{SIDES[side].label} {SIDES[side].name}: t.py::a fails: "
    assert str(error.value).startswith(start)
    assert str(error.value).endswith("(and 1 more)")
    assert str(error.value).isprintable()
