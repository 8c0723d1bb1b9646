"""The parts of models with GCC's or Clang's address and undefined-behaviour sanitizers:

    python -m tests.sanitize [TIER]

Compiles a tier's sources and sanitize.cpp, runs that, and prints what is found. Exit code 1:
something. The products of matrices are left out: they take long to compile, and have fences.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import build_ffi

SOURCE = Path(__file__).with_suffix(".cpp")
FLAGS = (
    "-g",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
    "-fno-omit-frame-pointer",
)
_ASIDE = ("matmul", "gelu_erf")  # beginnings of names


@cache
def why_unavailable() -> str | None:
    """None, or why nothing can be sanitized here."""
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder, "x.cpp"), Path(folder, "x")
        source.write_text("int main() { return 0; }\n")
        command = [*build_ffi.compiler(), *FLAGS, str(source), "-o", str(program)]
        for step in (command, [str(program)]):
            answer = subprocess.run(step, capture_output=True, text=True, check=False)
            if answer.returncode != 0:
                said = (answer.stderr.strip().splitlines() or ["it fails"])[-1]
                return f"{build_ffi.compiler()[0]} has no sanitizers here: {said}"
    return None


def sources(tier: str) -> list[Path]:
    folder = build_ffi.NATIVE / build_ffi.TIERS[tier].folder
    return [p for p in sorted(folder.glob("*.cpp")) if not p.name.startswith(_ASIDE)]


def run(tier: str, *more: str) -> str:
    """What the sanitizers say of a tier's sources; `more` are flags of the compiler. Raises
    build_ffi.BuildError."""
    row = build_ffi.TIERS[tier]
    # As the tier is compiled, but for the optimiser, which would take minutes.
    own = [flag for flag in row.gcc.split() if not flag.startswith(("-O", "-fno-tree"))]
    include = f"-I{build_ffi.NATIVE}"
    flags = ["-std=c++17", "-O1", *own, *FLAGS, include, f"-I{build_ffi.NATIVE / row.folder}"]
    with tempfile.TemporaryDirectory() as folder:
        objects: list[str] = []

        def compiled(source: Path) -> str:
            to = str(Path(folder, source.stem + ".o"))
            command = [*build_ffi.compiler(), *flags, *more, "-c", str(source), "-o", to]
            build_ffi.run(command)
            return to

        with ThreadPoolExecutor(2) as pool:
            objects += pool.map(compiled, [SOURCE, *sources(tier)])
        program = str(Path(folder, "sanitized"))
        build_ffi.run([*build_ffi.compiler(), *flags, *objects, "-o", program])
        answer = subprocess.run([program], capture_output=True, text=True, check=False)
        ended = "" if answer.returncode == 0 else f"exit code {answer.returncode}\n"
        return ended + answer.stderr


def main(arguments: list[str]) -> int:
    tier = arguments[0] if arguments else "avx2"
    reason = why_unavailable() or build_ffi.why_unbuildable(tier)
    if reason:
        print(f"sanitize: {reason}", file=sys.stderr)
        return 2
    found = run(tier)
    print(found or f"{tier}: nothing found")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
