"""Some of the moments at which commands may end; python -m tests.rough_endings takes them all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from bench.measure.evidence import callgrind
from bench.measure.timing.child import communicate
from bench.measure.timing.rounds import calibrate
from bench.saved import runs
from tests import rough_endings
from tests.checkout import ROOT


@pytest.mark.parametrize(
    ("name", "how"),
    [("compare", "kill"), ("compare", "full"), ("report", "full"), ("render", "kill")],
)
def test_whenever_it_ends_nothing_is_lost_or_half_written(name: str, how: str) -> None:
    assert rough_endings.moments(name, how, 6) > 1


def test_a_half_written_file_would_be_found(tmp_path: Path) -> None:
    folder = rough_endings.Folder(tmp_path)
    folder.require_whole()
    (tmp_path / "new.json").write_text('{"benchmarks": [')
    with pytest.raises(ValueError):
        folder.require_whole()


def test_a_run_that_stands_still_for_a_while_is_saved_and_its_minima_are_true(
    tmp_path: Path,
) -> None:
    """As on a machine that is suspended; everything it has started stands still, too."""
    saved = tmp_path / "run.json"
    timed = ["--benchmark-only", "--benchmark-max-time=0.05", f"--benchmark-json={saved}"]
    bench = [str(ROOT / "test_bench_relu.py"), "-k", "100] and (py-loop or c-scalar)"]
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", f"--rootdir={ROOT}", *timed, *bench],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
    )
    for _ in range(3):
        time.sleep(0.7)
        os.killpg(process.pid, signal.SIGSTOP)
        time.sleep(1.0)
        os.killpg(process.pid, signal.SIGCONT)
    assert process.wait(120) == 0
    results = runs.load(saved).results
    assert len(results) == 2
    assert all(result.minimum < 0.01 for result in results)  # a stop lasts a second


def test_a_stop_is_no_hang() -> None:
    """Two seconds of standing still count as one; who does hang is found out."""
    quick = [sys.executable, "-c", "import time; time.sleep(0.3); print('done')"]
    stopped = subprocess.Popen(quick, stdout=subprocess.PIPE, text=True)
    os.kill(stopped.pid, signal.SIGSTOP)
    threading.Timer(1.5, stopped.send_signal, (signal.SIGCONT,)).start()
    assert communicate(stopped, 4.0)[0] == "done\n"
    hanging = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], text=True)
    with pytest.raises(subprocess.TimeoutExpired):
        communicate(hanging, 1.0)
    hanging.kill()
    hanging.wait()


def test_a_round_that_was_held_up_does_not_settle_how_many_calls_a_round_has() -> None:
    """A call takes a microsecond; the first round meets a stop of a minute."""
    stops = [60.0]

    def take(calls: int) -> float:
        return calls * 1e-6 + (stops.pop() if stops else 0.0)

    assert calibrate(take, least_seconds=1e-4) >= 100


def test_what_is_counted_ends_with_who_counts(tmp_path: Path) -> None:
    if callgrind.why_unavailable():
        pytest.skip(str(callgrind.why_unavailable()))
    code = """
        import os, sys
        from pathlib import Path
        from bench.measure.evidence import counted_calls
        counted_calls._TIMEOUT = 100
        counted_calls.count_in_child(
            ["bench.measure.evidence.counted_calls"],
            [["variant", "matmul_f32", "c-scalar", "500"]] * 50, *map(Path, sys.argv[1:]))
    """
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), str(tmp_path), str(ROOT)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
    )
    end = time.monotonic() + 60
    while not _valgrinds(tmp_path):
        assert parent.poll() is None, parent.stderr.read()  # type: ignore[union-attr]
        assert time.monotonic() < end
        time.sleep(0.1)
    time.sleep(3.0)  # Python under valgrind has begun by then
    parent.kill()
    parent.wait()
    while _valgrinds(tmp_path):
        assert time.monotonic() < end, "it lives on"
        time.sleep(0.1)


def test_the_quick_command_takes_pytest_along_when_it_is_killed(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-m", "bench", "quick"],  # nearly a minute, left alone
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
    end = time.monotonic() + 60
    while not (child := children.read_text().split()):
        assert time.monotonic() < end
        time.sleep(0.05)
    time.sleep(1.0)  # it has begun by then
    parent.kill()
    parent.wait()
    end = time.monotonic() + 10
    while Path(f"/proc/{child[0]}").exists():
        assert time.monotonic() < end, "it lives on"
        time.sleep(0.05)


def _valgrinds(folder: Path) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes()
        except OSError:
            continue
        if b"callgrind" in command and str(folder).encode() in command:
            found.append(path.parent.name)
    return found
