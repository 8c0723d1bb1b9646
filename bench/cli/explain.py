"""The commands that explain a saved run: ladder, account, growth, boundary."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.cli.exits import say
from bench.saved import runs, storage
from bench.saved.checks import OK, Refusal, listed
from bench.saved.comparable import merged
from bench.saved.writing import write_atomic
from bench.views import interpreters, matrix, units
from bench.views.explain import cost, cost_by, ladder, ladder_by, overhead, scaling

_MOST_SAID = 5  # of what is left out of a run


def add_commands(commands: Any) -> None:
    command = commands.add_parser("ladder", help="where a kernel's factor comes from, rung by rung")
    command.add_argument("runs", nargs="*", type=Path, metavar="RUN")
    command.add_argument("--kernel", metavar="K", help="default: all")
    command.add_argument("--size", metavar="S", help="default: the largest that was measured")
    command.add_argument(
        "--by",
        choices=["interpreter"],
        help="several runs side by side; RUN may be their folder",
    )
    command.add_argument("--format", choices=sorted(ladder.FORMATS), default="text")
    command.set_defaults(command=_ladder)

    command = commands.add_parser("account", help="what an element costs in Python, part by part")
    command.add_argument("runs", nargs="*", type=Path, metavar="RUN")
    command.add_argument("--kernel", metavar="K", help="default: all")
    command.add_argument("--by", choices=["interpreter"], help="several runs side by side")
    command.add_argument("--format", choices=sorted(cost.FORMATS), default="text")
    command.set_defaults(command=_account)
    command = commands.add_parser("growth", help="how time grows with size, and where it jumps")
    command.add_argument("runs", nargs="*", type=Path, metavar="RUN")
    command.add_argument(
        "--kernel", nargs="+", action="extend", default=[], metavar="K", help="default: all"
    )
    command.add_argument("--format", choices=sorted(scaling.FORMATS), default="text")
    command.add_argument(
        "--svg", type=Path, metavar="FILE", help="draw one kernel's chart there instead"
    )
    command.set_defaults(command=_growth)
    command = commands.add_parser(
        "boundary", help="what crossing into native code costs, and from which size on it wins"
    )
    command.add_argument("runs", nargs="*", type=Path, metavar="RUN")
    command.add_argument("--format", choices=sorted(overhead.FORMATS), default="text")
    command.set_defaults(command=_boundary)


def chosen(paths: Sequence[Path], most: int = 1) -> list[runs.Run]:
    """The runs that are named, oldest first; without any the last of those that are saved. An older
    one of these that cannot be used is said and left out. Raises BadRun."""
    if paths:
        return _told(runs.load_all(paths))
    *older, last = storage.saved(say=_say)[-most:]
    newest = runs.load(last)
    return _told([*(run for run in map(_usable, older) if run is not None), newest])


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


def show(view: str, form: str, shown: Sequence[runs.Run]) -> None:
    """Print a view, and which runs it is of; JSON is for programs."""
    if form == "json":
        names = []
    elif form == "md":
        names = ["", *(f"{units.escaped(matrix.named(run))}  " for run in shown)]
    else:
        names = [runs.one_line(matrix.named(run)) for run in shown]
    print("\n".join([view, *names]))


def _ladder(options: argparse.Namespace) -> int:
    kernel, size = options.kernel, options.size
    if options.by is not None:
        saved = of_interpreters(options.runs)
        drawn = ladder_by.FORMATS[options.format](ladder_by.tables(saved, kernel, size))
    else:
        saved = chosen(options.runs)
        found = [(run, one) for run in saved for one in ladder.ladders(run, kernel, size)]
        drawn = ladder.FORMATS[options.format](found)
    show(drawn, options.format, saved)
    return OK


def _account(options: argparse.Namespace) -> int:
    if options.by is not None:
        if options.kernel is not None:
            raise Refusal("account: --kernel does not go with --by interpreter, which has all")
        saved = of_interpreters(options.runs)
        show(cost_by.FORMATS[options.format](saved), options.format, saved)
        return OK
    if len(options.runs) > 1:
        raise Refusal(f"account: got {len(options.runs)} runs, needs one, or --by interpreter")
    (run,) = chosen(options.runs)
    drawn = cost.FORMATS[options.format](run, cost.accounts(run, options.kernel))
    show(drawn, options.format, [run])
    return OK


def of_interpreters(paths: Sequence[Path]) -> list[runs.Run]:
    """The runs, or those in the folders, that are named; the newest one otherwise."""
    return _told([run for path in paths for run in interpreters.load(path)]) or chosen([])


def _growth(options: argparse.Namespace) -> int:
    saved = chosen(options.runs)
    run = merged(saved)
    measured = run.by_kernel
    if not measured:
        raise runs.BadRun(f"{run.source}: holds no benchmark of this suite, so nothing grows in it")
    for kernel in options.kernel:
        if kernel not in measured:
            raise Refusal(f"--kernel: got {runs.one_line(kernel)}, needs one of {listed(measured)}")
    if options.svg is None:
        show(scaling.FORMATS[options.format](run, options.kernel), options.format, saved)
    else:
        _draw_growth(run, options.kernel, options.svg)
    return OK


def _draw_growth(run: runs.Run, kernels: list[str], path: Path) -> None:
    from bench.views.report import growth_chart

    if len(kernels) != 1:
        raise Refusal(f"--svg: got {len(kernels)} kernels, needs exactly one --kernel")
    if path.is_dir():
        raise Refusal(f"{path}: is a folder, needs the name of a file")
    drawn = growth_chart(run, kernels[0])
    if drawn is None:
        raise Refusal(f"{run.source}: has {kernels[0]} at one size only, a chart needs two")
    write_atomic(path, drawn)
    print(runs.one_line(path))


def _boundary(options: argparse.Namespace) -> int:
    saved = chosen(options.runs)
    show(overhead.FORMATS[options.format](merged(saved)), options.format, saved)
    return OK
