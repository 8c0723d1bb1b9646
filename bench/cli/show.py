"""The commands that show what there is: matrix, limits, picture, render."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

from bench.cli.arguments import BY, FORMAT, RUNS, add_command
from bench.cli.saved import chosen, of_interpreters, show, the_one
from bench.saved import runs
from bench.saved.checks import BAD_INPUT, OK, Refusal
from bench.saved.writing import write_atomic
from bench.views import documents, interpreters, limits, matrix, tables


def add_commands(commands: Any) -> None:
    add = partial(add_command, commands)

    about = "the competency matrix of one run; or of runs on several interpreters"
    add(_matrix, "matrix", about, RUNS, FORMAT, BY)

    add(_limits, "limits", "what this machine can do at most, measured now", FORMAT)

    command = add(_picture, "picture", "all ladders, or a chart of the report, as an SVG")
    command.add_argument("run", nargs="?", type=Path, metavar="RUN")
    command.add_argument("-o", "--output", type=Path, default=Path("ladders.svg"), metavar="FILE")
    command.add_argument("--chart", metavar="NAME", help="of the report: factors, roofline-FLOP")
    command.add_argument("--dark", action="store_true", help="for a dark background")

    about = "write the tables that a document takes from results/ into it"
    command = add(_render, "render", about)
    command.add_argument("documents", nargs="+", type=Path, metavar="FILE")
    command.add_argument("--check", action="store_true", help="change nothing; 2 if one is stale")


def _matrix(options: argparse.Namespace) -> int:
    if options.by is not None:
        saved = of_interpreters(options.runs)
        show(interpreters.view(saved), options.format, saved)
        return OK
    run = the_one("matrix", options.runs)
    if not run.ours:
        raise runs.BadRun(f"{run.source}: holds no benchmark of this suite, so it has no matrix")
    show(matrix.view(run), options.format, [run])
    return OK


def _limits(options: argparse.Namespace) -> int:
    import kernels_c
    from bench.measure.machine.limits import measured_limits

    try:
        rows = [row for limits_of_tier in measured_limits() for row in limits_of_tier.as_rows()]
    except kernels_c.TierUnavailable as reason:
        raise Refusal(str(reason)) from None
    print(tables.render(limits.view(runs.limits_from_json(rows)), options.format))
    return OK


def _picture(options: argparse.Namespace) -> int:
    from bench.views.report import chart
    from bench.views.report.picture import ladders_svg

    (run,) = chosen([options.run] if options.run else [])
    if options.chart is None:
        drawn = ladders_svg(run, options.dark)
    else:
        drawn = chart(run, options.chart, "dark" if options.dark else "light")
    write_atomic(options.output, drawn)
    print(runs.one_line(options.output))
    return OK


def _render(options: argparse.Namespace) -> int:
    stale = [path for path in options.documents if documents.render(path, options.check)]
    for path in stale:
        done = "is not what results/ says" if options.check else "rendered"
        print(f"{runs.one_line(path)}: {done}")
    return BAD_INPUT if stale and options.check else OK
