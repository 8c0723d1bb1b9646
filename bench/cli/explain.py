"""The commands that explain a saved run: ladder, cost, scaling, overhead."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

from bench.cli.arguments import BY, FORMAT, KERNELS, RUNS, add_command
from bench.cli.saved import chosen, of_interpreters, show, the_one
from bench.saved import runs
from bench.saved.checks import OK, Refusal, listed
from bench.saved.comparable import merged
from bench.saved.writing import write_atomic
from bench.views.explain import cost, ladder, overhead, scaling, split


def add_commands(commands: Any) -> None:
    add = partial(add_command, commands)

    about = "where a kernel's factor comes from, rung by rung"
    command = add(_ladder, "ladder", about, RUNS, FORMAT, BY)
    command.add_argument("--kernel", metavar="K", help="default: all")
    command.add_argument("--size", metavar="S", help="default: the largest that was measured")

    about = "what an element costs in Python, part by part; a token's time by layer and kernel"
    command = add(_cost, "cost", about, RUNS, FORMAT, BY)
    command.add_argument("--kernel", action="append", default=[], metavar="K", help="default: all")

    about = "how time grows with size, and where it jumps"
    command = add(_scaling, "scaling", about, RUNS, FORMAT, KERNELS)
    command.add_argument(
        "--svg", type=Path, metavar="FILE", help="draw one kernel's chart there instead"
    )

    about = "what a call into native code costs, and from which size on it wins"
    add(_overhead, "overhead", about, RUNS, FORMAT)


def _ladder(options: argparse.Namespace) -> int:
    if options.by is not None:
        saved = of_interpreters(options.runs)
        view = ladder.by_interpreter(saved, options.kernel, options.size)
    else:
        saved = chosen(options.runs)
        view = ladder.view(saved, options.kernel, options.size)
    show(view, options.format, saved)
    return OK


def _cost(options: argparse.Namespace) -> int:
    if options.by is not None:
        if options.kernel:
            raise Refusal("cost: --kernel does not go with --by interpreter, which has all")
        saved = of_interpreters(options.runs)
        show(cost.by_interpreter(saved), options.format, saved)
        return OK
    run = the_one("cost", options.runs)
    measured = [m for kernel in options.kernel for _, m in run.by_kernel.get(kernel, ())]
    if measured and all(metadata.program for metadata in measured):
        show(split.view(run, *options.kernel), options.format, [run])
        return OK
    show(cost.view(run, *options.kernel), options.format, [run])
    return OK


def _scaling(options: argparse.Namespace) -> int:
    saved = chosen(options.runs)
    run = merged(saved)
    measured = run.by_kernel
    if not measured:
        raise runs.BadRun(f"{run.source}: holds no benchmark of this suite, so nothing grows in it")
    for kernel in options.kernel:
        if kernel not in measured:
            raise Refusal(f"--kernel: got {runs.one_line(kernel)}, needs one of {listed(measured)}")
    if options.svg is None:
        show(scaling.view(run, *options.kernel), options.format, saved)
    else:
        _draw_scaling(run, options.kernel, options.svg)
    return OK


def _draw_scaling(run: runs.Run, kernels: list[str], path: Path) -> None:
    from bench.views.report import scaling_chart

    if len(kernels) != 1:
        raise Refusal(f"--svg: got {len(kernels)} kernels, needs exactly one --kernel")
    if path.is_dir():
        raise Refusal(f"{path}: is a folder, needs the name of a file")
    drawn = scaling_chart(run, kernels[0])
    if drawn is None:
        raise Refusal(f"{run.source}: has {kernels[0]} at one size only, a chart needs two")
    write_atomic(path, drawn)
    print(runs.one_line(path))


def _overhead(options: argparse.Namespace) -> int:
    saved = chosen(options.runs)
    show(overhead.view(merged(saved)), options.format, saved)
    return OK
