"""How a run reaches the disk: tried before, read back, times first, and lost in no case."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from bench.__main__ import main
from bench.measure.saving import readable
from bench.saved import runs, writing
from bench.saved.writing import require_writable, write_measured, write_or_keep
from tests.checkout import Checkout

FEW = ("--benchmark-only", "--benchmark-max-time=0.01", "-k", "100] and c-scalar or odd")

# Sends a signal to this process, or raises an error, where a test says: while what comes late is
# measured; and Ctrl-C while the run is saved and the tables are drawn.
PLUGIN = """
import os, signal
import pytest

def pytest_configure():
    from bench.measure.machine.limits import Ceiling, Limits
    late = getattr(signal, os.environ["LATE"], None)
    def complete(self):
        if late is not None:
            os.kill(os.getpid(), late)
        if os.environ["LATE"] == "MemoryError":
            raise MemoryError("too large")
        self.best[Ceiling("call")] = 1e7
    Limits.complete = complete

@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session):
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    reporter.__class__ = type("Reporter", (type(reporter),), {"flush": property()})

@pytest.hookimpl(tryfirst=True)
def pytest_benchmark_update_machine_info():
    os.kill(os.getpid(), signal.SIGINT)

pytest_benchmark_group_stats = pytest_terminal_summary = pytest_benchmark_update_machine_info
"""

# Benchmarks that are none of ours, with what JSON or our reader do not take.
ODD = r"""
import pytest

@pytest.mark.parametrize("extra", [
    {"x": float("nan")}, {"x": object()}, {1: 2, "1": 3}, {"kernel": "mine", "operation": 5},
    {"kernel": "mine", "variant": "v", "side": "left", "size": 3},
    {"crossing": "x", "binding": [], "elements": "many"},
], ids=["nan", "object", "twice", "names-like-ours", "kernel", "crossing"])
def test_odd(benchmark, extra):
    benchmark.extra_info.update(extra)
    benchmark(sum, range(10))

@pytest.mark.parametrize("extra", [
    {(1, 2): 3}, {"suite": "baremetal-ml", "kernel": "relu_f32"},
    {"suite": "baremetal-ml", "kernel": [], "variant": {}, "size": 3, "side": "python"},
], ids=["tuple", "marked", "marked-oddly"])
def test_odd_in_json(benchmark, extra):
    benchmark.extra_info.update(extra)
    benchmark(sum, range(10))

@pytest.mark.parametrize("name", ["a\u00a0b", "a\nb", "\u202e", "'\"<&|`", "a" * 300])
def test_odd_name(benchmark, name):
    benchmark(sum, range(10))
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    made = Checkout(tmp_path_factory.mktemp("saving"))
    (made.folder / "late.py").write_text(PLUGIN, encoding="utf-8")
    (made.folder / "test_bench_odd.py").write_text(ODD, encoding="utf-8")
    return made


def saved_as(checkout: Checkout, name: str) -> Path:
    (path,) = (checkout.folder / ".benchmarks").glob(f"*/*_{name}.json")
    return path


@pytest.mark.parametrize(
    ("how", "code"), [("SIGINT", 2), ("SIGKILL", -signal.SIGKILL), ("MemoryError", 0)]
)
def test_what_comes_late_cannot_lose_the_times(checkout: Checkout, how: str, code: int) -> None:
    """Ctrl-C, or worse, while the limits are completed; and Ctrl-C while the run is saved, and
    while tables are drawn. Beside a reporter of another plugin's."""
    run = checkout.python(
        "-m", "pytest", "-p", "late", "test_bench_relu.py", *FEW, "--benchmark-json=late.json",
        f"--benchmark-save={how}", LATE=how,
    )  # fmt: skip
    assert run.returncode == code, run.stdout + run.stderr
    assert "measuring the limits that no case has met" in run.stdout
    for file in (checkout.folder / "late.json", saved_as(checkout, how)):
        loaded = runs.load(file)
        assert [f.variant for _, f in loaded.ours] == ["c-scalar"]
        # Of the limits those that it was measured beside.
        names = {limit.name for limit in loaded.limits}
        assert "fma" in names
        assert "call" not in names
    if how != "SIGKILL":
        said = "fails: MemoryError(" if how == "MemoryError" else "interrupted: the times stand"
        assert said in run.stdout
        assert "competency matrix" in run.stdout
        assert "Traceback" not in run.stdout + run.stderr


