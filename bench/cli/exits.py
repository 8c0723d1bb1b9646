"""The one place that decides exit codes: nothing but a regression ends with 1, whatever else goes
wrong. Imports nothing that could be missing."""

from __future__ import annotations

import contextlib
import io
import os
import select
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from signal import SIGHUP, SIGINT, SIGTERM

from bench.saved.checks import BAD_INPUT, OK, Refusal, one_line


def exit_code(command: Callable[[], int]) -> int:
    """What the process ends with: what the command returns, or what its failure means. Says the
    failure in one line; a fault of this suite with its traceback. SystemExit for bad arguments
    passes through."""
    if sys.stderr is None:  # closed; print would take standard output in its place
        sys.stderr = io.StringIO()
    try:
        code = int(command())
    except SystemExit as end:
        if end.code in (None, OK, BAD_INPUT):  # argparse
            raise
        code = refuse(end)
    except BrokenPipeError as error:
        code = OK if _reader_has_gone() else refuse(error)
    except BaseException as error:  # some libraries' own are no Exception
        code = refuse(error)
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except BrokenPipeError:
        pass
    except OSError as error:
        code = refuse(OSError(error.errno, error.strerror, "standard output"))
    # What is left in the buffer cannot go anywhere, and Python would try again at its end.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _reader_has_gone() -> bool:
    """Whether it is standard output's pipe whose reader has seen enough; any other, as of a gate's
    --summary, is a file that was not written."""
    ends = select.poll()
    with contextlib.suppress(OSError, TypeError):  # closed, or not the system's
        ends.register(sys.stdout, 0)  # asked for nothing it still tells of errors
    return bool(ends.poll(0))


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Being asked to end is like Ctrl-C: what was begun is cleared away, and being asked again does
    not keep it from that. Signals that nohup or a shell has switched off stay so."""
    before = {name: signal.getsignal(name) for name in (SIGINT, SIGTERM, SIGHUP)}
    heeded = [name for name in before if before[name] is not signal.SIG_IGN]

    def interrupt(*_: object) -> None:
        for name in heeded:
            signal.signal(name, signal.SIG_IGN)
        raise KeyboardInterrupt

    for name in heeded:
        signal.signal(name, interrupt)
    try:
        yield
    finally:
        for name in heeded:
            signal.signal(name, before[name])


def refuse(error: BaseException) -> int:
    """Says in one line why nothing came of a command. The exit code."""
    code, reason = BAD_INPUT, str(error)
    if isinstance(error, Refusal):
        code = error.exit_code
    elif isinstance(error, KeyboardInterrupt):
        reason = "interrupted; nothing was saved"
    elif isinstance(error, MemoryError):
        reason = "not enough memory"
    elif isinstance(error, ImportError):
        reason = f"{error}; install the suite anew: pip install -e ."
    elif isinstance(error, OSError):
        reason = f"{error.filename}: " if error.filename else ""
        reason += error.strerror or str(error)
    else:
        reason = f"a fault of this suite, not of what it was given: {error!r}"
        with contextlib.suppress(OSError):
            traceback.print_exception(error)
    say(f"bench: {reason}")
    return code


def say(line: str) -> None:
    """A line beside what a command prints. Where nobody can read it, the command goes on."""
    with contextlib.suppress(OSError):
        print(one_line(line), file=sys.stderr, flush=True)
