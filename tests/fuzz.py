"""Coverage-guided fuzzing, half of the time for either:

    python -m tests.fuzz [SECONDS]     a minute, if nothing is said

libFuzzer calls the native entries (entries.cpp), with the sanitizers, beside the plain loops;
Atheris the readers of files (hostile.py). An input that finds something stays in the current
folder; try it with `python -m tests.fuzz 0 FILE`, and keep it as a test.

Exit codes: 0 nothing found, 1 something was, 2 a tool is missing.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import build_ffi
from tests import sanitize
from tests.fenced import ROOT, TINY_CACHES

FLAGS = (*sanitize.ADDRESS, "-fsanitize=fuzzer", "-DFUZZER")
# An input takes milliseconds and a few MB.
LIMITS = ("-timeout=20", "-rss_limit_mb=4000", "-verbosity=0", "-print_final_stats=1")


def clang() -> str | None:
    """A Clang that has libFuzzer: CXX, or the newest that is found."""
    names = [os.environ.get("CXX", ""), "clang++", *(f"clang++-{n}" for n in range(30, 13, -1))]
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "x.cpp")
        source.write_text('extern "C" int LLVMFuzzerTestOneInput(char *, long) { return 0; }\n')
        for name in filter(shutil.which, names):
            command = [name, *FLAGS, str(source), "-o", str(source.with_suffix(""))]
            if subprocess.run(command, capture_output=True, check=False).returncode == 0:
                return name
    return None


def fuzz_native(seconds: int, files: Sequence[str]) -> bool:
    """Whether nothing is found. With the tiniest blocks, which reach every edge soonest."""
    tier = sanitize.DETECTORS["address"].tiers()[-1]
    environment = {**os.environ, "BAREMETAL_CACHES": TINY_CACHES[0]}
    with sanitize.compiled(tier, FLAGS) as program:
        said = _run([str(program), "-max_len=512", *_time(seconds, files)], environment)
    return _told(f"{tier}: every native entry", said)


def fuzz_readers(seconds: int, files: Sequence[str]) -> bool:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.hostile", "-max_len=64", *_time(seconds, files)]
    return _told("readers of files", _run(command, environment))


def _time(seconds: int, files: Sequence[str]) -> list[str]:
    return [*LIMITS, *(files or [f"-max_total_time={seconds}"])]


def _run(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, errors="replace", check=False
    )


def _told(what: str, answer: subprocess.CompletedProcess[str]) -> bool:
    lines = answer.stderr.splitlines()
    if answer.returncode != 0:
        print(f"fuzz: {what}: found, exit code {answer.returncode}\n" + "\n".join(lines[-60:]))
        return False
    tried = next((line.split()[-1] for line in lines if "number_of_executed_units" in line), "some")
    print(f"fuzz: {what}: {tried} inputs, nothing found", flush=True)
    return True


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("seconds", nargs="?", type=int, default=60)
    parser.add_argument("files", nargs="*", help="inputs that were found, instead")
    options = parser.parse_args(arguments)
    seconds, files = options.seconds, options.files
    compiler = clang()
    if compiler is None:
        print(
            "fuzz: no Clang with libFuzzer; install it (Debian, Ubuntu: apt-get install clang)",
            file=sys.stderr,
        )
        return 2
    if importlib.util.find_spec("atheris") is None:
        print("fuzz: no Atheris; install it: pip install -e '.[fuzz]'", file=sys.stderr)
        return 2
    os.environ["CXX"] = compiler
    build_ffi.compiler.cache_clear()
    build_ffi.compiler_version.cache_clear()
    clean = [fuzz(seconds // 2, files) for fuzz in (fuzz_native, fuzz_readers)]
    return 0 if all(clean) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
