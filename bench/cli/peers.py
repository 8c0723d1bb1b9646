"""python -m bench peers: native kernels against other libraries, interleaved."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from bench.cli.arguments import FORMAT, KERNELS, add_command, seconds
from bench.cli.exits import refuse, say
from bench.saved import peers as saved_peers
from bench.saved.checks import OK, Refusal
from bench.saved.writing import require_writable
from bench.views import peers, tables


def add_commands(commands: Any) -> None:
    about = "native against NumPy, PyTorch, ONNX Runtime, BLIS, OpenBLAS, interleaved"
    command = add_command(commands, _peers, "peers", about, FORMAT, KERNELS)
    command.add_argument(
        "--size",
        nargs="+",
        action="extend",
        default=[],
        metavar="S",
        help="500, 1x1024x1024, '1000 in place', '500 +16': that many bytes off a cache line",
    )
    command.add_argument(
        "--threads", nargs="+", action="extend", type=int, default=[], metavar="N", help="1 and 2"
    )
    command.add_argument("--tier", metavar="NAME", help="the native tier; default: the fastest")
    command.add_argument(
        "--seconds",
        type=seconds,
        default=0.3,
        metavar="S",
        help="for each library in each cell",
    )
    command.add_argument(
        "--apart",
        action="store_true",
        help="each library in a process of its own, all others stopped; on several threads always",
    )
    command.add_argument("--quick", action="store_true", help="a handful of sizes each")
    command.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="default: .peers/DATE.json"
    )
    command.add_argument("--from", dest="saved", type=Path, metavar="FILE", help="draw a saved one")


def _peers(options: argparse.Namespace) -> int:
    if options.saved is not None:
        _show(saved_peers.load(options.saved), options.format)
        return OK
    # Found out now, not after minutes.
    require_writable(options.output or saved_peers.STORAGE / "DATE.json")
    content, ended = _compared(options)
    saved = saved_peers.save(content, options.output)
    _show(saved_peers.from_json(content), options.format)
    say(f"saved: {saved}")
    return OK if ended is None else refuse(ended)


def _show(run: saved_peers.PeerRun, form: str) -> None:
    print(tables.render(peers.view(run), form))


def _compared(
    options: argparse.Namespace,
) -> tuple[dict[str, Any], Refusal | None]:
    """What was measured, and what ended it early; raises that where nothing was."""
    from rich.console import Console
    from rich.progress import track

    import kernels_c
    from bench.measure.cases.errors_in_ulp import WrongResult
    from bench.measure.peers import why_not_installed

    reason = why_not_installed()
    if reason is not None:
        raise Refusal(reason)
    from bench.measure.comparison import compare

    found: list[dict[str, Any]] = []
    try:
        wanted = compare.plans(
            options.kernel, options.size, options.threads, options.tier, options.quick
        )
        # Closed, it has no process left, however it ended.
        with closing(compare.measure_all(wanted, options.seconds, options.apart)) as measured:
            cells: Iterable[dict[str, Any]] = measured
            if sys.stderr.isatty():  # rich before 15 writes an empty line where it shows nothing
                console = Console(stderr=True)
                cells = track(cells, "comparing", len(wanted), console=console, transient=True)
            found.extend(cells)  # one by one: what is there stays when the next one fails
        ended = None
    except (ValueError, kernels_c.TierUnavailable, WrongResult) as error:
        ended = Refusal(str(error))
    except MemoryError:
        ended = Refusal("not enough memory for these sizes; choose others with --size")
    except KeyboardInterrupt:
        if not found:
            raise
        ended = Refusal("interrupted")
    if ended is not None:
        if not found:
            raise ended
        ended = Refusal(f"{ended}; {len(found)} of {len(wanted)} comparisons are saved")
    return compare.saved_content(found, options.seconds), ended
