"""Instruction counts repeat, see half a percent, and are blind to what takes only time."""

from __future__ import annotations

import ast
import json
import random
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import gettempdir
from threading import Event
from time import sleep
from types import SimpleNamespace
from typing import Any

import pytest

import kernels_c
from bench.gate.checkouts.sides import Side
from bench.gate.counts import child
from bench.gate.counts import gate as counts
from bench.gate.counts import judge as instructions
from bench.gate.counts.child import Unsupported
from bench.gate.counts.judge import (
    AGREEMENT,
    TOLERANCE_OF_TESTS,
    Count,
    at_counted_size,
    count_kernels,
    counted_shape,
    judge,
)
from bench.gate.verdicts.pairs import Pair
from bench.measure.cases.make import make_case
from bench.measure.evidence import callgrind, counting
from bench.measure.evidence.counted_calls import count_in_child
from bench.saved.gates import (
    INCONCLUSIVE,
    INSTRUCTIONS,
    PASS,
    REGRESSED,
    SKIPPED,
    UNCOMPARABLE,
    Gate,
    Judged,
    Unjudged,
    as_json,
)  # fmt: skip
from bench.suite import registry
from tests import regressions
from tests.checkout import ROOT, Checkout

needs_valgrind = pytest.mark.skipif(
    callgrind.why_unavailable() is not None, reason=str(callgrind.why_unavailable())
)
Case = tuple[str, str, str]  # kernel, variant, size
CASES: list[Case] = list(
    dict.fromkeys(
        [
            change.case
            for change in (*regressions.GROWN, *regressions.SAME_COUNT, *regressions.NEUTRAL)
        ]
        + [("softmax_f32", "py-idiomatic", "100"), ("relu_f32", "c-avx512", "100")]
    )
)

KERNEL = Pair("x", "x", "relu_f32", "c-avx2", "100", "100")


def changed(folder: Path, changes: Sequence[regressions.Change]) -> Path:
    """A checkout with the changes, built."""
    checkout = Checkout(folder)
    for change in changes:
        change.apply(checkout)
    built = checkout.build("--tier", "scalar", "--tier", "avx2")
    assert built.returncode == 0, built.stderr
    return checkout.folder


def count_sides(root: Path, first_turn: int) -> list[dict[str, Count]]:
    sides, scratch = [Side("base", "base", root), Side("head", "head", ROOT)], Path(gettempdir())
    pairs = [pair_of(case) for case in CASES]
    turns = (first_turn, first_turn + 1)
    return [count_kernels(sides, scratch, 0, pairs, turn) for turn in turns]


@pytest.fixture(scope="session")
def base() -> list[dict[str, Count]]:
    return count_sides(ROOT, 0)


def pair_of(case: Case) -> Pair:
    return at_counted_size(Pair(" ".join(case), " ".join(case), *case))


def verdicts(
    base: list[dict[str, Count]], head: list[dict[str, Count]]
) -> dict[Case, Judged | Unjudged]:
    return {
        case: judge(pair_of(case), *([c[" ".join(case)] for c in s] for s in (base, head)))
        for case in CASES
    }


def is_still(result: Judged | Unjudged) -> bool:
    """Natively within half of what Python's counts may differ by."""
    if isinstance(result, Unjudged):
        return True
    most = AGREEMENT if " py-" in result.name else 0.0005
    return result.verdict == PASS and abs(result.change) < most


@needs_valgrind
def test_neutral_changes_raise_no_alarm(base: list[dict[str, Count]], tmp_path: Path) -> None:
    """Built in another directory, with comments, other names and empty functions before kernels."""
    head = changed(tmp_path, regressions.NEUTRAL)
    of_base, of_head = base, count_sides(head, 2)
    if any(not is_still(result) for result in verdicts(of_base, of_head).values()):
        # Twice more, as the gate does it: the smallest of four is not what memory's places added.
        of_base, of_head = of_base + count_sides(ROOT, 4), of_head + count_sides(head, 6)
    found = verdicts(of_base, of_head)
    for case in CASES:
        assert is_still(found[case]), found[case]
    assert sum(isinstance(result, Judged) for result in found.values()) >= 4


@needs_valgrind
def test_growth_is_caught_and_slowness_alone_is_not(
    base: list[dict[str, Count]], tmp_path: Path
) -> None:
    changes = (*regressions.GROWN, *regressions.SAME_COUNT)
    found = verdicts(base, count_sides(changed(tmp_path, changes), 2))
    for change in regressions.GROWN:
        result = found[change.case]
        if isinstance(result, Unjudged):  # a tier that this processor lacks
            continue
        assert result.verdict == REGRESSED, result
        assert 0.004 < result.change < 0.008, result
    for change in regressions.SAME_COUNT:  # alternating rounds are there for these
        result = found[change.case]
        if isinstance(result, Judged):
            assert result.verdict == PASS, result
            assert abs(result.change) < 0.001, result


