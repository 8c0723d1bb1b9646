"""What several commands have in common: how one is added, and arguments of it."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.views.tables import FORMATS


def add_command(
    commands: Any,
    run: Callable[[argparse.Namespace], int],
    name: str,
    about: str,
    *arguments: argparse.ArgumentParser,
) -> argparse.ArgumentParser:
    """The parser of a command that `run` is, and that has these arguments."""
    command: argparse.ArgumentParser = commands.add_parser(name, help=about, parents=arguments)
    command.set_defaults(command=run)
    return command


def argument(*names: str, **options: Any) -> argparse.ArgumentParser:
    """One that add_command() can give to several commands."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(*names, **options)
    return parser


RUNS = argument("runs", nargs="*", type=Path, metavar="RUN")
FORMAT = argument("--format", choices=FORMATS, default="text")
BY = argument(
    "--by", choices=["interpreter"], help="several runs side by side; RUN may be their folder"
)
KERNELS = argument(
    "-k", "--kernel", nargs="+", action="extend", default=[], metavar="K", help="default: all"
)


def seconds(text: str) -> float:
    return positive(text, text, 3600, "more than 0 and at most 3600 seconds")


def positive(text: str, number: str, most: float, needs: str) -> float:
    """The number in `text`. Raises ArgumentTypeError."""
    try:
        value = float(number)
    except ValueError:
        value = 0.0
    if not 0 < value <= most:
        raise argparse.ArgumentTypeError(f"got {text!r}, needs {needs}")
    return value
