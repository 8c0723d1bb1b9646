"""Every native entry under what finds mistakes of memory, of arithmetic and between threads:

    python -m tests.sanitize                 each tier that runs here; some minutes

entries.cpp draws what it calls the kernels with. It is compiled with a tier's sources and

    address    GCC's or Clang's AddressSanitizer and UndefinedBehaviorSanitizer
    thread     ThreadSanitizer: the tiers with threads, three callers at once, six threads each
    memcheck   nothing, and run by valgrind, which also sees what was never written

and must end in silence. Then the tests of the native side and of the engine run on modules that
were built with the first. Exit codes: 0 nothing found, 1 something was, 2 a tool is missing.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import NamedTuple

import build_ffi
import kernels_c
from tests.checkout import Checkout
from tests.fenced import TINY_CACHES

SOURCE = Path(__file__).with_name("entries.cpp")
ADDRESS = (
    "-g1",
    "-fsanitize=address,undefined,float-cast-overflow",
    "-fno-sanitize-recover=all",
    "-fno-omit-frame-pointer",
)
# CPython itself never frees all of its memory; and tests of fences see who is killed by them.
OPTIONS = {"ASAN_OPTIONS": "detect_leaks=0:handle_segv=0"}


class Detector(NamedTuple):
    flags: tuple[str, ...]
    inputs: int  # of a caller, in a long run
    finds: tuple[str, ...]  # of what entries.cpp can plant
    callers: int = 1
    command: tuple[str, ...] = ()

    def tiers(self) -> list[str]:
        """Those that run here and have anything for it to see."""
        there = [t for t in kernels_c.TIERS if kernels_c.why_unavailable(t) is None]
        if self.callers > 1:
            return [t for t in there if t.endswith("_omp")]
        if self.command:  # valgrind 3.19 knows AVX2
            there = [t for t in there if not t.startswith("avx512")]
        # fastmath may do as it likes with infinity and NaN; debug is scalar without the optimiser.
        return [t for t in there if t not in ("debug", "fastmath") and not t.endswith("_omp")]


DETECTORS = {
    "address": Detector(ADDRESS, 20_000, ("stray-read", "wrong-result")),
    "thread": Detector(("-g1", "-fsanitize=thread", "-DTHREADS"), 1500, ("race",), callers=3),
    "memcheck": Detector(
        ("-g1",),
        600,
        ("stray-read", "never-written"),
        command=("valgrind", "--quiet", "--error-exitcode=9"),
    ),
}


@cache
def why_unavailable(name: str) -> str | None:
    """None, or why nothing can be found that way here."""
    detector = DETECTORS[name]
    for tool in detector.command[:1]:
        if shutil.which(tool) is None:
            return f"no {tool}; install it (Debian, Ubuntu: apt-get install {tool})"
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder, "x.cpp"), Path(folder, "x")
        source.write_text("int main() { return 0; }\n")
        command = [*build_ffi.compiler(), *detector.flags, str(source), "-o", str(program)]
        for step in (command, [*detector.command, str(program)]):
            answer = subprocess.run(step, capture_output=True, text=True, check=False)
            if answer.returncode != 0:
                said = (answer.stderr.strip().splitlines() or ["it fails"])[-1]
                return f"{build_ffi.compiler()[0]} has no {name} sanitizer here: {said}"
    return None


# --- The program ----------------------------------------------------------------------------------


def write_plain(folder: Path) -> str:
    """plain.h: what portable/ declares, plain_ before each name; and flags that rename so what it
    defines."""
    headers = build_ffi.declaring_headers("scalar")
    declared = "".join(map(build_ffi.declared_in, headers))
    functions = re.findall(r"^\w[\w *]*?(\w+)\(", declared, re.MULTILINE)
    text = re.sub(r"typedef struct.*?\} \w+;|enum \{.*?\};", "", declared, flags=re.DOTALL)
    for function in functions:
        text = re.sub(rf"\b{function}\(", f"plain_{function}(", text)
    Path(folder, "plain.h").write_text(f'extern "C" {{\n{text}}}\n')
    return " ".join(f"-D{function}=plain_{function}" for function in functions)


@contextmanager
def compiled(
    tier: str, flags: Sequence[str], compiler: Sequence[str] | None = None
) -> Iterator[Path]:
    """entries.cpp with the tier's sources and, for comparison, those of the plain loops. Raises
    build_ffi.BuildError."""
    compiler = compiler or build_ffi.compiler()
    row = build_ffi.TIERS[tier]
    # As the tier is compiled, but for the optimiser, which would take minutes.
    own = [flag for flag in row.gcc.split() if not flag.startswith(("-O", "-fno-tree"))]
    simd = ["-DSIMD"] if row.folder == "simd" else []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        renamed = write_plain(folder).split()
        include = [f"-I{build_ffi.NATIVE}", f"-I{folder}"]
        command = [*compiler, "-std=c++17", "-O1", *include, *flags]

        def built(part: tuple[Path, list[str]]) -> str:
            source, more = part
            to = folder / f"{source.stem}-{len(more)}.o"
            build_ffi.run([*command, *more, "-c", str(source), "-o", str(to)])
            return str(to)

        portable = (build_ffi.NATIVE / "portable").glob("*.cpp")
        parts = [(SOURCE, [*own, *simd])]
        parts += [(path, own) for path in build_ffi.sources(tier)]
        parts += [(path, renamed) for path in sorted(portable)]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            objects = list(pool.map(built, parts))
        program = folder / "entries"
        build_ffi.run([*command, *own, *objects, "-pthread", "-o", str(program)])
        yield program


def said_by(detector: Detector, program: Path, *arguments: str, caches: str = "") -> str:
    """What is found while the program runs; nothing, if all is well."""
    answer = subprocess.run(
        [*detector.command, str(program), *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "6", "BAREMETAL_CACHES": caches},
        capture_output=True,
        text=True,
        check=False,
    )
    return answer.stderr + (f"exit code {answer.returncode}\n" if answer.returncode else "")


def run(name: str, tier: str, inputs: int) -> str:
    """What the detector says of a tier, in blocks for this machine's caches and for tiny ones."""
    detector = DETECTORS[name]
    settings = ("", *TINY_CACHES) if build_ffi.TIERS[tier].folder == "simd" else ("",)
    counts = (str(inputs), str(detector.callers))
    with compiled(tier, detector.flags) as program:
        return "".join(said_by(detector, program, *counts, caches=caches) for caches in settings)