def test_what_is_written_is_read(checkout: Checkout) -> None:
    """Cases that are there twice, and whatever other people's benchmarks hold."""
    run = checkout.python(
        "-m", "pytest", "-p", "late", "--keep-duplicates", "test_bench_relu.py",
        "test_bench_relu.py", "test_bench_odd.py", *FEW,
        "--benchmark-json=odd.json", "--benchmark-save=odd", LATE="",
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.count("measured more than once: 1;") == 1
    for name in ("tuple]: keys must be", "marked]: extra_info.", "marked-oddly]: extra_info."):
        assert run.stdout.count(f"test_bench_odd.py::test_odd_in_json[{name}") == 1
    for file in (checkout.folder / "odd.json", saved_as(checkout, "odd")):
        loaded = runs.load(file)
        assert len(loaded.results) == len(checkout.json(str(file))["benchmarks"])
        assert [metadata.variant for _, metadata in loaded.ours] == ["c-scalar"]
        assert sum("test_odd[" in result.fullname for result in loaded.results) == 6
        # What takes long was added to both.
        assert "call" in {limit.name for limit in loaded.limits}


def test_benchmarks_from_outside_the_checkout_are_saved_too(checkout: Checkout) -> None:
    outside = checkout.folder.parent / "outside"
    outside.mkdir()
    theirs = f"{ODD}\ndef test_odd_end(benchmark):\n    benchmark(lambda: 1 / 0)\n"
    (outside / "test_theirs.py").write_text(theirs, encoding="utf-8")
    checkout.pytest(
        "test_bench_relu.py", str(outside), "--benchmark-only", "--benchmark-max-time=0.01",
        "-k", "100] and c-scalar or odd[ or odd_end", "--benchmark-json=both.json",
    )  # fmt: skip
    found = runs.load(checkout.folder / "both.json").results
    assert len([result for result in found if "test_odd[" in result.fullname]) == 6
    assert len(found) == 7


@pytest.mark.parametrize("option", ["json=file/x.json", "histogram=file/x", "cprofile-dump=file/x"])
def test_a_target_that_cannot_be_written_is_found_before_the_first_case(
    checkout: Checkout, option: str
) -> None:
    (checkout.folder / "file").write_text("mine")
    run = checkout.pytest("test_bench_relu.py", *FEW, f"--benchmark-{option}")
    assert run.returncode == 2
    assert "passed" not in run.stdout
    assert "file: is no folder, needs one" in run.stdout
    assert "Traceback" not in run.stdout + run.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_run_whose_disk_is_full_is_kept_elsewhere(checkout: Checkout) -> None:
    run = checkout.python(
        "-m", "pytest", "-p", "late", "test_bench_relu.py", *FEW, "--benchmark-json=/dev/full",
        LATE="",
    )  # fmt: skip
    assert run.returncode == 2, run.stdout + run.stderr
    line = next(line for line in run.stdout.splitlines() if line.startswith("/dev/full: "))
    assert "not saved (No space left on device); the run is in " in line
    kept = Path(line.rpartition(" ")[2])
    assert runs.load(kept).limits
    kept.unlink()


# --- Files ---------------------------------------------------------------------------------------


def test_of_what_was_measured_twice_the_shortest_minimum_stays(checkout: Checkout) -> None:
    def benchmark(name: str, seconds: float) -> dict[str, Any]:
        stats = dict.fromkeys(("min", "max", "mean", "median"), seconds)
        return {"fullname": name, "stats": {**stats, "stddev": 0, "iqr": 0, "rounds": 1}}

    a, faster, slower, b = (
        benchmark("a", 2.0), benchmark("a", 1.0), benchmark("a", 3.0), benchmark("b", 5.0),
    )  # fmt: skip
    kept, lines = readable([a, b, faster, slower])
    assert kept == [faster, b]
    assert lines == ["measured more than once: 2; of each the shortest minimum is kept"]
    kept, lines = readable([b, benchmark("c", 0.0)])
    assert kept == [b]
    assert "c: min is 0.0" in lines[0]


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "full"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16k", "none", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs to be allowed to mount a small file system")
    with (folder / "filling").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_found_before_and_named(full_disk: Path, tmp_path: Path) -> None:
    path = full_disk / "x.json"
    with pytest.raises(OSError, match="No space left") as raised:
        require_writable(path)
    assert raised.value.filename == str(path)
    with pytest.raises(OSError, match="No space left") as raised:
        writing.write_atomic(path, "x" * 10_000)
    assert raised.value.filename == str(path)
    assert [file.name for file in full_disk.iterdir()] == ["filling"]


@pytest.mark.parametrize(
    ("target", "needs"),
    [
        ("folder", "is a folder, needs the name of a file"),
        ("file/x.json", "is no folder, needs one"),
        ("file/deeper/still/x.json", "is no folder, needs one"),
        ("/dev/null", "is no regular file, needs the name of a file"),
        ("n" * 300, "File name too long"),
    ],
)
def test_what_cannot_be_written_is_named(tmp_path: Path, target: str, needs: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OSError, match=needs) as raised:
        require_writable(tmp_path / target)
    named = target.partition("/")[0] or target
    assert raised.value.filename == str(tmp_path / named)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


@pytest.mark.parametrize("command", [["report"], ["peers", "--quick"]])
def test_a_command_names_the_file_that_it_cannot_write(
    command: list[str], full_disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And says so in one line, and leaves nothing half-written."""
    run = [str(Path(__file__).parents[1] / "results/reference.json")]
    saved = run if command == ["report"] else []
    assert main([*command, *saved, "-o", str(full_disk / "new")]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"bench: {full_disk / 'new'}")
    assert said.count("No space left on device\n") == said.count("\n") == 1
    assert not [file for file in full_disk.rglob("*") if file.is_file() and file.name != "filling"]
    (tmp_path / "file").write_text("mine")
    assert main(["report", *run, "-o", str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err == f"bench: {tmp_path / 'file'}: is no folder, needs one\n"
    page = tmp_path / "index.html"
    page.mkdir()
    assert main(["report", *run, "-o", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"bench: {page}: Is a directory\n"


def test_what_was_there_stays_when_a_new_one_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.json"
    write_or_keep(path, "old")
    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(OSError, match="No space left on device; what was measured is in /") as lost:
        write_measured(path, "new")
    assert lost.value.filename == str(path)
    Path(lost.value.strerror.rpartition(" ")[2]).unlink()
    kept, reason = write_or_keep(path, "new")
    assert (path.read_text(), kept.read_text(), reason) == ("old", "new", "No space left on device")
    assert [file.name for file in tmp_path.iterdir()] == ["run.json"]
    kept.unlink()


def fails(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
