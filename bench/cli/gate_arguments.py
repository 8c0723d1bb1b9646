"""The arguments of python -m bench gate: a command for each way to compare."""

from __future__ import annotations

import argparse
import os
from functools import partial
from pathlib import Path
from typing import Any

from bench.cli.arguments import FORMAT, positive, seconds
from bench.cli.exits import say

NEEDED = "run --base REF, compare BASE.json... HEAD.json, selfcheck, or show FILE"
_MOST_DIGITS = 19  # of a number of 64 bits


def add_arguments(gate: argparse.ArgumentParser) -> None:
    """The commands of `python -m bench gate`; `way` is the one that was chosen, or None."""
    gate.description = (
        "Has anything become slower? Exit codes: 0 no, 1 yes, 2 bad input or a broken measurement, "
        "3 it cannot be said. docs/gate.md says what a verdict means."
    )
    commands = gate.add_subparsers(dest="way", title="commands", metavar="COMMAND")

    def add(name: str, help_: str, *parents: argparse.ArgumentParser) -> Any:
        return commands.add_parser(
            name, help=help_, description=f"{help_.capitalize()}.", parents=parents
        )

    measured, saved = _measured(), _saved()
    command = add(
        "run", "the working tree against a commit, both built and measured now",
        measured, FORMAT, saved,
    )  # fmt: skip
    command.add_argument("--base", required=True, metavar="REF", help="the commit")
    command.add_argument(
        "--instructions", action="store_true", help="count instructions instead (needs valgrind)"
    )
    _add_threshold(command, None, "1, and no less; with --instructions 0.3")

    command = add("compare", "saved runs: a tripwire for large slowdowns", FORMAT, saved)
    command.add_argument(
        "runs", nargs="+", type=Path, metavar="RUN", help="BASE.json... HEAD.json; the head is last"
    )
    _add_threshold(command, "1", "1")
    command.add_argument(
        "--floor",
        type=percentage,
        default="10",
        metavar="PERCENT",
        help="what moments apart may differ by (default: 10)",
    )
    command.add_argument(
        "--allow-removed",
        action="store_true",
        help="list a benchmark that the head lacks instead of refusing",
    )
    command.add_argument(
        "--baseline", type=Path, metavar="FILE", help="keep a head that passes as FILE"
    )

    command = add("selfcheck", "how often the gate errs on this machine", measured, FORMAT)
    command.add_argument(
        "--gates", type=partial(_integer, least=1), default=6, metavar="N", help="default: 6"
    )
    command.add_argument(
        "--ledger",
        type=Path,
        default=Path(".gate/ledger.jsonl"),
        metavar="FILE",
        help="where the results are added (default: .gate/ledger.jsonl)",
    )
    _add_threshold(command, "1", "1, and no less")

    command = add("show", "the saved result of a gate", FORMAT, saved)
    command.add_argument("saved", type=Path, metavar="FILE", help="what -o has saved")


def _measured() -> argparse.ArgumentParser:
    """For what builds and measures both sides."""
    parent = argparse.ArgumentParser(add_help=False)
    parent.add_argument("-k", dest="expression", metavar="EXPR", help="benchmarks, as for pytest")
    parent.add_argument("--quick", action="store_true", help="the smaller sizes only")
    parent.add_argument("--seed", type=_integer, metavar="N", help="repeats the order of a gate")
    parent.add_argument("--core", type=_core, metavar="N", help="default: the last usable one")
    parent.add_argument(
        "--longest-call",
        type=seconds,
        default=0.5,
        metavar="SECONDS",
        help="of a benchmark that is no kernel; longer ones are not judged (default: 0.5)",
    )
    parent.add_argument("--record", type=Path, metavar="FILE", help="save the times of all rounds")
    return parent


def _saved() -> argparse.ArgumentParser:
    """For what ends in one gate's result."""
    parent = argparse.ArgumentParser(add_help=False)
    parent.add_argument("--all", action="store_true", help="every pass on a line of its own")
    parent.add_argument("-o", "--output", type=Path, metavar="FILE", help="save the result as JSON")
    parent.add_argument(
        "--summary", type=Path, metavar="FILE", help="append the result as Markdown to a file"
    )
    return parent


def _add_threshold(command: Any, default: str | None, stated: str) -> None:
    command.add_argument(
        "--threshold",
        type=percentage,
        default=default,
        metavar="PERCENT",
        help=f"the least slowdown that counts (default: {stated})",
    )


def percentage(text: str) -> float:
    number = text.removesuffix("%")
    return positive(text, number, 1000, "percent above 0, such as 2 or 2%") / 100


def _integer(text: str, least: int = 0) -> int:
    if not text.isdecimal() or len(text) > _MOST_DIGITS or int(text) < least:
        raise argparse.ArgumentTypeError(
            f"got {text[:_MOST_DIGITS]!r}, needs a whole number from {least} on, of at most "
            f"{_MOST_DIGITS} digits"
        )
    return int(text)


def _core(text: str) -> int:
    core, usable = _integer(text), sorted(os.sched_getaffinity(0))
    if core not in usable:
        raise argparse.ArgumentTypeError(f"got {core}, needs one of {', '.join(map(str, usable))}")
    return core


# --- The forms before there were commands; they go with the next version --------------------------

_OLD_FORMS = {  # by the option that tells it from the others
    "": ("BASE.json... HEAD.json", "compare BASE.json... HEAD.json"),
    "--base": ("--base REF", "run --base REF"),
    "--selfcheck": ("--selfcheck", "selfcheck"),
    "--from": ("--from FILE", "show FILE"),
}


def in_new_form(arguments: list[str]) -> list[str]:
    """All arguments of `python -m bench`, with a gate's command where it was left out. Says so."""
    if arguments[:1] != ["gate"] or {*arguments[1:2]} & {"run", "compare", "selfcheck", "show"}:
        return arguments
    rest = arguments[1:]
    names = {argument.partition("=")[0] for argument in rest}
    option = next((option for option in _OLD_FORMS if option in names), "")
    if not option and all(argument.startswith("-") for argument in rest):  # --help, or nothing
        return arguments
    old, new = _OLD_FORMS[option]
    say(f"bench: gate {old} is now gate {new}")
    if option in ("--selfcheck", "--from"):  # which the command says now
        rest = [a.removeprefix(f"{option}=") for a in rest if a != option]
    return ["gate", new.split()[0], *rest]
