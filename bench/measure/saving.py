"""What becomes of a session's figures: only what was measured to its end counts, times are saved
first, and what takes long and comes later can only add.

Knows pytest-benchmark's session and fixture by what they do; conftest.py hands them over.
"""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bench.saved import runs
from bench.saved.writing import is_special, require_writable, write_or_keep

Run = dict[str, Any]  # as pytest-benchmark's JSON
_RUN_OF_REPORT = "run.json"
# What a kernel's, an operation's and a call overhead's extra_info tell them apart by.
_CASE = ("kernel", "variant", "size", "operation", "overhead", "binding", "elements", "element")
# Besides Ctrl-C; batch systems send the last three before they end a job.
_ASKED_TO_END = (signal.SIGTERM, signal.SIGHUP, signal.SIGXCPU, signal.SIGUSR1, signal.SIGUSR2)


def withdraw(benchmark: Any) -> None:
    """Take a recorded benchmark back: pytest-benchmark leaves out what has an error from the JSON,
    and what has no rounds from the tables."""
    benchmark.has_error = True
    if benchmark.stats is not None:
        benchmark.stats.stats.data.clear()


class Whole:
    """Which of the recorded benchmarks count: those whose test has passed to its very end.

    pytest-benchmark records a benchmark as its first call begins, so whatever ends a test early (an
    error in it or in a fixture, a time-out, Ctrl-C) would leave half of one.
    """

    def __init__(self, recorded: list[Any]) -> None:
        self.running = ""  # the benchmark that has begun and not ended
        self._recorded = recorded
        self._first = 0  # of what the running test records

    def begin(self, name: str) -> None:
        self.running, self._first = name, len(self._recorded)

    def take_back(self) -> None:
        """Withdraw what the running test has recorded."""
        for benchmark in self._recorded[self._first :]:
            withdraw(benchmark.fixture)

    def end(self) -> None:
        self.begin("")


