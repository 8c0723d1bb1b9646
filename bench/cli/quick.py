"""baremetal-ml, which is python -m bench quick: the smaller sizes of all benchmarks, measured now,
and their matrix; from a checkout or from what is installed."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import bench
import kernels_c
from bench.cli.arguments import add_command
from bench.cli.exits import interruptible, say
from bench.saved.checks import OK, Refusal
from bench.saved.writing import require_writable

# Of pyproject.toml, which is not there where the package is installed; the rest is the user's own.
_OPTIONS = (
    "--benchmark-only", "--benchmark-disable-gc", "--benchmark-max-time=0.3", "--benchmark-quiet",
    "--baremetal-quick", "-p", "no:cacheprovider", "-c", os.devnull,
)  # fmt: skip

_NONE_CHOSEN = 5  # pytest's exit code
# pytest ends with whoever has asked for it, also when that is killed.
_START = """
import sys
from bench.measure.timing.child import die_with_parent
die_with_parent(int(sys.argv.pop(1)))
import pytest
sys.exit(pytest.main(sys.argv[1:]))
"""


def add_commands(commands: Any) -> None:
    about = "measure the smaller sizes now, and print the matrix; under a minute"
    command = add_command(commands, _run, "quick", about)
    command.add_argument("-k", dest="expression", metavar="EXPR", help="benchmarks, as for pytest")
    command.add_argument("-o", "--output", type=Path, metavar="FILE", help="save the run as JSON")


def benchmarks() -> Path:
    """Where conftest.py and the benchmarks are: the checkout, or what setup.py packs."""
    return kernels_c.checkout() or Path(bench.__file__).resolve().parent / "benchmarks"


def _run(options: argparse.Namespace) -> int:
    folder = benchmarks()
    files = sorted(map(str, folder.glob("test_bench_*.py")))
    if not files:
        raise Refusal(f"{folder} holds no benchmarks; install the package again")
    if options.output is not None:
        require_writable(options.output)
    with tempfile.TemporaryDirectory(prefix="baremetal-ml-") as temporary, interruptible():
        saved = options.output or Path(temporary, "run.json")
        chosen = [] if options.expression is None else ["-k", options.expression]
        arguments = [f"--rootdir={folder}", f"--benchmark-json={saved.absolute()}", *chosen, *files]
        # Nothing is written beside what is installed, and no options of other projects count.
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
        environment["PYTHONPATH"] = os.pathsep.join(
            [str(Path(bench.__file__).resolve().parent.parent), os.environ.get("PYTHONPATH", "")]
        )
        start = [sys.executable, "-c", _START, str(os.getpid())]
        command = [*start, "-q", "--no-header", *_OPTIONS, *arguments]
        code = subprocess.run(command, cwd=temporary, env=environment, check=False).returncode
    if code == _NONE_CHOSEN:
        raise Refusal(f"-k: no benchmark is called {options.expression!r}")
    if code != OK:
        raise Refusal(f"quick: pytest ended with {code}; what it says above is why")
    if options.output is not None:
        say(f"saved: {options.output}")
    return OK
