"""The tests on every CPython that is found here:

    python -m tests.pythons [TEST...]       default: what an interpreter can change

Each in an environment of its own with the newest versions of what is needed; what is built for one
interpreter is built beside what others have. INTERPRETERS names more of them, as it does for python
-m bench interpreters. Exit codes: 0 all pass, 1 some do not.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.interpreters.discovery import Interpreter, clean_environment, find
from tests.checkout import ROOT

TESTS = (
    "test_bench_relu.py", "test_bench_boundary.py", "tests/test_python_threads.py",
    "tests/test_native_bad_input.py", "tests/test_native_lifetime.py",
    "tests/test_native_threads.py",
    "tests/test_python_variants.py", "tests/test_runs.py", "tests/test_saving.py",
    "tests/test_suite.py", "tests/test_interpreter_description.py", "tests/test_hostile.py",
)  # fmt: skip
WANTED = ("3.10", "3.11", "3.12", "3.13", "3.14")


def passes(interpreter: Interpreter, tests: list[str]) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        uv, python = Path(sys.executable).with_name("uv"), Path(folder, "bin/python")
        steps = (
            [str(uv), "venv", "--quiet", "--python", str(interpreter.executable), folder],
            [str(uv), "pip", "install", "--quiet", "--python", str(python), "-e", ".[test]"],
            [str(python), "-m", "pytest", "-q", "--benchmark-disable", "--baremetal-quick",
             "-n", "2", "-p", "no:cacheprovider", *tests],
        )  # fmt: skip
        for step in steps:
            answer = subprocess.run(
                step, cwd=ROOT, env=clean_environment(), capture_output=True, text=True, check=False
            )
            if answer.returncode != 0:
                print((answer.stdout + answer.stderr)[-4000:])
                return False
        print(f"pythons: {interpreter.label}: {answer.stdout.splitlines()[-1]}", flush=True)
        return True


def main(tests: list[str]) -> int:
    found, _ = find()
    numbers = {".".join(str(one.info["version"]).split(".")[:2]) for one in found}
    absent = [number for number in WANTED if number not in numbers]
    if absent:
        print(
            f"pythons: not here: {', '.join(absent)}; get them with uv python install", flush=True
        )
    failed = [one.label for one in found if not passes(one, tests or list(TESTS))]
    if failed:
        print(f"pythons: tests fail on {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main(sys.argv[1:]))
