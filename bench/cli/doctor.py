"""python -m bench doctor: what about this machine will spoil a measurement."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.cli.arguments import FORMAT, add_command
from bench.cli.exits import say
from bench.saved import doctor as saved
from bench.saved.checks import listed
from bench.saved.doctor import FINE, NOTE, Checkup, Finding
from bench.saved.writing import require_writable
from bench.views import doctor as drawn
from bench.views import tables


def add_commands(commands: Any) -> None:
    about = "what about this machine will spoil a measurement, in three seconds"
    command = add_command(commands, _run, "doctor", about, FORMAT)
    command.add_argument("-o", "--output", type=Path, metavar="FILE", help="save it as JSON, too")
    command.add_argument("--from", dest="saved", type=Path, metavar="FILE", help="draw a saved one")


def _run(options: argparse.Namespace) -> int:
    """3 where something costs, as times that are measured here are inconclusive without care."""
    if options.output is not None:
        require_writable(options.output)
    checkup = _taken() if options.saved is None else saved.load(options.saved)
    if options.output is not None:
        saved.save(checkup, options.output)
        say(f"saved: {options.output}")
    print(tables.render(drawn.view(checkup, options.format), options.format))
    return checkup.exit_code


def _taken() -> Checkup:
    from bench.measure.doctor import checkup

    with _told("looking at this machine for three seconds ..."):
        found = checkup.take()
        return replace(found, findings=(*found.findings, _interpreters()))


@contextmanager
def _told(line: str) -> Iterator[None]:
    """On a terminal, until it is over. No bar that moves: it would have the core now and then."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield
        return
    from rich.console import Console
    from rich.live import Live

    with Live(
        line, console=Console(stderr=True, highlight=False), auto_refresh=False, transient=True
    ):
        yield


def _interpreters() -> Finding:
    """Others than this one, to compare it with."""
    from bench.interpreters.discovery import find

    found, _ = find()
    seen = f"{len(found)} found: {listed(interpreter.label for interpreter in found)}"
    if len(found) > 1:
        return Finding("interpreters", FINE, seen)
    fix = "install another, and name it in INTERPRETERS if it is in no usual place"
    return Finding("interpreters", NOTE, f"{seen}; none to compare it with", fix=fix)
