"""python -m bench report: the page of any set of saved runs."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from bench.analysis import history
from bench.cli.arguments import KERNELS, add_command, argument
from bench.cli.exits import say
from bench.saved import archive as files
from bench.saved import runs
from bench.saved.archive import Wanted
from bench.saved.checks import BAD_INPUT, OK, Refusal

_MOST_SAID = 10  # lines about what could not be used
_PATIENCE = 1.0  # seconds before a bar appears


def add_commands(commands: Any) -> None:
    about = "an offline HTML page of saved runs, its SVG charts, matrix.md and report.json"
    command = add_command(
        commands,
        _report,
        "report",
        about,
        KERNELS,
        _names("--variant", "V", "default: all"),
        _names("--size", "S", "default: all"),
        _names("--machine", "TEXT", "part of a CPU's or an interpreter's name; default: all"),
    )
    command.add_argument(
        "runs",
        nargs="*",
        type=Path,
        metavar="RUN",
        help="files, folders or patterns: of runs, gates, comparisons with libraries; default: "
        "everything in .benchmarks",
    )
    command.add_argument(
        "-o",
        "--output",
        type=_folder,
        default=Path("report"),
        metavar="DIR",
        help="default: report",
    )
    command.add_argument(
        "--since", type=_date, metavar="DATE", help="runs from then on: 2026-01-31"
    )
    command.add_argument("--last", type=_number, metavar="N", help="the last N runs")
    command.add_argument(
        "--compare",
        nargs=2,
        type=Path,
        metavar=("BASE", "HEAD"),
        help="two runs side by side; default: the newest and the one before",
    )


def _names(option: str, metavar: str, about: str) -> argparse.ArgumentParser:
    return argument(option, nargs="+", action="extend", default=[], metavar=metavar, help=about)


def _folder(name: str) -> Path:
    if not name:
        raise argparse.ArgumentTypeError("needs the name of a folder")
    return Path(name)


def _date(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"got {text!r}, needs a date as 2026-01-31") from None
    return moment if moment.tzinfo else moment.astimezone()


def _number(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not int(text[:9]) > 0:
        raise argparse.ArgumentTypeError(f"got {text!r}, needs a whole number above 0")
    return int(text[:9])


def _report(options: argparse.Namespace) -> int:
    from bench.views.report import write_report

    wanted = Wanted(
        kernels=tuple(options.kernel),
        variants=tuple(options.variant),
        sizes=tuple(options.size),
        machines=tuple(options.machine),
        since=options.since,
        last=options.last,
    )
    if Path() in options.runs:  # what an empty name is taken for
        raise Refusal("report: got an empty name, needs a file, a folder or a pattern")
    with _bar() as progress:
        found = files.find(options.runs)
        archive = history.read(found, wanted, progress("reading"))
        if options.compare:
            base, head = map(runs.load, options.compare)
            archive = replace(archive, compared=(base, head))
        written = write_report(archive, options.output, progress=progress("drawing"))
    for line in archive.problems[:_MOST_SAID]:
        say(f"bench: {line}")
    if len(archive.problems) > _MOST_SAID:
        say(f"bench: {len(archive.problems) - _MOST_SAID} more lines: the page has them")
    print(f"{runs.one_line(written[0])}: open it in a browser ({len(written)} files)")
    return BAD_INPUT if archive.problems else OK


@contextmanager
def _bar() -> Iterator[Callable[[str], Callable[[int, int], None]]]:
    """A bar on a terminal, once it takes longer than a moment."""
    console, begun = Console(stderr=True), time.monotonic()
    if not console.is_terminal:  # where rich would still end a line
        yield lambda what: lambda done, total: None
        return
    with Progress(console=console, transient=True) as bar:

        def of(what: str) -> Callable[[int, int], None]:
            task = bar.add_task(what, visible=False)

            def show(done: int, total: int) -> None:
                late = time.monotonic() - begun > _PATIENCE
                bar.update(task, completed=done, total=total, visible=late and done < total)

            return show

        yield of