def run_tests(tests: Sequence[str]) -> bool:
    """Whether the tests pass on modules that are built with the first detector. Not on fastmath:
    without the whole optimiser its sums are others. And without what leaves no room for memory."""
    flags = " ".join(ADDRESS)
    with tempfile.TemporaryDirectory() as folder:
        checkout = Checkout(Path(folder), with_modules=False)
        there = [t for t in kernels_c.TIERS if kernels_c.why_unavailable(t) is None]
        tiers = [f"--tier={t}" for t in there if t != "fastmath"]
        built = checkout.build(*tiers, CXXFLAGS=f"-O1 {flags}", LDFLAGS=flags)
        if built.returncode != 0:
            raise build_ffi.BuildError(built.stderr)
        runtime = "asan" if "clang" not in build_ffi.compiler_version() else "clang_rt.asan-x86_64"
        ask = [*build_ffi.compiler(), f"-print-file-name=lib{runtime}.so"]
        library = subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip()
        answer = checkout.python(
            "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n2", "-k", "not starved", *tests,
            LD_PRELOAD=library, **OPTIONS,
        )  # fmt: skip
        print(answer.stdout[-5000:] if answer.returncode else answer.stdout.splitlines()[-1])
        return answer.returncode == 0


NATIVE_TESTS = ("tests/test_native_*.py", "tests/test_engine_*.py")


def main() -> int:
    found = False
    for name, detector in DETECTORS.items():
        reason = why_unavailable(name)
        if reason:
            print(f"sanitize: {reason}", file=sys.stderr)
            return 2
        for tier in detector.tiers():
            said = run(name, tier, detector.inputs)
            print(f"sanitize: {name}, {tier}: {said or 'nothing found'}", flush=True)
            found = found or bool(said)
    tests = [str(p) for pattern in NATIVE_TESTS for p in sorted(Path().glob(pattern))]
    return 1 if not run_tests(tests) or found else 0


if __name__ == "__main__":
    sys.exit(main())
