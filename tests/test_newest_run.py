"""Which saved run a view is of without being told: the one that was measured last, by what it says
itself. And every view says which one it shows."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bench import __main__ as command_line
from bench.saved import runs, storage
from tests.altered import altered
from tests.test_hostile_text import small_run
from tests.test_runs import GOOD

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ".benchmarks/Linux-CPython-3.11-64bit"
VIEWS = ("matrix", "ladder", "cost", "scaling", "overhead")


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def save(
    name: str, moment: str | None, size: str = "1", content: str | None = None, age: float = 0.0
) -> Path:
    """As pytest-benchmark does: the moment stands at the end. age: of the file, in seconds."""
    path = Path(FOLDER, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    run: dict[str, Any] = altered(GOOD, "benchmarks.0.extra_info.size", size)
    del run["datetime"]
    if moment is not None:
        run |= {"datetime": moment, "version": "5.3.1"}
    path.write_text(json.dumps(run, indent=4) if content is None else content)
    os.utime(path, (path.stat().st_mtime - age,) * 2)
    return path


def test_a_time_that_no_date_can_say_is_one_of_the_future(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = save("0001_a.json", "2024-01-03T00:00:00+00:00")
    broken = save("0002_b.json", None, content="{")
    # Few file systems would keep it.
    monkeypatch.setattr(Path, "lstat", lambda path: os.stat_result((0o100644,) + (10**13,) * 9))
    said: list[str] = []
    assert storage.saved(say=said.append) == [broken, sound]
    assert len(said) == 1 and f"{broken}: its date, " in said[0]


@pytest.mark.parametrize("indent", [None, 4])
def test_the_newest_is_by_the_moment_inside_and_not_by_the_file(indent: int | None) -> None:
    newest = save("0001_a.json", "2024-01-03T00:00:00+00:00", age=1000)
    save("0002_b.json", "2024-01-02T23:00:00-00:30")
    old = save("0003_c.json", "2024-01-02T00:00:00")
    assert storage.newest() == newest
    os.utime(old)  # touched, copied, checked out
    newest.write_text(json.dumps(json.loads(newest.read_text()), indent=indent) + "\n")
    os.utime(newest, (0, 0))
    assert storage.newest() == newest


def test_only_a_run_of_another_writer_is_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """There may be hundreds."""
    read: list[Path] = []
    real = runs.read_json

    def reading(path: Path, needs: str) -> Any:
        read.append(path)
        return real(path, needs)

    monkeypatch.setattr(storage, "read_json", reading)
    for day in range(1, 29):
        save(f"{day:04}_a.json", f"2024-01-{day:02}T00:00:00+00:00")
    other = {"datetime": "2024-02-01T00:00:00", **altered(GOOD, "datetime", ...)}
    newest = save("0000_other.json", None, content=json.dumps(other), age=1000)
    assert storage.newest() == newest and read == [newest]


def test_what_stands_inside_the_run_is_not_its_moment() -> None:
    moment = {"datetime": "2024-06-06T00:00:00+00:00", "version": "1"}
    decoy = altered(GOOD, "datetime", "2024-01-02T00:00:00+00:00")
    for last in (moment, {"id": json.dumps(moment)}, {"id": json.dumps(json.dumps(moment))}):
        save("0003_decoy.json", None, content=json.dumps(decoy | {"commit_info": last}))
        newest = save("0002_b.json", "2024-02-02T00:00:00+00:00", age=1000)
        assert storage.newest() == newest


@pytest.mark.parametrize("odd", ["missing", "folder", "fifo"])
def test_what_is_no_file_is_no_run_but_keeps_its_place(odd: str) -> None:
    newest = save("0001_a.json", "2024-01-03T00:00:00+00:00")
    path = newest.with_name("0002_abc_20240102_000000.json")
    if odd == "missing":
        path.symlink_to("nowhere")
    elif odd == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    assert storage.newest() == newest


def test_equal_moments_go_by_the_number() -> None:
    same = "2024-01-03T00:00:00+00:00"
    newest = save("10000_a.json", same, age=1000)
    save("9999_b.json", same)
    assert storage.newest() == newest


def test_without_a_moment_the_name_says_it_and_then_the_file() -> None:
    save("0001_abc_20240103_000000.json", None)
    newest = save("0002_abc_20240104_000000_uncommited-changes.json", None, age=1000)
    assert storage.newest() == newest
    plain = save("0003_plain.json", None)
    assert storage.newest() == plain
    os.utime(plain, (0, 0))
    assert storage.newest() == newest


def test_a_moment_to_come_is_said_and_not_the_newest(capsys: pytest.CaptureFixture[str]) -> None:
    future = save("0009_future.json", "2999-01-01T00:00:00+00:00", "9")
    assert command_line.main(["matrix", "--format", "json"]) == 0  # there is no other
    out, error = capsys.readouterr()
    assert json.loads(out)[0]["size"] == "9" and not error
    save("0001_a.json", "2024-01-03T00:00:00+00:00", "2")
    assert command_line.main(["matrix", "--format", "json"]) == 0
    out, error = capsys.readouterr()
    assert json.loads(out)[0]["size"] == "2"
    assert error.count("\n") == 1 and f"{future}: its date, 2999-01-01, lies in the future" in error


@pytest.mark.parametrize("content", ["", "{", '{"benchmarks": []}', "[]", "\x00" * 500])
@pytest.mark.parametrize("command", VIEWS)
def test_a_damaged_newest_run_is_named(
    command: str, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    save("0001_a.json", "2024-01-03T00:00:00+00:00")
    damaged = save("0002_abc_20240401_000000.json", None, content=content, age=1e9)
    assert command_line.main([command]) == 2
    out, error = capsys.readouterr()
    assert not out and error.startswith(f"bench: {damaged}: ") and error.count("\n") == 1


def test_a_report_is_of_all_that_can_be_read_and_names_the_rest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for day in range(1, 13):
        name = f"{day:04}_a name with spaces\n-- '$(x)'.json"
        save(name, f"2024-01-{day:02}T00:00:00+00:00")
    damaged = save("0005_abc_20240105_120000.json", None, content="{")
    assert command_line.main(["report"]) == 2
    out, error = capsys.readouterr()
    assert out.startswith("report/index.html: open it")
    assert f"{damaged}: is not JSON" in error and error.count("\n") == 1
    trend = Path("report/trend-relu_f32.svg").read_text(encoding="utf-8")
    shown = {day for day in range(1, 13) if f"2024-01-{day:02} 00:00" in trend}
    assert shown == set(range(1, 13))
    assert str(damaged) in Path("report/index.html").read_text(encoding="utf-8")
    assert command_line.main(["report", "--last", "3", f"{FOLDER}/000[1-4]*"]) == 0
    trend = Path("report/trend-relu_f32.svg").read_text(encoding="utf-8")
    assert {day for day in range(1, 13) if f"2024-01-{day:02} 00:00" in trend} == {2, 3, 4}


def test_make_bench_draws_the_report_whatever_runs_are_called() -> None:
    """Names with spaces and line ends: no shell takes them apart."""
    plan = subprocess.run(
        ["make", "-n", "-C", str(ROOT), "bench"], capture_output=True, text=True, check=True
    ).stdout
    assert "python -m bench report\n" in plan and "ls -t" not in plan


def test_every_view_names_the_run_it_shows(capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(FOLDER, "0001_a.json")
    path.parent.mkdir(parents=True)
    content = small_run() | {"commit_info": {"id": "0123456789", "dirty": True}}
    path.write_text(json.dumps(content | {"datetime": "2024-01-02T03:04:05+00:00"}))
    cpu = content["machine_info"]["cpu"]["brand_raw"]
    line = f"run: {path}, 2024-01-02 03:04, commit 0123456+, {cpu}, CPython 3.11.7"
    for form, named in (("text", line), ("md", line.replace("_", r"\_"))):
        for view in VIEWS:
            for more in ([], [str(path)]):
                assert command_line.main([view, *more, "--format", form]) == 0
                assert capsys.readouterr().out.count(named) == 1
        for view in ("matrix", "ladder", "cost"):
            command = [view, str(path), str(path), "--by", "interpreter", "--format", form]
            assert command_line.main(command) == 0
            assert capsys.readouterr().out.count(named) == 2
    assert command_line.main(["report", str(path), "--compare", str(path), str(path)]) == 0
    page = Path("report/index.html").read_text(encoding="utf-8")
    assert f">{path}</td>" in page
    assert page.count(f"2024-01-02 03:04 0123456+ ({path})") == 2


def test_a_run_without_a_date_is_not_of_now() -> None:
    assert runs.from_json(altered(GOOD, "datetime", ...)).label.startswith("no date")
