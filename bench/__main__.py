"""The command line: python -m bench COMMAND, or baremetal-ml COMMAND. Builds the parser; bench/cli
has the commands.

Exit codes: 0 fine, 1 regression found, 2 bad input or broken measurement, 3 inconclusive or not
comparable.
"""

from __future__ import annotations

import sys

# Where an import fails, Python itself would end with 1: a regression. In a folder that has a
# json.py of its own that is the first one.
try:
    import argparse
    import io
    import os

    from bench.cli.exits import exit_code, refuse, say
except BaseException as error:
    print(f"bench: cannot start: {error!r}", file=sys.stderr)
    sys.exit(2)
try:
    from bench.cli import (
        alignment,
        contention,
        doctor,
        explain,
        gate,
        gate_arguments,
        interpreters,
        peers,
        quick,
        report,
        show,
    )
    from bench.cli.arguments import add_command
except BaseException as error:
    sys.exit(refuse(error))

_NAME = "baremetal-ml"  # of the command and of the package
_ABOUT = ("-h", "--help", "--version")
_RENAMED = {"account": "cost", "growth": "scaling", "boundary": "overhead"}  # for one version


def main(arguments: list[str] | None = None) -> int:
    if isinstance(sys.stdout, io.TextIOWrapper):  # names from a file, on a terminal of any encoding
        sys.stdout.reconfigure(errors="backslashreplace")
    return exit_code(lambda: _run(sys.argv[1:] if arguments is None else arguments))


def console() -> int:
    """baremetal-ml, which measures if no other command is named."""
    arguments = sys.argv[1:]
    named = arguments and (arguments[0] in _ABOUT or not arguments[0].startswith("-"))
    return main(arguments if named else ["quick", *arguments])


def _run(arguments: list[str]) -> int:
    command, *others = arguments or [""]
    if command in _RENAMED:
        say(f"bench: {command} is now called {_RENAMED[command]}")
        arguments = [_RENAMED[command], *others]
    options = _parser().parse_args(gate_arguments.in_new_form(arguments))
    return int(options.command(options))


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib import metadata

        try:
            print(metadata.version(_NAME))
        except metadata.PackageNotFoundError:
            print("a checkout that is not installed")
        parser.exit()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=_NAME if os.path.basename(sys.argv[0]) == _NAME else "python -m bench",
        description="Reads saved benchmark runs. RUN is a benchmark JSON file; the default is the "
        "newest in .benchmarks, by the date in it.",
        epilog="Exit codes: 0 fine, 1 regression found, 2 bad input, 3 not comparable.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for room in (quick, show, report, explain, peers, alignment, contention, interpreters, doctor):
        room.add_commands(commands)
    about = "has anything become slower? base against head"
    gate_arguments.add_arguments(add_command(commands, gate.run, "gate", about))
    return parser


if __name__ == "__main__":
    sys.exit(main())
