"""python -m bench contention: several threads beside busy neighbours and other libraries."""

from __future__ import annotations

import argparse
from typing import Any

from bench.cli.measuring import Measured, add_measuring, collected
from bench.saved import contention as saved
from bench.views import contention as drawn


def add_commands(commands: Any) -> None:
    add_measuring(
        commands,
        saved.KIND,
        "several threads beside busy neighbours and other libraries",
        measure=_measured,
        load=saved.load,
        read=saved.from_json,
        view=drawn.view,
        default_seconds=1.0,
        each="condition of each kernel and size",
    )


def _measured(options: argparse.Namespace) -> Measured:
    from bench.measure.comparison import contention
    from bench.measure.comparison.content import saved_content

    found, ended = collected(
        lambda: contention.plans(options.kernel, options.size, options.quick),
        lambda plans: contention.measure_all(plans, options.seconds),
    )
    more = {"seconds": options.seconds, "unavailable": contention.unavailable()}
    return saved_content(saved.KIND, found, **more), ended
