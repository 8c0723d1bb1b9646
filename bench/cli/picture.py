"""python -m bench picture: every kernel's ladder in one SVG."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from bench.cli.saved import chosen
from bench.saved.checks import OK
from bench.saved.runs import one_line
from bench.saved.writing import write_atomic


def add_commands(commands: Any) -> None:
    command = commands.add_parser("picture", help="every kernel's ladder in one SVG")
    command.add_argument("run", nargs="?", type=Path, metavar="RUN")
    command.add_argument("-o", "--output", type=Path, default=Path("ladders.svg"), metavar="FILE")
    command.add_argument("--dark", action="store_true", help="for a dark background")
    command.set_defaults(command=_picture)


def _picture(options: argparse.Namespace) -> int:
    from bench.views.report.picture import ladders_svg

    (run,) = chosen([options.run] if options.run else [])
    write_atomic(options.output, ladders_svg(run, options.dark))
    print(one_line(options.output))
    return OK
