"""python -m bench peers: native kernels against other libraries, interleaved."""

from __future__ import annotations

import argparse
from typing import Any

from bench.cli.measuring import Measured, add_measuring, collected
from bench.saved import peers as saved
from bench.saved.checks import Refusal
from bench.views import peers as drawn


def add_commands(commands: Any) -> None:
    command = add_measuring(
        commands,
        saved.KIND,
        "native against NumPy, PyTorch, ONNX Runtime, BLIS, OpenBLAS, interleaved",
        measure=_compared,
        load=saved.load,
        read=saved.from_json,
        view=drawn.view,
        default_seconds=0.3,
        each="library in each cell",
        sizes="500, 1x1024x1024, '1000 in place', '500 +16': that many bytes off a cache line",
    )
    command.add_argument(
        "--threads", nargs="+", action="extend", type=int, default=[], metavar="N", help="1 and 2"
    )
    command.add_argument("--tier", metavar="NAME", help="the native tier; default: the fastest")
    command.add_argument(
        "--apart",
        action="store_true",
        help="each library in a process of its own, all others stopped; on several threads always",
    )


def _compared(options: argparse.Namespace) -> Measured:
    from bench.measure.peers import why_not_installed

    reason = why_not_installed()
    if reason is not None:
        raise Refusal(reason)
    from bench.measure.comparison import compare

    wanted = options.kernel, options.size, options.threads, options.tier, options.quick
    found, ended = collected(
        lambda: compare.plans(*wanted),
        lambda plans: compare.measure_all(plans, options.seconds, options.apart),
    )
    return compare.saved_content(found, options.seconds), ended