@needs_valgrind
def test_a_tier_that_valgrind_cannot_run_is_skipped_with_the_reason(
    base: list[dict[str, Count]],
) -> None:
    assert base[0]["relu_f32 c-avx512 100"] in (
        "valgrind's processor has no AVX-512",
        "tier avx512 is not built",
    )


def test_a_function_that_a_checkout_lacks_is_said_to_be_missing(tmp_path: Path) -> None:
    """As in a base from before the step."""
    side = child.Checkout(ROOT, tmp_path, random.Random(0))
    now = kernels_c.load_tier("scalar")
    older: Any = SimpleNamespace(
        lib=SimpleNamespace(), ffi=now.ffi, build_info=now.build_info, threads=1
    )
    side.tier = {"scalar": older}.__getitem__
    case = make_case(registry.kernel("matmul_f32"), (2, 2, 2))
    with pytest.raises(Unsupported, match=r"^not in this checkout: .*'matmul_ijk_f32'$"):
        side.call(case, "c-scalar_ijk")
    older.lib.matmul_ijk_f32 = print
    assert side.call(case, "c-scalar_ijk")[0] is print


def counted_in(script: str, tmp_path: Path, **options: object) -> list[callgrind.Counted]:
    """Counts of a script that loads counting.py by its path, as somebody else's process does."""
    loading = (
        "import importlib.util, sys\n"
        f"spec = importlib.util.spec_from_file_location('counting', {str(counting.__file__)!r})\n"
        "counting = sys.modules['counting'] = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(counting)\n"
        "counted = counting.counted\n"
    )
    path = tmp_path / "script.py"
    path.write_text(loading + script, encoding="utf-8")
    return callgrind.count([sys.executable, str(path)], tmp_path, **options)  # type: ignore[arg-type]


def test_counting_imports_the_standard_library_only() -> None:
    tree = ast.parse(Path(counting.__file__).read_text(encoding="utf-8"))
    imported = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    imported |= {n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in imported} <= sys.stdlib_module_names


@needs_valgrind
def test_any_process_counts_calls_in_order(tmp_path: Path) -> None:
    script = """
def add(n):
    total = 0
    for i in range(n):
        total += i
    return total
def fails():
    raise ValueError
counted(add, (1000,), label="first")
try:
    counted(fails, (), label="never")
except ValueError:
    pass
counted(add, (2000,), label="second")
counted(add, (1000,), label="again")
"""
    folder = tmp_path / "a:b %p %q{x} %%"
    folder.mkdir()
    first, second, again = counted_in(script, folder)
    assert [c.label for c in (first, second, again)] == ["first", "second", "again"]
    assert again.instructions == pytest.approx(first.instructions, rel=0.0002)
    assert second.instructions == pytest.approx(2 * first.instructions, rel=0.05)
    assert not list(folder.glob("counted.*"))


@needs_valgrind
def test_it_does_not_matter_when_callgrind_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = "counted(sorted, (range(1000),), label='x')"
    [soon] = counted_in(script, tmp_path)
    monkeypatch.setattr(callgrind, "starts_late", lambda: False)
    [always] = counted_in(script, tmp_path)
    assert soon.instructions == pytest.approx(always.instructions, rel=0.0002)


@needs_valgrind
def test_the_harness_may_lie_where_paths_are_parted(tmp_path: Path) -> None:
    """In PYTHONPATH, a:b is two folders; an installed suite answered in the harness's place."""
    harness = tmp_path / "a:b"
    harness.mkdir()
    (harness / "child.py").write_text("import sys; open(sys.argv[2], 'w').write('[\"here\"]')")
    assert count_in_child(["child"], ["what"], tmp_path, harness) == ["here"]


class Held:
    """A short call that the machine holds up for a while."""

    def __init__(self, *held: int) -> None:
        self.held = held
        self.calls = 0

    def __call__(self) -> None:
        self.calls += 1
        if self.calls in self.held:
            sleep(0.11)


@pytest.mark.parametrize(
    ("held", "alone"),
    [
        ((), False),
        ((counting.WARM_CALLS,), False),
        (range(2, counting.WARM_CALLS + 1), False),
        (range(1, 100), True),
    ],
)
def test_only_a_long_call_is_counted_alone(
    held: Sequence[int], alone: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a few ten thousand instructions the interpreter's whims are a tenth of a percent."""
    log = tmp_path / "log"
    monkeypatch.setenv(counting.LOG, str(log))
    counting.counted(Held(*held), label="x")
    label, more, regions = json.loads(log.read_text(encoding="utf-8"))
    assert (label, regions) == ("x", 1 + 2 * counting.PAIRS)
    assert more >= 1 and (more == 1) == alone


@needs_valgrind
@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("raise SystemExit('no such kernel')", "exit code 1: no such kernel"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
        ("import os; counted(os.sched_get_priority_max, (0,))", "does counted code itself call"),
    ],
)
def test_a_process_that_fails_is_one_line(script: str, expected: str, tmp_path: Path) -> None:
    with pytest.raises(callgrind.CountingFailed, match=expected) as caught:
        counted_in(script, tmp_path)
    assert "\n" not in str(caught.value)


