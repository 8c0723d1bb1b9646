"""The ledger of self-checks: what is written, what is refused, and what it is worth."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.analysis.ledger import false_alarms, innocent, power
from bench.saved import ledger
from bench.saved.gates import IMPROVED, INCONCLUSIVE, PASS, REGRESSED
from bench.saved.ledger import SAME, SHIFTED, SLOWED, Entry, Outcome, append, load
from bench.saved.runs import BadRun
from bench.views import selfcheck, tables

ENTRY = Entry(
    kind=SAME,
    cpu="A CPU",
    design="threshold 0.01",
    seed=7,
    seconds=100.5,
    when="2026-01-02T03:04:05+00:00",
    outcomes=(Outcome("a", 0.0, PASS, 0.001), Outcome("b", 0.0, IMPROVED, -0.2)),
)
ALARM = replace(ENTRY, outcomes=(Outcome("a", 0.0, REGRESSED, 0.03),))


def slowed(slowdown: float, verdict: str) -> Entry:
    return replace(ENTRY, kind=SLOWED, outcomes=(Outcome("a", slowdown, verdict, slowdown),))


def drawn(form: str, entries: list[Entry]) -> str:
    return tables.render(selfcheck.view(entries), form)


def written(folder: Path, *entries: Entry) -> Path:
    path = folder / "ledger.jsonl"
    for entry in entries:
        append(path, entry)
    return path


def test_what_is_appended_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "ledger.jsonl"
    assert load(path) == []
    entries = [ENTRY, ALARM, slowed(0.03, REGRESSED)]
    for number, entry in enumerate(entries, 1):
        append(path, entry)
        assert load(path) == entries[:number]
    assert len(path.read_text(encoding="utf-8").splitlines()) == 3


def test_lines_of_before_the_names_changed_mean_the_same(tmp_path: Path) -> None:
    new = written(tmp_path, slowed(0.03, REGRESSED)).read_text(encoding="utf-8")
    old = new.replace(SLOWED, "planted").replace('"injected"', '"planted"')
    assert old.count("planted") == 2
    (tmp_path / "old.jsonl").write_text(old, encoding="utf-8")
    assert load(tmp_path / "old.jsonl") == [slowed(0.03, REGRESSED)]


def test_names_of_any_kind_stay_on_one_line(tmp_path: Path) -> None:
    names = ('a"b\\', "\u00e9", "a b", "t.py::t[x::y]", "\N{PILE OF POO}")
    entry = replace(ENTRY, outcomes=tuple(Outcome(n, 0.0, PASS, 0.0) for n in names))
    assert load(written(tmp_path, entry, entry)) == [entry, entry]


def test_an_empty_file_is_a_ledger_without_gates(tmp_path: Path) -> None:
    (tmp_path / "ledger.jsonl").touch()
    assert load(tmp_path / "ledger.jsonl") == []


def test_nothing_that_is_no_number_is_written(tmp_path: Path) -> None:
    path = written(tmp_path, ENTRY)
    with pytest.raises(ValueError, match="JSON compliant"):
        append(path, replace(ENTRY, seconds=float("nan")))
    assert load(path) == [ENTRY]


def test_a_full_disk_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, ENTRY)
    real_open = Path.open

    class Full:
        """Takes ten bytes."""

        def __init__(self, file: Any) -> None:
            self._file = file

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *_: object) -> None:
            self._file.close()

        def __getattr__(self, name: str) -> Any:
            return getattr(self._file, name)

        def write(self, content: bytes) -> int:
            return int(self._file.write(content[:10]))

    monkeypatch.setattr(Path, "open", lambda self, *a, **k: Full(real_open(self, *a, **k)))
    with pytest.raises(OSError, match="No space left"):
        append(path, ENTRY)
    monkeypatch.undo()
    assert load(path) == [ENTRY]


@pytest.mark.parametrize("bytes_left", [1, 100, -2])
def test_half_a_line_of_one_that_was_killed_is_none(bytes_left: int, tmp_path: Path) -> None:
    path = written(tmp_path, ENTRY, ENTRY)
    whole = path.read_bytes()
    line = whole[: len(whole) // 2]
    path.write_bytes(whole + line[:bytes_left])
    assert load(path) == [ENTRY] * 2
    append(path, ENTRY)
    assert path.read_bytes() == whole + line
    path.write_bytes(whole[:-1])  # whole, and without its end: an editor's
    append(path, ENTRY)
    assert path.read_bytes() == whole + line


def spoiled(**changes: Any) -> str:
    content = {"format": ledger.FORMAT, "version": ledger.VERSION}
    outcome = {"name": "a", "injected": 0.0, "verdict": PASS, "change": 0.0}
    content |= {"kind": SAME, "cpu": "c", "design": "d", "seed": 1, "seconds": 1.0, "when": "w"}
    content["outcomes"] = [outcome]
    for name, value in changes.items():
        target = outcome if name in outcome else content
        if value is ...:
            del target[name]
        else:
            target[name] = value
    return json.dumps(content)


BAD_LINES = {
    "not JSON": "{",
    "half a line": spoiled()[:50],
    "a blank line": "",
    "null": "null",
    "a list": "[]",
    "too deep": "[" * 100_000,
    "too many digits": "9" * 5000,
    "another format": spoiled(format="x"),
    "another version": spoiled(version=2),
    "a kind there is not": spoiled(kind="x"),
    "no cpu": spoiled(cpu=...),
    "cpu a number": spoiled(cpu=1),
    "no design": spoiled(design=...),
    "seed a float": spoiled(seed=1.5),
    "seconds negative": spoiled(seconds=-1),
    "seconds NaN": spoiled(seconds=float("nan")),
    "no outcomes": spoiled(outcomes=...),
    "outcomes text": spoiled(outcomes="x"),
    "an outcome text": spoiled(outcomes=["x"]),
    "no name": spoiled(name=...),
    "a verdict there is not": spoiled(verdict="x"),
    "a verdict in a list": spoiled(verdict=[PASS]),
    "change NaN": spoiled(change=float("nan")),
    "change infinite": spoiled(change=float("inf")),
    "change true": spoiled(change=True),
    "change text": spoiled(change="0"),
    "injected negative": spoiled(injected=-0.03),
    "injected NaN": spoiled(injected=float("nan")),
}


@pytest.mark.parametrize("kind", BAD_LINES)
def test_a_bad_line_is_refused_by_its_number(kind: str, tmp_path: Path) -> None:
    path = written(tmp_path, ENTRY)
    with path.open("a", encoding="utf-8") as file:
        file.write(BAD_LINES[kind] + "\n" + spoiled() + "\n")
    with pytest.raises(BadRun) as error:
        load(path)
    assert str(error.value).startswith(f"{path}, line 2: ")
    assert str(error.value).isprintable()


@pytest.mark.parametrize(
    ("content", "text"), [(b"\xff\xfe", "not a text file"), (None, "Is a directory")]
)
def test_a_file_that_is_no_ledger_is_refused(
    content: bytes | None, text: str, tmp_path: Path
) -> None:
    path = tmp_path / "ledger.jsonl"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(BadRun, match=text) as error:
        load(path)
    assert str(error.value).startswith(f"{path}: ")


@settings(max_examples=60, deadline=None, database=None, derandomize=True)
@given(line=st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists).map(repr))
def test_garbage_is_refused(line: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("garbage") / "ledger.jsonl"
    path.write_text(f"{line}\n", encoding="utf-8", errors="backslashreplace")
    with pytest.raises(BadRun):
        load(path)


# --- What it says --------------------------------------------------------------------------------


def test_alarms_are_slowdowns_that_were_not_made() -> None:
    assert ENTRY.alarms == []
    assert [o.name for o in ALARM.alarms] == ["a"]
    assert slowed(0.03, REGRESSED).alarms == []


def test_rates() -> None:
    entries = [
        *[ENTRY] * 59, ALARM, replace(ENTRY, kind=SHIFTED),
        slowed(0.03, REGRESSED), slowed(0.03, PASS), slowed(0.01, INCONCLUSIVE),
    ]  # fmt: skip
    alarms = false_alarms(entries, SAME)
    assert (alarms.count, alarms.total) == (1, 60)
    assert (false_alarms(entries, SHIFTED).total, alarms.bounds.low > 0) == (1, True)
    unchanged = innocent(entries)
    assert (unchanged.count, unchanged.total) == (1, 2 * 59 + 1 + 2)
    faster = [replace(ENTRY.outcomes[0], verdict=IMPROVED, injected=p) for p in (0.0, 0.01)]
    rate = innocent([ENTRY, replace(ENTRY, outcomes=tuple(faster))], IMPROVED)
    assert (rate.count, rate.total) == (2, 3)  # one of ENTRY too
    caught = {p: (r.count, r.total) for p, r in power(entries).items()}
    assert caught == {0.01: (0, 1), 0.03: (1, 2)}
    assert list(caught) == [0.01, 0.03]


def test_other_machines_and_designs_are_left_out() -> None:
    entries = [ENTRY, replace(ENTRY, cpu="Another"), replace(ENTRY, design="other")]
    assert ledger.of_this(entries, "A CPU", "threshold 0.01") == [ENTRY]


def test_the_text_says_what_no_alarm_shows() -> None:
    text = drawn("text", [ENTRY] * 60)
    assert re.search(r"^gates with an alarm, same commit +0 of 60 +4.9 %$", text, re.MULTILINE)
    assert "injected" not in text
    text = drawn("text", [slowed(0.03, REGRESSED)])
    assert "0 of 0" not in text
    alarmed = drawn("text", [ALARM])
    for wrong, what in ((1, "called slower"), (0, "called faster"), (0, "inconclusive")):
        assert re.search(rf"^unchanged benchmarks {what} +{wrong} of 1 ", alarmed, re.MULTILINE)
    assert "e+" not in text
    assert "no slowdown above 1 % was missed" in text
    text = drawn("text", [slowed(0.03, PASS), slowed(0.03, REGRESSED)])
    assert re.search(r"^missed: a, 3 %: measured \+?-?[0-9.]+ %, pass$", text, re.MULTILINE)


def test_markdown_holds_the_same_figures() -> None:
    text = drawn("md", [*[ENTRY] * 20, slowed(0.03, PASS), slowed(0.03, REGRESSED)])
    assert f"| gates with an alarm, {SAME} | 0 of 20 | 13.9 % |" in text
    assert f"alarm, {SHIFTED}" not in text
    assert "| unchanged benchmarks called faster | 20 of 40 |" in text
    assert re.search(r"^\| 3 % \| 1 of 2 \| [+-]\d", text, re.MULTILINE)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in rows} == {4, 5}


def test_the_json_holds_the_same_figures() -> None:
    content = json.loads(drawn("json", [*[ENTRY] * 20, slowed(0.03, REGRESSED)]))
    assert content["gates"] == 21
    assert content["false_alarms"][SAME]["of"] == 20
    assert content["false_alarms"][SAME]["high"] == pytest.approx(0.139, abs=5e-4)
    assert content["unchanged"][REGRESSED]["of"] == content["unchanged"][IMPROVED]["of"] == 40
    assert content["power"]["0.03"]["count"] == 1
