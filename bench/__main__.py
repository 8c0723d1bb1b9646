"""The command line: python -m bench COMMAND. Thin: reads arguments, calls a view, sets exit codes.

Exit codes: 0 fine, 1 regression found, 2 bad input or broken measurement, 3 inconclusive or not
comparable.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from pathlib import Path

from bench import runs
from bench.views import documents, limits, matrix

OK, BAD_INPUT = 0, 2


def main(arguments: list[str] | None = None) -> int:
    if isinstance(sys.stdout, io.TextIOWrapper):  # names from a file, on a terminal of any encoding
        sys.stdout.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    try:
        return int(options.command(options))
    except (runs.BadRun, documents.BadDocument) as error:
        print(f"bench: {error}", file=sys.stderr)
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"bench: {where}{error.strerror or error}", file=sys.stderr)
    return BAD_INPUT


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Reads saved benchmark runs. RUN is a benchmark JSON file; the default is the "
        "newest in .benchmarks.",
        epilog="Exit codes: 0 fine, 1 regression found, 2 bad input, 3 not comparable.",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    command = commands.add_parser("matrix", help="the competency matrix of one run")
    command.add_argument("run", nargs="?", type=Path, metavar="RUN")
    command.add_argument("--format", choices=sorted(matrix.FORMATS), default="text")
    command.set_defaults(command=_matrix)

    command = commands.add_parser("limits", help="what this machine can do at most, measured now")
    command.add_argument("--format", choices=sorted(limits.FORMATS), default="text")
    command.set_defaults(command=_limits)

    command = commands.add_parser("report", help="an offline HTML page and its SVG charts")
    command.add_argument("runs", nargs="*", type=Path, metavar="RUN")
    command.add_argument(
        "-o",
        "--output",
        type=_folder,
        default=Path("report"),
        metavar="DIR",
        help="default: report",
    )
    command.set_defaults(command=_report)

    command = commands.add_parser(
        "render", help="write the tables that a document takes from results/ into it"
    )
    command.add_argument("documents", nargs="+", type=Path, metavar="FILE")
    command.add_argument("--check", action="store_true", help="change nothing; 2 if one is stale")
    command.set_defaults(command=_render)
    return parser


def _folder(name: str) -> Path:
    if not name:
        raise argparse.ArgumentTypeError("needs the name of a folder")
    return Path(name)


def _matrix(options: argparse.Namespace) -> int:
    run = runs.load(options.run or runs.newest())
    if not run.ours:
        raise runs.BadRun(f"{run.source}: holds no benchmark of this suite, so it has no matrix")
    print(matrix.FORMATS[options.format](run))
    return OK


def _limits(options: argparse.Namespace) -> int:
    import kernels_c
    from bench.measure.limits import measured_limits

    try:
        rows = measured_limits().as_rows()
    except kernels_c.TierUnavailable as reason:
        print(f"bench: {reason}", file=sys.stderr)
        return BAD_INPUT
    print(limits.FORMATS[options.format](runs.limits_from_json(rows)))
    return OK


def _report(options: argparse.Namespace) -> int:
    from bench.views.report import write_report

    written = write_report(runs.load_all(options.runs), options.output)
    print(f"{written[0]}: open it in a browser ({len(written)} files)")
    return OK


def _render(options: argparse.Namespace) -> int:
    stale = [path for path in options.documents if documents.render(path, options.check)]
    for path in stale:
        print(f"{path}: {'is not what results/ says' if options.check else 'rendered'}")
    return BAD_INPUT if stale and options.check else OK


if __name__ == "__main__":
    sys.exit(main())