PROFILE = """part: 1
desc: Trigger: --dump-before=sched_get_priority_max
events: Ir
fn=kernel
0 100
cfn=malloc
calls=2 0
0 700
totals: 800
"""


def read(profile: str, entry: list[object], folder: Path) -> list[callgrind.Counted]:
    (folder / "profile").write_text(profile, encoding="utf-8")
    (folder / "log").write_text(json.dumps(entry), encoding="utf-8")
    return callgrind._read(folder / "profile", folder / "log")


def test_allocators_are_charged_a_flat_price(tmp_path: Path) -> None:
    longer = PROFILE.replace("0 100", "0 1100").replace("totals: 800", "totals: 1800")
    not_read = PROFILE.replace("100", "99").replace("800", "799")
    (found,) = read(not_read + (PROFILE + longer) * 2, ["x", 10, 5], tmp_path)
    assert (found.label, found.instructions) == ("x", 100.0)


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        (PROFILE.replace("totals: 800", "totals: eight"), "malformed"),
        (PROFILE.replace("totals: 800", "totals:"), "malformed"),
        (PROFILE.replace("totals: 800", "totals: 1 2 3"), "malformed"),
        (PROFILE.replace("0 700", "0 lots"), "malformed"),
        (PROFILE.replace("totals: 800\n", ""), "ends in the middle"),
        ("", "1 regions were counted and the profile has 0"),
    ],
)
def test_a_torn_profile_is_refused(profile: str, expected: str, tmp_path: Path) -> None:
    with pytest.raises(callgrind.CountingFailed, match=expected):
        read(profile, ["x", counting.FAILED, 1], tmp_path)


def test_a_missing_valgrind_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(callgrind.CountingFailed, match="apt-get install valgrind; Fedora: dnf"):
        callgrind.count(["true"], tmp_path)


@pytest.mark.parametrize(
    ("head", "verdict", "improved"),
    [
        ((10_000, 10_004), PASS, False),
        ((10_050, 10_050), REGRESSED, False),
        ((10_029, 10_029), PASS, False),
        ((9_950, 9_950), PASS, True),
        ((10_050, 10_090), INCONCLUSIVE, False),
        ((9_900, 9_950), INCONCLUSIVE, False),
        ((10_100, 10_000, 10_005, 10_200), PASS, False),
        ((10_100, 10_102, 10_200, 10_300), REGRESSED, False),
        ((10_000, 10_050, 10_050, 10_050), INCONCLUSIVE, False),
    ],
)
def test_verdicts(head: tuple[int, ...], verdict: str, improved: bool) -> None:
    base, other = ([float(n) for n in side] for side in ((10_000, 10_000), head))
    result = judge(KERNEL, base, other)
    assert isinstance(result, Judged)
    assert (result.verdict, result.improved) == (verdict, improved)
    assert result.base == 10_000


@pytest.mark.parametrize(
    ("head", "verdict", "improved"),
    [
        (41_190, PASS, False),
        (41_260, REGRESSED, False),
        (40_810, PASS, False),
        (40_700, PASS, True),
    ],
)
def test_what_a_tests_call_takes_more_in_one_process_is_no_change(
    head: int, verdict: str, improved: bool
) -> None:
    base, other = ([float(n)] * 2 for n in (41_000, head))
    result = judge(Pair("x", "x"), base, other)
    assert isinstance(result, Judged)
    assert (result.verdict, result.improved) == (verdict, improved)
    assert result.minimum_detectable_slowdown == TOLERANCE_OF_TESTS / 41_000


@pytest.mark.parametrize(
    ("of_base", "of_head", "side"),
    [
        ((0, 0), (10_000, 10_000), "base"),
        ((10_000, 10_000), (0, 0), "head"),
        ((0, 0), (0, 0), "base"),
        ((10_000, 0), (10_000, 10_000), "base"),
        ((10_000, 10_000), (0, 10_000, 10_000, 10_000), "head"),
    ],
)
def test_a_count_of_zero_is_none(
    of_base: tuple[int, ...], of_head: tuple[int, ...], side: str
) -> None:
    """It is what is left where what disturbs a short call is more than the call."""
    base, head = ([float(n) for n in counts] for counts in (of_base, of_head))
    result = judge(KERNEL, base, head)
    assert result == Unjudged(
        KERNEL.name, UNCOMPARABLE, f"{side}: no instruction was counted, the call is too short"
    )
    gate = Gate(INSTRUCTIONS, "b", "h", 0.003, judged=(), unjudged=(result,))
    assert gate.exit_code == 3
    json.dumps(as_json(gate), allow_nan=False)


