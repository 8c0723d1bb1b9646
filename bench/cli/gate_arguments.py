"""The arguments of python -m bench gate, and which of them go together."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

_MOST_DIGITS = 19  # of a number of 64 bits


def add_arguments(command: Any) -> None:
    """The arguments of `python -m bench gate`."""
    command.add_argument(
        "runs", nargs="*", type=Path, metavar="RUN", help="saved runs: BASE.json... HEAD.json"
    )
    command.add_argument(
        "--base", metavar="REF", help="the commit that the working tree is held to"
    )
    command.add_argument(
        "--instructions", action="store_true", help="count instructions instead (needs valgrind)"
    )
    command.add_argument("--selfcheck", action="store_true", help="what this gate is worth here")
    command.add_argument(
        "--gates", type=_whole, default=6, metavar="N", help="of a self-check (default: 6)"
    )
    command.add_argument(
        "--ledger",
        type=Path,
        default=Path(".gate/ledger.jsonl"),
        metavar="FILE",
        help="where self-checks add what they found (default: .gate/ledger.jsonl)",
    )
    command.add_argument("-k", dest="expression", metavar="EXPR", help="benchmarks, as for pytest")
    command.add_argument("--quick", action="store_true", help="the smaller sizes only")
    command.add_argument(
        "--threshold",
        type=percentage,
        metavar="PERCENT",
        help="the least slowdown that counts; default and least for times: 1",
    )
    command.add_argument(
        "--floor",
        type=percentage,
        metavar="PERCENT",
        help="saved runs: what moments apart may differ by (default: 10)",
    )
    command.add_argument(
        "--allow-removed",
        action="store_true",
        help="saved runs: list a benchmark that the head lacks instead of refusing",
    )
    command.add_argument(
        "--baseline", type=Path, metavar="FILE", help="saved runs: keep a head that passes as FILE"
    )
    command.add_argument("--seed", type=_whole, metavar="N", help="repeats the order of a gate")
    command.add_argument("--core", type=_whole, metavar="N", help="default: the last usable one")
    command.add_argument(
        "--longest-call",
        type=seconds,
        default=0.5,
        metavar="SECONDS",
        help="of a benchmark that is no kernel; longer ones are not judged (default: 0.5)",
    )
    command.add_argument("--format", choices=("text", "md", "json"), default="text")
    command.add_argument("--all", action="store_true", help="text: every pass on a line of its own")
    command.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="save the result as JSON"
    )
    command.add_argument(
        "--summary", type=Path, metavar="FILE", help="append the result as Markdown to a file"
    )
    command.add_argument("--record", type=Path, metavar="FILE", help="save the times of all rounds")
    command.add_argument("--from", dest="saved", type=Path, metavar="FILE", help="show a saved one")


def percentage(text: str) -> float:
    try:
        value = float(text.removesuffix("%")) / 100
    except ValueError:
        value = 0.0
    if not 0 < value <= 10:
        raise argparse.ArgumentTypeError(f"got {text!r}, needs percent above 0, such as 2 or 2%")
    return value


def _whole(text: str) -> int:
    if not text.isdecimal() or len(text) > _MOST_DIGITS:
        raise argparse.ArgumentTypeError(
            f"got {text[:_MOST_DIGITS]!r}, needs a whole number from 0 on, of at most "
            f"{_MOST_DIGITS} digits"
        )
    return int(text)


def seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 3600:
        raise argparse.ArgumentTypeError(
            f"got {text!r}, needs more than 0 and at most 3600 seconds"
        )
    return value


def check(options: argparse.Namespace) -> None:
    """Refuse what could not work before anything takes time."""
    from bench.gate.errors import GateError

    ways = [bool(options.runs), options.base is not None, options.selfcheck, bool(options.saved)]
    if sum(ways) != 1:
        raise GateError(
            "gate: needs one of --base REF, two or more saved runs, --selfcheck, or --from FILE"
        )
    if options.instructions and options.base is None:
        raise GateError("gate: --instructions needs --base REF")
    takes_times = not options.instructions and (options.base is not None or options.selfcheck)
    _refuse_what_has_no_use(options, takes_times)
    if options.threshold is not None and takes_times:
        from bench.gate.verdict import LEAST_THRESHOLD

        if options.threshold < LEAST_THRESHOLD:
            raise GateError(
                f"--threshold: got {100 * options.threshold:g} %, needs at least "
                f"{100 * LEAST_THRESHOLD:g} %: where code lies can move a benchmark by less"
            )
    if options.core is not None and options.core not in os.sched_getaffinity(0):
        usable = ", ".join(map(str, sorted(os.sched_getaffinity(0))))
        raise GateError(f"--core: got {options.core}, needs one of {usable}")
    if options.selfcheck and options.gates == 0:
        raise GateError("--gates: got 0, needs at least 1")
    if options.selfcheck and options.output is not None:
        raise GateError("--selfcheck: adds to its --ledger, and has no use for -o")
    for path in (options.output, options.summary, options.record, options.baseline):
        if path is None:
            continue
        if path.is_dir():
            raise GateError(f"{path}: is a folder, needs the name of a file")
        if path.exists() and not path.is_file() and path is not options.summary:
            # It would be replaced, as files are written whole or not at all.
            raise GateError(f"{path}: is no regular file, needs the name of a file")
        path.parent.mkdir(parents=True, exist_ok=True)
        if not os.access(path if path.exists() else path.parent, os.W_OK):
            raise GateError(f"{path}: cannot be written")


def _refuse_what_has_no_use(options: argparse.Namespace, takes_times: bool) -> None:
    """An option that would change nothing is a misunderstanding; better said than passed over."""
    from bench.gate.errors import GateError

    saved_runs, both_sides = bool(options.runs), options.base is not None or options.selfcheck
    given = {
        "--floor": (options.floor, saved_runs, "saved runs: BASE.json... HEAD.json"),
        "--allow-removed": (options.allow_removed, saved_runs, "saved runs"),
        "--baseline": (options.baseline, saved_runs, "saved runs: BASE.json... HEAD.json"),
        "--record": (options.record, takes_times, "--base REF or --selfcheck, which take times"),
        "--core": (options.core, takes_times, "--base REF or --selfcheck, which take times"),
        "-k": (options.expression, both_sides, "--base REF or --selfcheck"),
        "--quick": (options.quick, both_sides, "--base REF or --selfcheck"),
    }
    for name, (value, has_use, use) in given.items():
        if value is not None and value is not False and not has_use:  # core 0 is a core
            raise GateError(f"gate: {name} is for {use}")
