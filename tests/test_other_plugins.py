"""Beside plugins that want the same names, shuffle, and watch; .ci/plugins tries real ones."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench.gate.rounds.pytest_process import _known_to
from bench.measure.timing.minimum import Rounds, watchers
from bench.measure.timing.paired import Pairing, Timed
from bench.saved import runs
from tests.checkout import Checkout

# Has every name of ours: options in pytest's own group and in one of its own, what they are stored
# as, fixtures and marks; turns the tests around and traces every line.
GREEDY = """
import sys
import pytest

def pytest_addoption(parser):
    parser.addoption("--count", type=int, default=7)
    group = parser.getgroup("greedy")
    for name in ("quick", "explain", "peers"):
        group.addoption(f"--{name}", action="store", default="theirs")
    group.addoption("--peer-threads", default="theirs")

def pytest_configure(config):
    for mark in ("kernel", "operation", "interpreter"):
        config.addinivalue_line("markers", f"{mark}: theirs")

@pytest.fixture
def measure():
    return "theirs"

call_overhead = measure_operation = measure

@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    items.reverse()

def pytest_sessionfinish(session):
    option = session.config.option
    assert (option.count, option.quick, option.peer_threads) == (9, "fast", "theirs")
"""


def test_a_plugin_may_have_every_name_of_ours(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    (checkout.folder / "greedy.py").write_text(GREEDY, encoding="utf-8")
    run = checkout.pytest(
        "-p", "greedy", "--count=9", "--quick=fast", "--baremetal-quick", "--benchmark-only", "-v",
        "--benchmark-max-time=0.01", "--benchmark-json=x.json", "test_bench_relu.py",
        "test_bench_boundary.py", "-k", "test_relu and py- or empty_call and Python",
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    sizes = {f.size for _, f in runs.load(checkout.folder / "x.json").ours}
    assert {"100", "10000"} <= sizes
    assert "10000000" not in sizes
    # A size's variants come together, Python's loop first.
    begun = [line.split()[0].partition("::")[2] for line in run.stdout.splitlines() if "::" in line]
    kernels = [name.partition("[")[2] for name in begun if name.startswith("test_relu")]
    assert [name.rpartition("-")[0] for name in kernels[:4]] == ["py-loop", "py-idiomatic"] * 2


def test_a_side_of_the_gate_is_asked_by_the_name_it_knows(tmp_path: Path) -> None:
    side: Any = SimpleNamespace(root=tmp_path)
    assert _known_to(side, ["-k", "x", "--quick"]) == ["-k", "x", "--quick"]
    (tmp_path / "conftest.py").write_text((Path(__file__).parents[1] / "conftest.py").read_text())
    assert _known_to(side, ["-k", "x", "--quick"]) == ["-k", "x", "--baremetal-quick"]


def test_nothing_is_traced_or_profiled_while_it_is_timed() -> None:
    """As coverage tools and debuggers do; and they go on afterwards."""
    seen: set[tuple[Any, Any]] = set()

    def timed() -> None:
        seen.add((sys.gettrace(), sys.getprofile()))

    def watch(*_: Any) -> None:
        return None

    trace, profile = sys.gettrace(), sys.getprofile()
    sys.settrace(watch)
    sys.setprofile(watch)
    try:
        rounds = Rounds(timed, (), cap_seconds=0.01)
        rounds.calibrate()
        list(rounds)
        list(rounds.few(2, 1.0, []))
        Pairing(Timed(timed, ()), Timed(timed, ())).take(0.001)
        after = sys.gettrace(), sys.getprofile()
    finally:
        sys.settrace(trace)
        sys.setprofile(profile)
    assert seen == {(None, None)}
    assert after == (watch, watch)


@pytest.mark.skipif(not hasattr(sys, "monitoring"), reason="needs Python 3.12")
def test_a_tool_that_cannot_be_paused_is_named() -> None:
    monitoring: Any = sys.monitoring  # type: ignore[attr-defined]
    before = watchers()
    number = next(n for n in range(6) if monitoring.get_tool(n) is None)
    monitoring.use_tool_id(number, "a tool of this test")
    try:
        assert sorted(watchers()) == sorted([*before, "a tool of this test"])
    finally:
        monitoring.free_tool_id(number)


def test_benchmarks_that_a_tool_watches_are_refused(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    (checkout.folder / "watching.py").write_text(
        "from bench.measure.timing import minimum\nminimum.watchers = lambda: ['coverage.py']\n"
    )
    few = ("-p", "watching", "test_bench_relu.py", "-k", "py-loop-100]")
    run = checkout.pytest(*few, "--benchmark-only")
    assert run.returncode == 2
    assert "coverage.py watches the interpreter" in run.stdout + run.stderr
    assert "passed" not in run.stdout