@pytest.mark.parametrize(
    ("heads", "counted", "last"),
    [
        ({2: 10_000, 3: 10_001}, {"ab": 4}, PASS),
        ({2: 10_000, 3: 10_060, 6: 10_002, 7: 10_070}, {"ab": 4, "b": 4}, PASS),
        ({2: 10_000, 3: 10_060, 6: 10_100, 7: 10_200}, {"ab": 4, "b": 4}, INCONCLUSIVE),
    ],
)
def test_what_disagrees_is_counted_once_more(
    heads: dict[int, int], counted: dict[str, int], last: str
) -> None:
    """`b` on the head, by turn; `a` agrees at once."""
    were_counted: Counter[str] = Counter()

    def count(place: int, pairs: Sequence[Pair], turn: int) -> dict[str, Count]:
        were_counted["".join(p.name for p in pairs)] += 1
        of_b = heads[turn] if place else 10_000
        return {p.name: of_b if p.name == "b" else 10_000 for p in pairs}

    a, b = counts._settled([replace(KERNEL, name=name) for name in "ab"], count, 0.003)
    assert were_counted == counted
    assert isinstance(a, Judged) and isinstance(b, Judged)
    assert (a.verdict, b.verdict) == (PASS, last)


def test_an_interrupted_gate_waits_for_no_count(monkeypatch: pytest.MonkeyPatch) -> None:
    stopped, turns = Event(), []
    monkeypatch.setattr(callgrind, "stop", stopped.set)

    def count(place: int, pairs: Sequence[Pair], turn: int) -> dict[str, Count]:
        turns.append(turn)
        if turn == 0:
            raise KeyboardInterrupt
        assert stopped.wait(5)
        return {}

    with pytest.raises(KeyboardInterrupt):
        counts._settled([KERNEL], count, 0.003)
    assert stopped.is_set() and 3 not in turns


def test_what_is_counted_leaves_nothing_beside_the_gates_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gate that is killed leaves it to the next one, and no bytecode in the head's copy."""
    folders = []

    def count(
        child: Sequence[str], wanted: Sequence[Case], folder: Path, *_: Path, **how: Any
    ) -> list[str]:
        folders.append(folder.parent)
        assert how["environment"]["PYTHONDONTWRITEBYTECODE"]
        return ["not counted"] * len(wanted)

    monkeypatch.setattr(instructions, "count_in_child", count)
    sides = [Side(label, label, ROOT) for label in ("base", "head")]
    counts._settled([pair_of(c) for c in CASES], partial(count_kernels, sides, tmp_path), 0.003)
    assert folders == [tmp_path] * 4


def test_what_was_not_counted_is_said() -> None:
    count, reason = 1e4, "not built"

    def why(pair: Pair, base: Count, head: Count) -> tuple[str, str]:
        result = judge(pair, [base, base], [head, head])
        assert isinstance(result, Unjudged)
        return result.why, result.note

    assert why(KERNEL, reason, reason) == (SKIPPED, "not built")
    assert why(KERNEL, reason, count) == (UNCOMPARABLE, "base: not built")
    assert why(KERNEL, count, reason) == (UNCOMPARABLE, "head: not built")
    assert why(Pair("x", "x"), reason, reason) == (UNCOMPARABLE, "base: not built")


@pytest.mark.parametrize(
    ("kernel", "variant", "size", "counted"),
    [
        ("relu_f32", "c-avx2", "10000000", "10000000"),
        ("relu_f32", "py-loop", "100", "100"),
        ("relu_f32", "py-loop", "1000000", "4096"),
        ("softmax_f32", "py-loop", "512x1024", "4x1024"),
        ("softmax_f32", "py-loop", "1000000", "4096"),
        ("matmul_f32", "py-loop", "500", "16"),
        ("matmul_f32", "c-avx2", "256", "168"),
        ("matmul_i8_i32", "c-avx2", "500", "168"),
        ("matmul_f32", "c-scalar", "64", "64"),
        ("matmul_f32", "c-scalar_ijk", "64", "64"),
        ("matmul_f32", "c-avx2_tiled", "256", "168"),
    ],
)
def test_long_calls_are_counted_at_a_smaller_shape(
    kernel: str, variant: str, size: str, counted: str
) -> None:
    row = registry.kernel(kernel)
    assert row.size_name(counted_shape(row, variant, row.shape_named(size))) == counted
