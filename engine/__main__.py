"""The command line: python -m engine write PROMPT, python -m engine identify FILE...

Exit codes: 0 fine, 2 bad input, 130 interrupted.
"""

from __future__ import annotations

import argparse
import codecs
import contextlib
import io
import os
import sys
import time
from collections.abc import Callable

from engine.errors import BadInput, one_line
from kernels_c import TierUnavailable

OK, BAD_INPUT, INTERRUPTED = 0, 2, 130


def main(arguments: list[str] | None = None) -> int:
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal of any encoding
        sys.stdout.reconfigure(errors="backslashreplace")
    if sys.stderr is None:  # closed; print would take standard output in its place
        sys.stderr = io.StringIO()
    options = _parser().parse_args(arguments)
    return _exit_code(lambda: int(options.command(options)))


def _exit_code(command: Callable[[], int]) -> int:
    """What the process ends with; whatever failed is one line."""
    try:
        code = command()
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # its reader has seen enough
        code = OK
    except (BadInput, TierUnavailable) as error:
        return _refuse(str(error))
    except MemoryError:
        return _refuse("not enough memory")
    except OSError as error:
        code = _refuse(f"{error.filename or 'standard output'}: {error.strerror or error}")
    # What is left in the buffer cannot go anywhere, and Python would try again at its end.
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _refuse(reason: str) -> int:
    _say(f"python -m engine: error: {one_line(reason)}")
    return BAD_INPUT


def _say(line: str) -> None:
    """A line beside what a command prints. Where nobody can read it, the command goes on."""
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr, flush=True)


# --- write ---------------------------------------------------------------------------------------


def _write(options: argparse.Namespace) -> int:
    from engine import load

    prompt = os.fsencode(options.prompt)
    session = load(options.model).session(options.tier, options.precision)
    stream = session.stream(prompt, options.n, options.temperature, options.seed)
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    made, seconds, code = 0, 0.0, OK
    try:
        _show(decoder.decode(prompt))
        started = time.perf_counter()
        for token in stream:
            seconds += time.perf_counter() - started
            made += 1
            _show(decoder.decode(bytes([token])))
            started = time.perf_counter()
        _show(decoder.decode(b"", final=True))
    except KeyboardInterrupt:
        code = INTERRUPTED
    print(flush=True)
    rate = f"{made / seconds:,.0f} tokens per second" if seconds else "no time at all"
    _say(f"{made} tokens, {rate}, {session.tier}, {session.precision}")
    return code


def _show(text: str) -> None:
    """Text as it comes; nothing in it may command a terminal."""
    lines = text.split("\n")
    print("\n".join(one_line(line.expandtabs(8)) for line in lines), end="", flush=True)


# --- identify ------------------------------------------------------------------------------------


def _identify(options: argparse.Namespace) -> int:
    from engine import magika

    return int(magika.command(options.files, options.tier, options.precision))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m engine",
        description="Runs whole models on this project's kernels.",
        epilog="Exit codes: 0 fine, 2 bad input, 130 interrupted.",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    write = commands.add_parser("write", help="go on with a text, by the model verse")
    write.set_defaults(command=_write)
    write.add_argument("prompt", help="1 to 256 bytes")
    write.add_argument("-n", type=int, default=200, help="bytes to write (200)")
    write.add_argument(
        "--temperature", type=float, default=0.8, help="0: always the likeliest byte (0.8)"
    )
    write.add_argument("--seed", type=int, default=1, help="the same makes the same text (1)")
    write.add_argument("--model", default="verse", help="a safetensors file of verse's kind")
    identify = commands.add_parser("identify", help="tell the types of files, by the model magika")
    identify.set_defaults(command=_identify)
    identify.add_argument("files", nargs="+", metavar="FILE")
    for command in (write, identify):
        command.add_argument(
            "--tier", help="of kernels_c, or loop or idiomatic: Python (the fastest here)"
        )
        command.add_argument("--precision", default="f32", choices=("f32", "i8"), help="(f32)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
