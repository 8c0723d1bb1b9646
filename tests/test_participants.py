"""Libraries in processes of their own: they stand still, say what is wrong, and end with us."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter, process_time, sleep

import pytest

from bench.measure.cases.errors_in_ulp import WrongResult
from bench.measure.machine import others
from bench.measure.peers.adapter import PeerUnavailable
from tests.checkout import ROOT, Checkout
from tests.peer_libraries import available

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks /proc")


@pytest.fixture
def native() -> Iterator[object]:
    available("numpy")
    from bench.measure.comparison.participants import Participant

    participant = Participant("c-scalar")
    yield participant
    participant.close()


def state(pid: int) -> str:
    """Of the process's threads: R, S, T, ..."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return "".join(sorted({(t / "stat").read_text().rpartition(")")[2].split()[0] for t in tasks}))


def gone(pid: int) -> bool:
    """Within a few seconds."""
    end = perf_counter() + 5
    while perf_counter() < end:
        if not Path(f"/proc/{pid}").exists() or state(pid) == "Z":
            return True
        sleep(0.01)
    return False


def test_it_verifies_and_takes_rounds_and_stands_still_in_between(native) -> None:
    assert native.pid is None
    grade = native.make("relu_f32", "1000 in place +16", 1)
    assert (grade.max_error, grade.inexact) == (0.0, None)
    assert state(native.pid) == "T"
    seconds = native.round()
    assert state(native.pid) == "T"
    assert 1e-9 < seconds < 1e-3
    assert native.make("matmul_f32", "16", 1).inexact is None


def test_a_round_begins_untimed_and_can_follow_sleep_or_another_library(native) -> None:
    native.make("relu_f32", "1000", 1)
    for asked, least in (((1,), 0.03), ((2, 0.05), 0.13), ((1, 0.0, "peer-numpy"), 0.03)):
        start = perf_counter()
        assert native.round(*asked) < 1e-3  # the sleep and the other's product are not in it
        assert perf_counter() - start >= least


def test_what_is_raised_there_is_raised_here(native) -> None:
    native.make("relu_f32", "1000", 1)
    with pytest.raises(PeerUnavailable, match="there is no peer 'mlpack'"):
        native.round(1, 0.0, "peer-mlpack")
    assert native.round(1) > 0
    with pytest.raises(WrongResult, match="relu_f32 1000x2 scalar: raised ValueError"):
        native.make("relu_f32", "1000x2", 1)
    with pytest.raises(WrongResult, match="there is no case"):
        native.round()


def test_one_that_ends_is_a_reason_and_the_next_case_starts_another(native) -> None:
    native.make("relu_f32", "1000", 1)
    os.kill(native.pid, signal.SIGKILL)
    with pytest.raises(WrongResult, match=r"^relu_f32 1000 c-scalar: .* signal 9 \(SIGKILL\)$"):
        native.round()
    with pytest.raises(WrongResult, match="its process has ended"):
        native.round()
    native.make("relu_f32", "1000", 1)
    pid = native.pid
    assert native.round() > 0
    native.close()
    assert gone(pid)


def test_stopped_ones_end_with_their_parent(native) -> None:
    code = (
        "from bench.measure.comparison.participants import Participant\n"
        "import time; p = Participant('c-scalar'); p.make('relu_f32', '8', 1)\n"
        "print(p.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert state(pid) == "T"
        parent.kill()
    assert gone(pid)


def test_wrong_raising_and_dying_libraries_end_their_own_cells_only(tmp_path: Path) -> None:
    available("numpy"), available("torch"), available("onnxruntime")
    checkout = Checkout(tmp_path)
    checkout.replace("bench/measure/peers/numpy_peer.py", "np.float32(0)  #", "np.float32(7)  #")
    checkout.replace("bench/measure/peers/torch_peer.py", "return torch.relu_, (x,)", "1 / 0")
    checkout.replace(
        "bench/measure/peers/onnxruntime_peer.py", 'return _bound("Relu"',
        'import os; return (lambda _: os.abort()), (1,); _bound("Relu"',
    )  # fmt: skip
    run = checkout.python(
        "-m", "bench", "peers", "--kernel", "relu_f32", "--size", "1000 in place", "1000",
        "--threads", "1", "--apart", "--seconds", "0.01", "-o", "out.json",
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    in_place, plain = checkout.json("out.json")["cells"]
    assert "is not the result" in in_place["peers"]["numpy"]["wrong"]
    assert "raised ZeroDivisionError" in in_place["peers"]["torch"]["wrong"]
    assert "signal 6 (SIGABRT)" in in_place["peers"]["onnxruntime"]["wrong"]
    assert in_place["apart"] is plain["apart"] is True
    assert plain["peers"]["torch"]["pairs"] >= 12
    assert "not timed: relu_f32 1000 in place" in run.stdout


def test_an_interrupted_comparison_leaves_no_process(tmp_path: Path) -> None:
    available("numpy")
    asked = "--apart --threads 1 --seconds 60 --kernel relu_f32 --size 1000 -o out.json"
    command = [sys.executable, "-m", "bench", "peers", *asked.split()]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
    ) as running:
        children = Path(f"/proc/{running.pid}/task/{running.pid}/children")
        end = perf_counter() + 30
        while len(found := children.read_text().split()) < 2 and perf_counter() < end:
            sleep(0.05)
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=30)
    assert (running.returncode, said) == (2, "bench: interrupted; nothing was saved\n")
    assert len(found) >= 2
    assert all(gone(int(pid)) for pid in found)
    assert list(tmp_path.iterdir()) == []


# --- How busy the machine was --------------------------------------------------------------------


def test_the_share_of_others_is_what_was_used_less_what_was_ours() -> None:
    before = others.CoreTime(everything=1000, used=500, ours=100)
    assert others.share_of_others(before, others.CoreTime(1200, 600, 180)) == 0.1
    assert others.share_of_others(before, others.CoreTime(1200, 600, 210)) == 0.0
    assert others.share_of_others(before, others.CoreTime(1050, 550, 100)) is None  # too short
    assert others.share_of_others(None, before) is None


def test_our_own_work_is_not_that_of_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = others.core_time([])
    assert found is not None
    end = process_time() + 0.1
    while process_time() < end:
        pass
    with subprocess.Popen(["sleep", "0.1"]) as child:
        later = others.core_time([child.pid])
    assert later is not None
    assert later.ours - found.ours >= 0.08 * os.sysconf("SC_CLK_TCK")
    monkeypatch.setattr(others, "_PROC", tmp_path)
    assert others.core_time([]) is None
