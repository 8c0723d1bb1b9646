"""Which saved runs a command is of, and a view of them on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench.analysis import interpreters
from bench.cli.exits import say
from bench.saved import runs, storage
from bench.saved.checks import Refusal
from bench.views import matrix, tables
from bench.views.tables import View

_MOST_SAID = 5  # of what is left out of a run


def chosen(paths: Sequence[Path], most: int = 1) -> list[runs.Run]:
    """The runs that are named, oldest first; without any the last of those that are saved. An older
    one of these that cannot be used is said and left out. Raises BadRun."""
    if paths:
        return _told(runs.load_all(paths))
    *older, last = storage.saved(say=_say)[-most:]
    newest = runs.load(last)
    return _told([*(run for run in map(_usable, older) if run is not None), newest])


def the_one(command: str, paths: Sequence[Path]) -> runs.Run:
    """The run that is named, or the newest. Raises Refusal, BadRun."""
    if len(paths) > 1:
        raise Refusal(f"{command}: got {len(paths)} runs, needs one, or --by interpreter")
    (run,) = chosen(paths)
    return run


def of_interpreters(paths: Sequence[Path]) -> list[runs.Run]:
    """The runs, or those in the folders, that are named; the newest one otherwise."""
    return _told([run for path in paths for run in interpreters.load(path)]) or chosen([])


def _usable(path: Path) -> runs.Run | None:
    try:
        return runs.load(path)
    except runs.BadRun as error:
        _say(f"{error}; left out")
        return None


def _told(found: list[runs.Run]) -> list[runs.Run]:
    """The same runs; what had to be left out of them is said."""
    for run in found:
        for line in run.left_out[:_MOST_SAID]:
            _say(f"{line}; left out")
        if len(run.left_out) > _MOST_SAID:
            _say(f"{run.source}: {len(run.left_out) - _MOST_SAID} more left out")
    return found


def _say(line: str) -> None:
    say(f"bench: {line}")


def show(view: View, form: str, shown: Sequence[runs.Run]) -> None:
    """Print a view, and which runs it is of."""
    print(tables.render(replace(view, notes=[*view.notes, *map(matrix.named, shown)]), form))
