"""python -m bench contention: neighbours and participants that end, and what is saved of them."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

import kernels_c
from bench import __main__ as command_line
from bench.measure.cases.errors_in_ulp import WrongResult
from bench.measure.comparison import contention
from bench.measure.comparison.contention import Condition, Field, Plan
from bench.measure.comparison.grade import Grade
from bench.measure.comparison.neighbour import Neighbour
from bench.measure.comparison.participants import Participant
from bench.measure.machine import metadata
from bench.saved import contention as saved

PLAN = Plan("relu_f32", "1000", "avx2_omp", "avx2")


def processor_time(pid: int) -> int:
    """Ticks so far."""
    return int(Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[11])


def test_a_neighbour_spins_on_the_last_core_for_as_long_as_told_and_ends() -> None:
    with closing(Neighbour()) as neighbour:
        cores = os.sched_getaffinity(neighbour.pid)
        assert cores == {max(os.sched_getaffinity(0))}
        before, ticks = perf_counter(), processor_time(neighbour.pid)
        neighbour.spin(0.1)
        assert neighbour.ended() >= before + 0.1
        assert processor_time(neighbour.pid) > ticks
        neighbour.spin()
        neighbour.pause()
        pid = neighbour.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_first_call_is_timed_and_calls_have_their_moments() -> None:
    with closing(Participant("c-scalar")) as participant:
        assert 0 < participant.first_call("relu_f32", "1000", 1) < 1
        participant.make("relu_f32", "1000", 1)
        before = perf_counter()
        calls = participant.timeline(0.01)
    assert before <= calls[0][0] <= calls[-1][0] <= perf_counter()
    assert all(seconds > 0 for _, seconds in calls)


class Made:
    """A participant without a process: so many seconds a call, or what it raises."""

    pid = None

    def __init__(self, variant: str, says: Any) -> None:
        self.variant = variant
        self._says = says if isinstance(says, list) else [says] * 100

    def make(self, *_: Any) -> Grade:
        return Grade(0.0, None)

    def round(self, *_: Any) -> float:
        said: Any = self._says.pop(0)
        if isinstance(said, Exception):
            raise said
        return float(said)


class Still:
    """No neighbour at all."""

    def resume(self) -> None:
        return

    def pause(self) -> None:
        return


def field(*participants: Any) -> Field:
    made: Any = [Made(*each) for each in participants]
    still: Any = Still()
    found = Field(PLAN, made, still)
    found.make()
    return found


QUIET, BUSY = contention.CONDITIONS[:2]


def test_ratios_are_of_the_same_turns() -> None:
    several = [1.0, 2.0, 10.0, 20.0]  # quiet, busy, quiet, busy
    cell = field(("c-avx2_omp", several), ("c-avx2", 3.0), ("peer-torch", 4.0))
    for condition in (QUIET, BUSY, QUIET, BUSY):
        cell.turn(condition)
    quiet, busy = cell.summary(QUIET.name), cell.summary(BUSY.name)
    assert quiet["speedup"] == (3.0 + 0.3) / 2
    assert busy["over_quiet"] == 2.0
    assert busy["libraries"] == {"torch": (4 / 2 + 4 / 20) / 2}
    assert busy["turns"] == 2


def test_a_condition_of_every_second_turn_is_compared_with_the_same_turns() -> None:
    seldom = Condition("after 1 s", every=2)
    several = [1.0, 5.0, 2.0, 4.0, 8.0]  # quiet, seldom, quiet, quiet, seldom
    cell = field(("c-avx2_omp", several), ("c-avx2", 3.0))
    for condition in (QUIET, seldom, QUIET, QUIET, seldom):
        cell.turn(condition)
    assert cell.summary(seldom.name)["over_quiet"] == (5.0 / 1.0 + 8.0 / 4.0) / 2


def test_a_library_that_fails_is_out_and_named() -> None:
    fails = [4.0, WrongResult("its process has ended")]
    cell = field(("c-avx2_omp", 1.0), ("c-avx2", 3.0), ("peer-torch", fails), ("peer-blis", 2.0))
    for _ in range(3):
        cell.turn(QUIET)
    assert cell.refused == {"torch": "its process has ended"}
    assert cell.summary(QUIET.name)["libraries"] == {"blis": 2.0}


def test_a_kernel_of_ours_that_fails_ends_it() -> None:
    cell = field(("c-avx2_omp", WrongResult("wrong")), ("c-avx2", 3.0))
    with pytest.raises(WrongResult):
        cell.turn(QUIET)


@pytest.fixture
def on_two_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if metadata.usable_cores() < 2:
        pytest.skip("needs two cores")
    reason = kernels_c.why_unavailable("avx2_omp")
    if reason is not None:
        pytest.skip(reason)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_command_measures_prints_and_saves_without_any_library(
    on_two_cores: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    short = [c for c in contention.CONDITIONS if c.asleep < 1]
    for name, value in {"CONDITIONS": short, "_TURNS": 1, "_TRIALS": 1}.items():
        monkeypatch.setattr(contention, name, value)
    monkeypatch.setattr(contention.peers, "why_not_installed", lambda: "nothing is installed")
    monkeypatch.setattr(contention.peers, "why_unavailable", lambda name: f"{name} is not")
    command = ["contention", "-k", "relu_f32", "--size", "5000", "--seconds", "0.001"]
    assert command_line.main([*command, "-o", "out.json"]) == 0
    assert "skipped: nothing is installed" in capsys.readouterr().out
    (cell,) = saved.load(Path("out.json")).cells
    assert list(cell.conditions) == ["quiet", "busy neighbour", "after 10 ms", "first call"]
    assert cell.conditions["quiet"].over_quiet == 1
    assert not any(condition.libraries for condition in cell.conditions.values())


@pytest.mark.parametrize(
    "arguments",
    [
        ["-k", "nonsense"],
        ["-k", "gelu_tanh_f32"],
        ["-k", "relu_f32", "--size", "0"],
        ["--size", "77"],
        ["-o", "."],
    ],
)
def test_what_cannot_be_measured_is_said_in_one_line(
    arguments: list[str], on_two_cores: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command_line.main(["contention", *arguments]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert list(on_two_cores.iterdir()) == []


def test_one_core_is_not_enough(
    on_two_cores: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(metadata, "usable_cores", lambda: 1)
    assert command_line.main(["contention", "--quick"]) == 2
    assert "needs two cores" in capsys.readouterr().err
