"""Whatever ends a case or a run early: what was measured to its end is saved, the rest is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.saved import runs
from tests.checkout import Checkout

FEW = ("--benchmark-only", "--benchmark-max-time=0.01", "-p", "ending")
ENDING = ("test_bench_ending.py", *FEW, "--benchmark-json=x.json")

# Ends a Python loop at the moment that a test names, in the way that it names.
PLUGIN = '''
import os, signal
import pytest

KILLS = {"SIGINT": signal.SIGINT, "SIGTERM": signal.SIGTERM, "SIGUSR1": signal.SIGUSR1}
ERRORS = {
    "fail": pytest.fail.Exception("took too long"), "skip": pytest.skip.Exception("no more"),
    "exit": pytest.exit.Exception("enough"), "memory": MemoryError("too large"),
    "system": SystemExit(3), "generator": GeneratorExit(),
}

def end(how):
    if how in KILLS:
        os.kill(os.getpid(), KILLS[how])
    else:
        raise ERRORS[how]

@pytest.fixture
def ending(request, monkeypatch):
    """end("loop", "fail"), ("slow loop", ...), ("test", ...) or ("teardown", ...)."""
    later = []
    def plan(when, how):
        if when == "teardown":
            later.append(how)
        if when == "test":
            end(how)
        if when.endswith("loop"):
            from kernels_py import relu
            original, calls = relu.loop, []
            def loop(x):
                calls.append(1)
                if len(calls) == (1 if when == "slow loop" else 4):
                    end(how)
                return original(x)
            monkeypatch.setattr(relu, "loop", loop)
        if when == "slow loop":
            from bench.measure.cases.case import Case
            monkeypatch.setattr("bench.measure.cases.unary.UnaryCase.slow_in_python", True)
    yield plan
    for how in later:
        end(how)
'''

# One case that is whole, those that end early, and one after them.
SUITE = """
import pytest

relu = pytest.mark.kernel("relu_f32")

@relu
def test_first(measure):
    measure("py-loop", "100")

@relu
@pytest.mark.parametrize(("when", "how"), [
    *(("loop", how) for how in ("fail", "skip", "memory", "system", "generator")),
    ("slow loop", "fail"), ("slow loop", "memory"), ("test", "skip"), ("teardown", "fail"),
])
def test_ended(ending, measure, when, how):
    if when.endswith("loop"):
        ending(when, how)
    measure("py-loop", "1000")
    if not when.endswith("loop"):
        ending(when, how)

def test_call_overhead(ending, call_overhead):
    call_overhead("array as buffer", "Python", 1)
    ending("test", "fail")

def test_operation(ending, measure_operation):
    measure_operation("keep")
    ending("test", "fail")

def test_third_party(ending, benchmark):
    benchmark(lambda: ending("test", "fail"))

@relu
def test_last(measure):
    measure("py-loop", "10000")

@relu
@pytest.mark.parametrize(("when", "how"), [
    ("slow loop", "SIGINT"), ("loop", "SIGUSR1"), ("teardown", "SIGTERM"), ("test", "exit"),
])
def test_end(ending, measure, when, how):
    ending(when, how) if when.endswith("loop") else None
    measure("py-loop", "1000")
    ending(when, how) if not when.endswith("loop") else None
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    made = Checkout(tmp_path_factory.mktemp("interrupted"))
    (made.folder / "ending.py").write_text(PLUGIN, encoding="utf-8")
    (made.folder / "test_bench_ending.py").write_text(SUITE, encoding="utf-8")
    return made


def names(file: Path) -> list[str]:
    """Of the benchmarks of a saved run, which our reader takes."""
    return [result.fullname.partition("::")[2] for result in runs.load(file).results]


def test_whatever_ends_a_case_withdraws_that_case_alone(checkout: Checkout) -> None:
    run = checkout.pytest(*ENDING, "-k", "not test_end[", "--tb=line")
    assert run.returncode == 1, run.stdout
    assert "INTERNALERROR" not in run.stdout + run.stderr
    # Of the same kernel and variant: to end early is not to be wrong.
    assert names(checkout.folder / "x.json") == ["test_first", "test_last"]
    assert "already known to be wrong" not in run.stdout
    tables = run.stdout.partition("= FAILURES =")[2]
    assert "relu_f32 1000'" not in tables
    assert "competency matrix" in tables


@pytest.mark.parametrize(
    ("when", "how"),
    [("slow loop", "SIGINT"), ("loop", "SIGUSR1"), ("teardown", "SIGTERM"), ("test", "exit")],
)
def test_whatever_ends_a_run_keeps_what_was_measured(
    checkout: Checkout, when: str, how: str
) -> None:
    """And the exit code is pytest's own of an interrupted run."""
    run = checkout.pytest(*ENDING, "-k", f"test_first or (test_end[ and {how})")
    assert run.returncode == 2, run.stdout + run.stderr
    assert names(checkout.folder / "x.json") == ["test_first"]
    line = f"test_end[{when}-{how}]: left out, as it was not measured to its end"
    assert line in run.stdout.splitlines()
    assert "Traceback" not in run.stdout + run.stderr
