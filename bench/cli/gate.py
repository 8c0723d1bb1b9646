"""python -m bench gate: reads its arguments, runs a gate, shows and saves what it found."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import IO, Any

from bench.cli import checkout
from bench.cli.exits import interruptible, say
from bench.cli.gate_arguments import NEEDED
from bench.gate.verdicts.verdict import LEAST_THRESHOLD
from bench.saved import gates, writing
from bench.saved.checks import NOT_COMPARABLE, OK, Refusal, one_line, read_text
from bench.saved.gates import Gate


def run(options: argparse.Namespace) -> int:
    """The exit code: 0 pass, 1 regressed, 3 inconclusive. Raises Refusal."""
    if options.way is None:
        raise Refusal(f"gate: needs one of {NEEDED}")
    _require_writable(options)
    ways = {"run": _run, "compare": _compare, "selfcheck": _self_check, "show": _show_saved}
    with interruptible():
        return ways[options.way](options)


def _require_writable(options: argparse.Namespace) -> None:
    """Found out now, not after minutes. A summary is added to what is there, a pipe included."""
    for name in ("output", "record", "baseline", "summary"):
        path = getattr(options, name, None)
        if path is not None and not (name == "summary" and writing.is_special(path)):
            writing.require_writable(path)


def _run(options: argparse.Namespace) -> int:
    """Base and head are built and measured, or counted, now."""
    if options.instructions:
        for name in ("record", "core"):
            if getattr(options, name) is not None:
                raise Refusal(f"gate run: --{name} is for times, and --instructions takes none")
    else:
        _require_least_threshold(options)
    root = checkout.needed_by("gate run")
    from bench.gate import timed
    from bench.gate.checkouts.sides import left_alone
    from bench.gate.counts import gate as counts
    from bench.gate.counts import judge
    from bench.gate.prepare.setup import build_sides

    judged, default = timed.gate_on_times, LEAST_THRESHOLD
    if options.instructions:
        judged, default = counts.gate_on_instructions, judge.THRESHOLD
    if options.threshold is None:
        options.threshold = default
    with _measuring(options) as (settings, folder):
        sides = build_sides(root, options.base, folder, settings.progress)
        with left_alone(sides):
            gate = judged(sides, settings, folder)
    return _publish(gate, options)


def _compare(options: argparse.Namespace) -> int:
    """Saved runs, of which the last is the head."""
    from bench.gate import saved_runs

    gate = saved_runs.compare(options.runs, options.threshold, options.floor, options.allow_removed)
    code = _publish(gate, options)
    if options.baseline is None:
        return code
    # A regression must never become what the next run is held to.
    if code == OK:
        writing.write_atomic(options.baseline, read_text(options.runs[-1], "the head"))
        say(f"saved: {options.baseline}")
    else:
        say(f"bench: {options.baseline}: not written, the head did not pass")
    return code


def _self_check(options: argparse.Namespace) -> int:
    """Adds gates to the ledger and shows all that it holds of this machine and this design."""
    _require_least_threshold(options)
    root = checkout.needed_by("gate selfcheck")
    from bench.gate import selfcheck
    from bench.saved import ledger
    from bench.views.selfcheck import view
    from bench.views.tables import render

    earlier = ledger.load(options.ledger)  # a broken one is named now, not after minutes
    alarms = 0
    with _measuring(options) as (settings, folder):
        check = selfcheck.prepare(root, folder, settings)
        for number in range(options.gates):
            entry = check.gate(ledger.KINDS[number % len(ledger.KINDS)])
            ledger.append(options.ledger, entry)
            earlier.append(entry)
            alarms += bool(entry.alarms)
    here = ledger.of_this(earlier, entry.cpu, entry.design)
    _print(render(view(here), options.format))
    return NOT_COMPARABLE if alarms else OK


def _show_saved(options: argparse.Namespace) -> int:
    return _publish(gates.load(options.saved), options)


def _require_least_threshold(options: argparse.Namespace) -> None:
    if options.threshold is not None and options.threshold < LEAST_THRESHOLD:
        raise Refusal(
            f"--threshold: got {100 * options.threshold:g} %, needs at least "
            f"{100 * LEAST_THRESHOLD:g} %: where code lies can move a benchmark by less"
        )


@contextmanager
def _measuring(options: argparse.Namespace) -> Iterator[tuple[Any, Path]]:
    """For what builds and measures: a gate's settings, and a folder in which nobody else works."""
    from bench.gate.prepare.setup import Settings
    from bench.gate.prepare.workspace import workspace

    settings = Settings(
        threshold=options.threshold,
        pytest_arguments=[
            *(["-k", options.expression] if options.expression is not None else []),
            *(["--quick"] if options.quick else []),
        ],
        seed=secrets.randbits(32) if options.seed is None else options.seed,
        core=options.core,
        longest_call=options.longest_call,
    )
    with (
        _progress() as settings.progress,
        workspace() as folder,
        _recorded(options.record) as settings.record,
    ):
        yield settings, folder


def _recorded(path: Path | None) -> AbstractContextManager[IO[str] | None]:
    """Where times go, line by line; the file has them when all are there, not before."""
    if path is None:
        return nullcontext()
    writing.make_folder(path.parent)
    return writing.draft_of(path)


@contextmanager
def _progress() -> Iterator[Any]:
    """A bar on a terminal; elsewhere a line for each stage."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Columns

    from bench.gate.prepare.setup import Progress

    if not sys.stderr.isatty():
        yield Progress(stage=lambda title, steps=0: say(f"gate: {title}"))
        return

    bar = Columns(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    task = bar.add_task("")

    def stage(title: str, steps: int = 0) -> None:
        bar.reset(task, description=one_line(title), total=steps or None)

    with bar:
        yield Progress(stage, step=lambda: bar.advance(task))


def _publish(gate: Gate, options: argparse.Namespace) -> int:
    """The exit code. Saves first: what was measured is not lost to a closed terminal; nor to a full
    disk, as it is shown all the same."""
    from bench.views.gate import view, with_short_names
    from bench.views.tables import render

    try:
        if options.output is not None:
            gates.save(gates.as_json(gate), options.output)
        if options.summary is not None:
            writing.make_folder(options.summary.parent)
            with (
                writing.naming(options.summary),
                options.summary.open("a", encoding="utf-8") as file,
            ):
                file.write(render(view(gate), "md") + "\n")
    finally:
        shown = with_short_names(gate) if options.format == "text" else gate
        _print(render(view(shown, options.all), options.format))
    return gate.exit_code


def _print(text: str) -> None:
    """Print; who reads only the first lines, as head(1) does, does not change the exit code."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
