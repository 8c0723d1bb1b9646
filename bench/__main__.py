"""The command line: python -m bench COMMAND. Thin: reads arguments, calls a view, sets exit codes.

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
    from collections.abc import Iterable
    from pathlib import Path
    from typing import Any

    from bench.cli.exits import exit_code, refuse, say
    from bench.saved.checks import BAD_INPUT, OK, Refusal
    from bench.saved.writing import require_writable
except BaseException as error:
    print(f"bench: cannot start: {error!r}", file=sys.stderr)
    sys.exit(2)
try:
    from bench.cli import explain, gate_arguments, picture
    from bench.cli import gate as gate_command
    from bench.cli import interpreters as interpreters_command
    from bench.cli.explain import chosen, of_interpreters, show
    from bench.saved import peers as peer_runs
    from bench.saved import runs
    from bench.views import documents, interpreters, limits, matrix
    from bench.views import peers as peers_view
except BaseException as error:
    sys.exit(refuse(error))

REPORTED = 10  # saved runs


def main(arguments: list[str] | None = None) -> int:
    if isinstance(sys.stdout, io.TextIOWrapper):  # names from a file, on a terminal of any encoding
        sys.stdout.reconfigure(errors="backslashreplace")
    return exit_code(lambda: _run(arguments))


def _run(arguments: list[str] | None) -> int:
    given = sys.argv[1:] if arguments is None else arguments
    options = _parser().parse_args(gate_arguments.in_new_form(given))
    return int(options.command(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Reads saved benchmark runs. RUN is a benchmark JSON file; the default is the "
        "newest in .benchmarks, by the date in it.",
        epilog="Exit codes: 0 fine, 1 regression found, 2 bad input, 3 not comparable.",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    command = commands.add_parser(
        "matrix", help="the competency matrix of one run; or of runs on several interpreters"
    )
    command.add_argument("runs", nargs="*", type=Path, metavar="RUN")
    command.add_argument("--format", choices=sorted(matrix.FORMATS), default="text")
    command.add_argument(
        "--by",
        choices=["interpreter"],
        help="several runs side by side, a group of columns for each; RUN may be their folder",
    )
    command.set_defaults(command=_matrix)

    explain.add_commands(commands)
    picture.add_commands(commands)

    command = commands.add_parser("limits", help="what this machine can do at most, measured now")
    command.add_argument("--format", choices=sorted(limits.FORMATS), default="text")
    command.set_defaults(command=_limits)

    command = commands.add_parser("report", help="an offline HTML page and its SVG charts")
    command.add_argument(
        "runs",
        nargs="*",
        type=Path,
        metavar="RUN",
        help=f"default: the last {REPORTED} in .benchmarks",
    )
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
    _add_peers(commands)
    interpreters_command.add_arguments(
        commands.add_parser("interpreters", help="the Python variants on every CPython found here")
    )
    gate = commands.add_parser("gate", help="has anything become slower? base against head")
    gate_arguments.add_arguments(gate)
    gate.set_defaults(command=gate_command.run)
    return parser


def _add_peers(commands: Any) -> None:
    command = commands.add_parser(
        "peers", help="native against NumPy, PyTorch, ONNX Runtime, BLIS, OpenBLAS, interleaved"
    )
    command.add_argument(
        "--kernel", nargs="+", action="extend", default=[], metavar="K", help="default: all"
    )
    command.add_argument(
        "--size", nargs="+", action="extend", default=[], metavar="S", help="500, 1x1024x1024, ..."
    )
    command.add_argument(
        "--threads", nargs="+", action="extend", type=int, default=[], metavar="N", help="1 and 2"
    )
    command.add_argument("--tier", metavar="NAME", help="the native tier; default: the fastest")
    command.add_argument(
        "--seconds",
        type=gate_arguments.seconds,
        default=0.3,
        metavar="S",
        help="for each library in each cell",
    )
    command.add_argument("--quick", action="store_true", help="a handful of sizes each")
    command.add_argument("--format", choices=sorted(peers_view.FORMATS), default="text")
    command.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="default: .peers/DATE.json"
    )
    command.add_argument("--from", dest="saved", type=Path, metavar="FILE", help="draw a saved one")
    command.set_defaults(command=_peers)


def _folder(name: str) -> Path:
    if not name:
        raise argparse.ArgumentTypeError("needs the name of a folder")
    return Path(name)


def _matrix(options: argparse.Namespace) -> int:
    if options.by is not None:
        saved = of_interpreters(options.runs)
        show(interpreters.FORMATS[options.format](saved), options.format, saved)
        return OK
    if len(options.runs) > 1:
        raise Refusal(f"matrix: got {len(options.runs)} runs, needs one, or --by interpreter")
    (run,) = chosen(options.runs)
    if not run.ours:
        raise runs.BadRun(f"{run.source}: holds no benchmark of this suite, so it has no matrix")
    show(matrix.FORMATS[options.format](run), options.format, [run])
    return OK


def _limits(options: argparse.Namespace) -> int:
    import kernels_c
    from bench.measure.machine.limits import measured_limits

    try:
        rows = [row for limits_of_tier in measured_limits() for row in limits_of_tier.as_rows()]
    except kernels_c.TierUnavailable as reason:
        raise Refusal(str(reason)) from None
    print(limits.FORMATS[options.format](runs.limits_from_json(rows)))
    return OK


def _report(options: argparse.Namespace) -> int:
    from bench.views.report import write_report

    written = write_report(chosen(options.runs, most=REPORTED), options.output)
    print(f"{runs.one_line(written[0])}: open it in a browser ({len(written)} files)")
    return OK


def _peers(options: argparse.Namespace) -> int:
    if options.saved is not None:
        print(peers_view.FORMATS[options.format](peer_runs.load(options.saved)))
        return OK
    # Found out now, not after minutes.
    require_writable(options.output or peer_runs.STORAGE / "DATE.json")
    content, ended = _compared_with_peers(options)
    saved = peer_runs.save(content, options.output)
    print(peers_view.FORMATS[options.format](peer_runs.from_json(content)))
    say(f"saved: {saved}")
    return OK if ended is None else refuse(ended)


def _compared_with_peers(
    options: argparse.Namespace,
) -> tuple[dict[str, Any], Refusal | None]:
    """What was measured, and what ended it early; raises that where nothing was."""
    from rich.console import Console
    from rich.progress import track

    import kernels_c
    from bench.measure import peers
    from bench.measure.cases.errors_in_ulp import WrongResult

    reason = peers.why_not_installed()
    if reason is not None:
        raise Refusal(reason)
    from bench.measure.comparison import compare

    found: list[dict[str, Any]] = []
    try:
        wanted = compare.plans(
            options.kernel, options.size, options.threads, options.tier, options.quick
        )
        cells: Iterable[dict[str, Any]] = compare.measure_all(wanted, options.seconds)
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


def _render(options: argparse.Namespace) -> int:
    stale = [path for path in options.documents if documents.render(path, options.check)]
    for path in stale:
        done = "is not what results/ says" if options.check else "rendered"
        print(f"{runs.one_line(path)}: {done}")
    return BAD_INPUT if stale and options.check else OK


if __name__ == "__main__":
    sys.exit(main())
