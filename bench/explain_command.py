"""The commands that explain a saved run: ladder, account, growth, boundary."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from bench import runs
from bench.checking import Refusal
from bench.comparable import merged
from bench.exits import OK
from bench.views import (
    account,
    account_by,
    boundary,
    growth,
    interpreters,
    ladder,
    ladder_by,
)


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
    command.add_argument("--format", choices=sorted(account.FORMATS), default="text")
    command.set_defaults(command=_account)
    command = commands.add_parser("growth", help="how time grows with size, and where it jumps")
    command.add_argument("runs", nargs="*", type=Path, metavar="RUN")
    command.add_argument(
        "--kernel", nargs="+", action="extend", default=[], metavar="K", help="default: all"
    )
    command.add_argument("--format", choices=sorted(growth.FORMATS), default="text")
    command.add_argument(
        "--svg", type=Path, metavar="FILE", help="draw one kernel's chart there instead"
    )
    command.set_defaults(command=_growth)
    command = commands.add_parser(
        "boundary", help="what crossing into native code costs, and from which size on it wins"
    )
    command.add_argument("runs", nargs="*", type=Path, metavar="RUN")
    command.add_argument("--format", choices=sorted(boundary.FORMATS), default="text")
    command.set_defaults(command=_boundary)


def _ladder(options: argparse.Namespace) -> int:
    kernel, size = options.kernel, options.size
    if options.by is not None:
        saved = _of_interpreters(options.runs)
        print(ladder_by.FORMATS[options.format](ladder_by.tables(saved, kernel, size)))
        return OK
    saved = runs.load_all(options.runs)
    found = [(run, one) for run in saved for one in ladder.ladders(run, kernel, size)]
    print(ladder.FORMATS[options.format](found))
    return OK


def _account(options: argparse.Namespace) -> int:
    if options.by is not None:
        if options.kernel is not None:
            raise Refusal("account: --kernel does not go with --by interpreter, which has all")
        print(account_by.FORMATS[options.format](_of_interpreters(options.runs)))
        return OK
    if len(options.runs) > 1:
        raise Refusal(f"account: got {len(options.runs)} runs, needs one, or --by interpreter")
    run = runs.load(options.runs[0] if options.runs else runs.newest())
    print(account.FORMATS[options.format](run, account.accounts(run, options.kernel)))
    return OK


def _of_interpreters(paths: list[Path]) -> list[runs.Run]:
    """The runs, or those in the folders, that are named; the newest one otherwise."""
    return [run for path in paths or [runs.newest()] for run in interpreters.load(path)]


def _growth(options: argparse.Namespace) -> int:
    run = merged(runs.load_all(options.runs))
    measured = list(dict.fromkeys(facts.kernel for _, facts in run.ours))
    if not measured:
        raise runs.BadRun(f"{run.source}: holds no benchmark of this suite, so nothing grows in it")
    for kernel in options.kernel:
        if kernel not in measured:
            raise Refusal(
                f"--kernel: got {runs.one_line(kernel)}, needs one of {', '.join(measured)}"
            )
    if options.svg is None:
        print(growth.FORMATS[options.format](run, options.kernel))
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
    runs.write_whole(path, drawn)
    print(runs.one_line(path))


def _boundary(options: argparse.Namespace) -> int:
    print(boundary.FORMATS[options.format](merged(runs.load_all(options.runs))))
    return OK
