"""python -m bench alignment: kernels on buffers off a cache line against the same on one."""

from __future__ import annotations

import argparse
from typing import Any

from bench.cli.measuring import Measured, add_measuring, collected
from bench.saved import alignment as saved
from bench.views import alignment as drawn


def add_commands(commands: Any) -> None:
    command = add_measuring(
        commands,
        saved.KIND,
        "kernels on buffers off a cache line",
        measure=_measured,
        load=saved.load,
        read=saved.from_json,
        view=drawn.view,
        default_seconds=0.1,
        each="offset of each row",
    )
    command.add_argument("--tier", metavar="NAME", help="default: the fastest on one thread")


def _measured(options: argparse.Namespace) -> Measured:
    from bench.measure.comparison import alignment
    from bench.measure.comparison.content import saved_content

    found, ended = collected(
        lambda: alignment.plans(options.kernel, options.size, options.tier, options.quick),
        lambda plans: alignment.measure_all(plans, options.seconds),
    )
    return saved_content(saved.KIND, found, seconds=options.seconds), ended
