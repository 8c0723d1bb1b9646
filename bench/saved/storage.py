"""The runs that pytest-benchmark has saved here, in the order in which they were measured."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from bench.saved.checks import BadRun, fields_of, one_line, read_json

STORAGE = Path(".benchmarks")

# How pytest-benchmark ends a file.
_END = re.compile(rb'"datetime": ?"([^"]*)",\s*"version": ?"[^"]*"\s*}\s*$')
_END_BYTES = 400
_THE_LAST = 253e9  # seconds since 1970: in the year 9987
_A_DAY = 86_400.0  # by which clocks and time zones may differ


def newest(storage: Path = STORAGE) -> Path:
    """The saved run below `storage` that was measured last. Raises BadRun."""
    return saved(storage)[-1]


def files(storage: Path = STORAGE) -> list[Path]:
    """Every saved run below `storage`, by name. Raises BadRun."""
    found = sorted(path for path in storage.glob("**/*.json") if not path.is_dir())
    if not found:
        raise BadRun(
            f"{storage}: no saved run; make one with: pytest --benchmark-only --benchmark-autosave"
        )
    return found


def saved(storage: Path = STORAGE, say: Callable[[str], None] = lambda line: None) -> list[Path]:
    """Every saved run below `storage`, the one that was measured last at the end. One whose moment
    is still to come would be the last for ever: it stands before the others, and is told to `say`.
    Raises BadRun."""
    moments = {path: _moment(path) for path in files(storage)}
    now = time.time() + _A_DAY
    late = sorted(path for path, moment in moments.items() if moment > now)
    for path in late if len(late) < len(moments) else ():
        date = datetime.fromtimestamp(moments[path]).strftime("%Y-%m-%d")
        say(f"{one_line(path)}: its date, {date}, lies in the future; not taken for the newest")

    def place(path: Path) -> tuple[bool, float, int, Path]:
        number = re.match(r"\d+", path.name)  # pytest-benchmark counts what it saves
        return moments[path] <= now, moments[path], int(number[0]) if number else -1, path

    return sorted(moments, key=place)


def _moment(path: Path) -> float:
    """When the run in a file was measured, in seconds since 1970. pytest-benchmark writes that at
    the end of a file, so that not all of it has to be read; another's file is read whole. A broken
    one goes by the date in its name, or its own."""
    said = None
    with suppress(BadRun, OSError, ValueError):
        if path.is_file():
            with path.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - _END_BYTES))
                end = _END.search(file.read())
            content = {"datetime": end[1].decode()} if end else read_json(path, "JSON")
            said = fields_of(content, str(path)).moment("datetime")
    named = re.search(r"_(\d{8}_\d{6})(?!\d)", path.name)
    if said is None and named:
        with suppress(ValueError):
            said = datetime.strptime(f"{named[1]}+0000", "%Y%m%d_%H%M%S%z")
    # A file's own time may be later than any date that can be written.
    return said.timestamp() if said else min(path.lstat().st_mtime, _THE_LAST)
