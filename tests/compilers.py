"""Every compiler that is found, from GCC 11 and Clang 14 on:

    python -m tests.compilers [COMPILER...]

With each: the sources of every tier compile without a warning; the tiers are built, as they are and
in the ways that users build (their CPU's own instructions, link-time optimisation, ccache); and the
tests of accuracy, bounds and edges pass on what was built. Exit codes: 0 all is well, 1 something
is not, 2 there is no compiler.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.checkout import Checkout

OLDEST = {"g++": 11, "clang++": 14}
NEWEST = 30
WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wno-psabi", "-Werror")
TESTS = ("tests/test_native_accuracy.py", "tests/test_native_products.py")
WAYS: dict[str, dict[str, str]] = {
    "-march=native": {"CXXFLAGS": "-march=native"},
    "-flto": {"CXXFLAGS": "-flto", "LDFLAGS": "-flto"},
}
_SYNTAX = """
import build_ffi, subprocess, sys
from concurrent.futures import ThreadPoolExecutor
def said(job):
    tier, source = job
    flags = [*build_ffi.compile_flags(tier), *sys.argv[1:], "-fsyntax-only"]
    command = [*build_ffi.compiler(), *flags, f"-I{build_ffi.NATIVE}", str(source)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    return answer.stderr if answer.returncode else ""
tiers = ("scalar", "avx2", "avx2_omp", "avx512_omp")
jobs = [(t, s) for t in tiers if not build_ffi.why_unbuildable(t) for s in build_ffi.sources(t)]
with ThreadPoolExecutor(2) as pool:
    sys.exit("".join(pool.map(said, jobs))[:3000] or 0)
"""


def found() -> Iterator[str]:
    for name, oldest in OLDEST.items():
        numbered = [f"{name}-{n}" for n in range(oldest, NEWEST) if shutil.which(f"{name}-{n}")]
        yield from numbered or filter(shutil.which, [name])


def _said(answer: subprocess.CompletedProcess[str]) -> str:
    return "" if answer.returncode == 0 else (answer.stdout + answer.stderr)[-3000:]


def problems(compiler: str, folder: Path) -> Iterator[str]:
    """What is wrong; nothing, where all is well."""
    checkout = Checkout(folder, with_modules=False)
    yield _said(checkout.python("-c", _SYNTAX, *WARNINGS, CXX=compiler))
    for name, way in WAYS.items():
        built = _said(checkout.build("--tier", "scalar", "--tier", "avx2", CXX=compiler, **way))
        yield built and f"{name}: {built}"
        loaded = checkout.python("-c", "import kernels_c; kernels_c.load_tier('scalar')")
        yield _said(loaded)
    if shutil.which("ccache"):
        yield _said(checkout.build("--tier", "scalar", CXX=f"ccache {compiler}"))
    yield _said(checkout.build(CXX=compiler))
    quick = ["-q", "-p", "no:cacheprovider", "-n", "2", *TESTS]
    yield _said(checkout.python("-m", "pytest", *quick, CXX=compiler))


def main(names: list[str]) -> int:
    compilers = names or list(found())
    if not compilers:
        print("compilers: none; install one (Debian, Ubuntu: apt-get install g++)", file=sys.stderr)
        return 2
    bad = 0
    for compiler in compilers:
        with tempfile.TemporaryDirectory() as folder:
            wrong = [text for text in problems(compiler, Path(folder)) if text]
        print(f"compilers: {compiler}: {wrong[0] if wrong else 'all is well'}", flush=True)
        bad += bool(wrong)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
