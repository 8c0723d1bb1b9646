"""What commands have in common that measure a table, save it and draw it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from bench.cli.arguments import FORMAT, KERNELS, add_command, seconds
from bench.cli.exits import refuse, say
from bench.saved.checks import OK, Refusal
from bench.saved.kinds import Kind
from bench.saved.writing import require_writable
from bench.views import tables
from bench.views.tables import View

Cell = dict[str, Any]
# What was measured, and what ended it early.
Measured = tuple[dict[str, Any], Refusal | None]


def add_measuring(
    commands: Any,
    kind: Kind,
    about: str,
    *,
    measure: Callable[[argparse.Namespace], Measured],
    load: Callable[[Path], Any],
    read: Callable[[Any], Any],
    view: Callable[[Any], View],
    default_seconds: float,
    each: str,
    sizes: str = "500, 1x1024x1024, ...",
) -> argparse.ArgumentParser:
    """The parser of a command that measures a table of this kind, for so long `each`; or draws a
    saved one."""

    def run(options: argparse.Namespace) -> int:
        if options.saved is not None:
            print(tables.render(view(load(options.saved)), options.format))
            return OK
        # Found out now, not after minutes.
        require_writable(options.output or kind.storage / "DATE.json")
        content, ended = measure(options)
        saved = kind.save(content, options.output)
        print(tables.render(view(read(content)), options.format))
        say(f"saved: {saved}")
        return OK if ended is None else refuse(ended)

    command = add_command(commands, run, kind.command, about, FORMAT, KERNELS)
    command.add_argument("--size", nargs="+", action="extend", default=[], metavar="S", help=sizes)
    command.add_argument(
        "--seconds", type=seconds, default=default_seconds, metavar="S", help=f"for each {each}"
    )
    command.add_argument("--quick", action="store_true", help="a handful of sizes")
    command.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help=f"default: {kind.storage}/DATE.json"
    )
    command.add_argument("--from", dest="saved", type=Path, metavar="FILE", help="draw a saved one")
    return command


def collected(
    plans: Callable[[], Sequence[Any]], cells: Callable[[Any], Generator[Cell, None, None]]
) -> tuple[list[Cell], Refusal | None]:
    """The cells of what was planned, one by one, and what ended that early; raises it where there
    is nothing yet."""
    from rich.console import Console
    from rich.progress import track

    import kernels_c
    from bench.measure.cases.errors_in_ulp import WrongResult

    found: list[Cell] = []
    try:
        wanted = plans()
        # Closed, it has no process left, however it ended.
        with closing(cells(wanted)) as measured:
            shown: Iterable[Cell] = measured
            if sys.stderr.isatty():  # rich before 15 writes an empty line where it shows nothing
                console = Console(stderr=True)
                shown = track(shown, "measuring", len(wanted), console=console, transient=True)
            found.extend(shown)  # one by one: what is there stays when the next one fails
        return found, None
    except (ValueError, kernels_c.TierUnavailable, WrongResult) as error:
        ended = Refusal(str(error))
    except MemoryError:
        ended = Refusal("not enough memory for these sizes; choose others with --size")
    except KeyboardInterrupt:
        if not found:
            raise
        ended = Refusal("interrupted")
    if not found:
        raise ended
    return found, Refusal(f"{ended}; {len(found)} of {len(wanted)} cells are saved")