class Saving:
    """Takes the place of the two ways in which pytest-benchmark writes a run, --benchmark-json and
    --benchmark-save (or -autosave). Any other storage than files stays pytest-benchmark's."""

    def __init__(self, session: Any, say: Callable[[str], None]) -> None:
        self.whole = Whole(session.benchmarks)
        self.failed = False  # to write a file where it was wanted
        self._session = session
        self._say = say
        self._said: set[str] = set()
        self._files: list[tuple[Path, Run]] = []
        self._report: Path | None = None
        self._as_ctrl_c, self._undisturbed = ExitStack(), ExitStack()
        self._save_times, session.handle_saving = session.handle_saving, self._save
        session.save_json = lambda run: self._add(self._json(), run)
        if hasattr(session.storage, "path"):
            session.storage.save = lambda run, name: self._add(self._numbered(name), run)

    @property
    def written(self) -> Path | None:
        """A file that holds the run, for who draws it; None where none was asked for."""
        return next((path for path, _ in self._files if not is_special(path)), None)

    def keep_for_report(self, folder: Path) -> None:
        """A report is drawn from a file: where none was asked for, one in its folder."""
        self._report = folder
        if not (self._session.json or self._session.save or self._session.autosave):
            self._session.json = folder / _RUN_OF_REPORT

    def begin(self) -> None:
        """Try where the run goes, before anything is measured, and from now on take a request to
        end as Ctrl-C, which keeps what was measured. Raises OSError."""
        session, targets = self._session, []
        name = session.save or session.autosave
        if session.json:
            targets.append(self._json())
        if name and hasattr(session.storage, "path"):
            targets.append(self._numbered(name))
        if session.histogram:  # and a group's name
            targets.append(Path(f"{session.histogram}-group.svg"))
        if self._report:
            targets.append(self._report / "index.html")
        if session.cprofile_dump:
            targets.append(Path(f"{session.cprofile_dump}-test.prof"))
        for path in targets:
            if not is_special(path):
                require_writable(path)
        if targets:
            unhandled = [n for n in _ASKED_TO_END if signal.getsignal(n) == signal.SIG_DFL]
            self._as_ctrl_c.enter_context(handling(unhandled, signal.default_int_handler))

    def add(self, late: Callable[[list[Run]], bool] | None) -> bool:
        """Let `late` add to the runs, which are saved already, and save them again. It returns
        whether it was interrupted, as this does; or is interrupted itself, or fails."""
        interrupted = late is not None
        try:
            if late is not None:
                self._undisturbed.close()
                interrupted = late([run for _, run in self._files])
        except KeyboardInterrupt:
            pass
        except Exception as error:  # whatever it was, the times stand
            interrupted = False
            self._say(f"the times stand, and what would have been added fails: {error!r}")
        if interrupted:
            self._say("interrupted: the times stand, and what would have been added is left out")
        if self._files:
            self._undisturbed.enter_context(undisturbed())
        for number in range(len(self._files)):
            self._write(number)
        return interrupted

    def finish(self) -> None:
        self._undisturbed.close()
        self._as_ctrl_c.close()

    def _json(self) -> Path:
        path: Path = self._session.json
        return path if is_special(path) else Path(os.path.realpath(path))  # as open() would

    def _numbered(self, name: str) -> Path:
        storage = self._session.storage
        return Path(storage.get(f"{storage._next_num}_{name}.json"))

    def _save(self) -> None:
        self.whole.take_back()
        if self.whole.running:
            self._say(f"{self.whole.running}: left out, as it was not measured to its end")
        if any(self._session.benchmarks):
            self._undisturbed.enter_context(undisturbed())
        self._save_times()

    def _add(self, path: Path, run: Run) -> None:
        if self._report and path.name == _RUN_OF_REPORT:
            for benchmark in run["benchmarks"]:  # nobody has asked for every single round
                benchmark["stats"].pop("data", None)
        run["benchmarks"], lines = readable(run["benchmarks"])
        for line in lines:
            if line not in self._said:
                self._say(line)
                self._said.add(line)
        if not run["benchmarks"]:
            self._say(f"{path}: not written, as no benchmark is left to be saved")
            return
        self._files.append((path, run))
        # A pipe is written to once, when everything is there.
        if not is_special(path) and self._write(len(self._files) - 1):
            self._session.logger.info(f"Saved benchmark data in: {path}")

    def _write(self, number: int) -> bool:
        """Whether the file is there, and was read as everybody will do who uses it."""
        path, run = self._files[number]
        try:
            kept, reason = write_or_keep(path, json.dumps(json.loads(_dumps(run)), indent=4) + "\n")
            if reason is not None:
                self._files[number] = kept, run
                self._say(f"{path}: not saved ({reason}); the run is in {kept}")
            elif is_special(path) or len(runs.load(path).results) == len(run["benchmarks"]):
                return True
            else:
                self._say(f"{path}: was saved, but cannot be read back whole")
        except (OSError, runs.BadRun) as error:
            self._say(f"{path}: not saved: {getattr(error, 'strerror', None) or error}")
        self.failed = True
        return False


def readable(benchmarks: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[str]]:
    """Those that bench.saved.runs reads, each case once, and a line on what is left out. Of what
    was measured more than once the shortest minimum stays: interruptions only ever add time."""
    kept: dict[tuple[Any, ...], dict[str, Any]] = {}
    lines, twice = [], 0
    for benchmark in benchmarks:
        try:
            content = {"benchmarks": [json.loads(_dumps(benchmark))]}
            (result,) = runs.from_json(content, "not saved").results
        except runs.BadRun as reason:
            lines.append(str(reason))
            continue
        except (TypeError, ValueError, RecursionError) as error:  # what JSON cannot hold
            lines.append(runs.one_line(f"not saved: {benchmark['fullname']}: {error}"))
            continue
        case = tuple(result.extra.get(name) for name in _CASE)
        if not any(case):
            case = (result.fullname,)
        if case in kept:
            twice += 1
            if kept[case]["stats"]["min"] <= benchmark["stats"]["min"]:
                continue
        kept[case] = benchmark
    if twice:
        lines.append(f"measured more than once: {twice}; of each the shortest minimum is kept")
    return list(kept.values()), lines


def _dumps(content: Mapping[str, Any]) -> str:
    """As pytest-benchmark does it: what JSON does not know is spelled."""
    return json.dumps(content, default=lambda value: f"UNSERIALIZABLE[{value!r}]")


def undisturbed() -> AbstractContextManager[None]:
    """Ctrl-C does not count for the second or two that saving and drawing tables takes; nor for the
    programs that say what machine and commit this is."""
    return handling((signal.SIGINT, *_ASKED_TO_END), signal.SIG_IGN)


@contextmanager
def handling(signals: Iterable[signal.Signals], handler: Any) -> Iterator[None]:
    """These signals by that handler, as far as this thread may say so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in signals}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
