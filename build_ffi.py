"""One header x N tiers -> N cffi API-mode extension modules, `kernels_c._<tier>`.

    python build_ffi.py                  build in place what is missing or out of date
    python build_ffi.py --force          build everything
    python build_ffi.py --tier avx2      only that tier (repeatable)
    python build_ffi.py --objects DIR    keep what modules are linked from, in DIR/TIER

CXX chooses the compiler (GCC or Clang); CXXFLAGS and LDFLAGS are appended to every tier's flags.
setup.py calls the same functions, so `pip install -e .` runs exactly these commands.

A module is out of date when anything that shaped it changed: its sources, the header, the flags,
the compiler, the Python ABI or cffi. All of that is hashed into the module itself (`build_info()`),
so there is no second file that could disagree with it. The same input makes the same bytes,
wherever the checkout lies; --objects is part of the input.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import repeat
from pathlib import Path
from typing import NamedTuple

from cffi import FFI
from cffi import __version__ as cffi_version
from cffi.recompiler import make_c_source

from kernels_c.module_file import is_source, why_damaged

ROOT = Path(__file__).resolve().parent
NATIVE = ROOT / "kernels_c"
HEADER = "kernels.h"
SHARED_SOURCES = ("cpu.cpp", "gpt.cpp")  # the CPU check and the decoder, in every tier


class BuildError(Exception):
    """What is missing, and the command that gets it: one line for the user."""


class Tier(NamedTuple):
    """A row of the table: a folder of sources and the flags they are compiled with."""

    folder: str
    gcc: str
    clang: str | None = None  # where they are not GCC's

    @property
    def instructions(self) -> str:
        """-m flags of what the build machine's compiler must know."""
        return " ".join(flag for flag in self.gcc.split() if flag.startswith("-m"))

    @property
    def openmp(self) -> bool:
        return "-fopenmp" in self.gcc


# The same for every tier, so that a row differs from the one above in what it says and nothing
# else. Without the alignments an unrelated function moves loops by 16 bytes and kernels by up to
# 69 %. Without -fno-gnu-unique two copies of a module in one process would share variables.
_CLANG = "-std=c++17 -fPIC -falign-functions=64 -falign-loops=64 "
_GCC = _CLANG + "-falign-jumps=32 -fno-gnu-unique "
# The compiler's own loops get what the oldest CPU with AVX2 has; elsewhere, what every CPU of the
# architecture has (on aarch64: NEON).
_IS_X86 = platform.machine().lower() in ("x86_64", "amd64")
_AVX2 = "-mavx2 -mfma"
_AVX512 = _AVX2 + " -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni"
_AUTOVEC = f"-O3 {_AVX2}" if _IS_X86 else "-O3"
_FAST = _AUTOVEC + " -ffast-math"
_HAND = f"-O3 {_AVX2} -mf16c -ffp-contract=off"  # an FMA where it is written, nowhere else
_WIDE = f"-O3 {_AVX512} -ffp-contract=off"  # the same text with wider registers

TIERS: dict[str, Tier] = {
    "debug": Tier("portable", "-O0"),
    "scalar": Tier(
        "portable",
        gcc="-O2 -fno-tree-vectorize -fno-tree-slp-vectorize",
        clang="-O2 -fno-vectorize -fno-slp-vectorize",
    ),
    "autovec": Tier("portable", _AUTOVEC),
    "fastmath": Tier("portable", _FAST, clang=_FAST + " -fveclib=libmvec" if _IS_X86 else None),
    "avx2": Tier("simd", _HAND),
    "avx2_omp": Tier("simd", _HAND + " -fopenmp"),
    "avx512": Tier("simd", _WIDE),
    "avx512_omp": Tier("simd", _WIDE + " -fopenmp"),
}


# --- What is on this machine --------------------------------------------------------------------


def split_variable(name: str) -> list[str]:
    """The words of an environment variable, as a shell would read them."""
    value = os.environ.get(name, "")
    try:
        return shlex.split(value)
    except ValueError as error:
        raise BuildError(f"{name}={value!r}: {error}") from None


@cache
def compiler() -> tuple[str, ...]:
    """The C++ compiler's command: CXX, else the first of g++, clang++, c++ that exists."""
    chosen = split_variable("CXX")
    if chosen:
        if shutil.which(chosen[0]) is None:
            raise BuildError(f"CXX={os.environ['CXX']!r}: there is no command {chosen[0]!r}")
        return tuple(chosen)
    for name in ("g++", "clang++", "c++"):
        if shutil.which(name):
            return (name,)
    raise BuildError(
        "no C++ compiler: g++ was not found; install one (Debian, Ubuntu: apt-get install g++; "
        "Fedora: dnf install gcc-c++; macOS: xcode-select --install) or name it in CXX"
    )


@cache
def compiler_version() -> str:
    """First line of `$CXX --version`."""
    command = [*compiler(), "--version"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise BuildError(
            f"{shlex.join(command)} failed ({error}); name a working C++ compiler in CXX"
        ) from None
    return answer.stdout.partition("\n")[0].strip()


def python_include() -> str:
    include = sysconfig.get_path("include")
    if not Path(include, "Python.h").is_file():
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise BuildError(
            f"no Python headers: {include} has no Python.h; install them (Debian, Ubuntu: apt-get "
            f"install python{version}-dev; Fedora: dnf install python3-devel)"
        )
    return include


def limited_api() -> bool:
    """Whether cffi can use the stable ABI: one module for every CPython from 3.10 on."""
    return not hasattr(sys, "gettotalrefcount") and not sysconfig.get_config_var("Py_GIL_DISABLED")


def module_suffix() -> str:
    if limited_api() and os.name == "posix":
        return ".abi3.so"
    return str(sysconfig.get_config_var("EXT_SUFFIX"))


@cache
def why_unbuildable(tier: str) -> str | None:
    """None, or one sentence saying what this machine lacks for the tier."""
    row = TIERS[tier]
    # Clang for another machine only warns of -mavx2.
    for_x86 = "#ifndef __x86_64__\n#error\n#endif\nint main() {}"
    if row.instructions and not compiles(row.instructions, for_x86):
        wanted = "AVX-512 VNNI" if row.instructions == _AVX512 else "AVX2"
        target = platform.machine()
        return f"it needs a compiler for x86-64 with {wanted}, and {compiler()[0]} targets {target}"
    if row.openmp and not compiles("-fopenmp", "#include <omp.h>\nint main() {}"):
        return (
            f"{compiler()[0]} has no OpenMP runtime; install it (GCC: libgomp comes with g++; "
            "Clang on Debian, Ubuntu: apt-get install libomp-dev)"
        )
    return None


@cache
def compiles(flags: str, program: str) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "probe.cpp")
        source.write_text(program)
        command = [*compiler(), *flags.split(), str(source), "-o", str(source.with_suffix(""))]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


# --- One tier ------------------------------------------------------------------------------------


def declared_in(header: Path) -> str:
    """What lies between the two markers of a declaring header."""
    text = header.read_text()
    match = re.search(r"// \[declarations\]\n(.*)// \[end of declarations\]", text, re.DOTALL)
    if match is None:
        raise BuildError(f"{header}: the [declarations] markers are gone; restore them")
    return match.group(1)


def declaring_headers(tier: str) -> list[Path]:
    """kernels.h, and those in the tier's folder that declare functions beyond those of every
    tier."""
    own = [path for path in tier_files(tier) if path.suffix == ".h"]
    return [NATIVE / HEADER, *(p for p in own if "// [declarations]\n" in p.read_text())]


def tier_files(tier: str) -> list[Path]:
    """The sources and headers in the tier's folder."""
    return sorted(filter(is_source, (NATIVE / TIERS[tier].folder).iterdir()))


def sources(tier: str) -> list[Path]:
    own = [path for path in tier_files(tier) if path.suffix == ".cpp"]
    return [NATIVE / name for name in SHARED_SOURCES] + own


def hashed_files(tier: str) -> dict[str, str]:
    """Every file that shapes the tier, relative to the project, with the hash of its content."""
    shared = [NATIVE / name for name in (HEADER, *SHARED_SOURCES)]
    files = [Path(__file__).resolve(), *shared, *tier_files(tier)]
    return {
        path.relative_to(ROOT).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def compile_flags(tier: str) -> list[str]:
    row, is_clang = TIERS[tier], "clang" in compiler_version().lower()
    flags = _CLANG + (row.clang or row.gcc) if is_clang else _GCC + row.gcc
    return flags.split() + split_variable("CXXFLAGS")


def link_flags(tier: str) -> list[str]:
    # -ffast-math must not come here: linking with it would make the whole process flush
    # subnormals to zero (GCC before 13 adds crtfastmath.o to shared objects).
    flags = ["-shared"]
    if sys.platform == "darwin":
        flags += ["-undefined", "dynamic_lookup"]
    else:
        # Addresses of functions elsewhere are looked up at once and can then not be overwritten;
        # nothing on the stack is ever run. The kernels' code stays what it is.
        flags += ["-Wl,-z,relro,-z,now,-z,noexecstack"]
    if TIERS[tier].openmp:
        # Its helpers run its code for as long as the process lives, whoever calls dlclose().
        flags += ["-fopenmp", "-Wl,-z,nodelete"]
    return flags + split_variable("LDFLAGS")


def build_facts(tier: str) -> dict[str, object]:
    """What build_info() of the module will say. `key` is the hash of all the rest."""
    metadata: dict[str, object] = {
        "tier": tier,
        "folder": TIERS[tier].folder,
        "compiler": compiler_version(),
        "command": list(compiler()),
        "flags": compile_flags(tier),
        "link_flags": link_flags(tier),
        "abi": module_suffix(),
        "cffi": cffi_version,
        "machine": platform.machine(),
        "files": hashed_files(tier),
    }
    text = json.dumps(metadata, sort_keys=True)
    return {**metadata, "key": hashlib.sha256(text.encode()).hexdigest()}


def write_wrapper(tier: str, folder: Path) -> Path:
    """The source that cffi makes of the headers' declarations, and build_info()."""
    name = f"kernels_c._{tier}"
    literal = json.dumps(json.dumps(build_facts(tier), sort_keys=True))
    headers = declaring_headers(tier)
    includes = "".join(f'#include "{header.relative_to(NATIVE)}"\n' for header in headers)
    build_info = f'extern "C" const char *build_info(void) {{\n    return {literal};\n}}\n'
    ffi = FFI()
    ffi.cdef("".join(map(declared_in, headers)))
    wrapper = folder / f"{name}.cpp"  # a name that ends up in the module
    make_c_source(ffi, name, includes + build_info, str(wrapper))
    return wrapper


def built_key(module: Path) -> str | None:
    """The key inside a built module, read without importing it; None where that cannot be read, or
    the module is damaged."""
    try:
        if not module.is_file() or why_damaged(module):
            return None
        found = re.search(rb'"key": "([0-9a-f]{64})"', module.read_bytes())
    except OSError:
        return None
    return found.group(1).decode() if found else None


def module_path(tier: str) -> Path:
    return NATIVE / f"_{tier}{module_suffix()}"


def is_current(tier: str, module: Path) -> bool:
    return built_key(module) == build_facts(tier)["key"]


def compile_module(tier: str, module: Path, keep: Path | None = None) -> None:
    """Compile a generated wrapper and the tier's sources into `module`, whole or not at all.

    All objects get the same flags: flags apply to a module, its generated wrapper included. Into
    `keep` go the objects and, as link.json, the words of the command that come before and after
    them: bench/gate links them again, each function elsewhere, so each gets a section of its own.
    """
    include = [f"-I{python_include()}", f"-I{NATIVE}"]
    if keep is not None:
        include.append("-ffunction-sections")
    if not limited_api():
        include.append("-D_CFFI_NO_LIMITED_API")
    module.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=module.parent, prefix=".build-") as folder:
        # Where this checkout and the wrapper lie is no part of a module: not in __FILE__, nor in
        # what CXXFLAGS=-g adds. The last that fits a path counts.
        nameless = [f"-ffile-prefix-map={place}=." for place in (Path.cwd(), ROOT, folder)]
        objects: list[str] = []
        for number, source in enumerate([write_wrapper(tier, Path(folder)), *sources(tier)]):
            objects.append(str(Path(folder, f"{number}-{source.stem}.o")))
            flags = [*compile_flags(tier), *include, *nameless]
            run([*compiler(), *flags, "-c", str(source), "-o", objects[-1]])
        finished = Path(folder, module.name)
        run([*compiler(), *objects, *link_flags(tier), *nameless, "-o", str(finished)])
        if keep is not None:
            keep.mkdir(parents=True, exist_ok=True)
            for item in objects:
                shutil.move(item, keep)
            words = {"before": list(compiler()), "after": link_flags(tier)}
            Path(keep, "link.json").write_text(json.dumps(words))
        os.replace(finished, module)


def run(command: list[str]) -> None:
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        raise BuildError(f"this command failed:\n{shlex.join(command)}\n{answer.stderr.rstrip()}")


# --- All tiers ------------------------------------------------------------------------------------


def buildable_tiers() -> list[str]:
    """The tiers that this machine can build; says aloud which it cannot, and why."""
    compiler_version()
    python_include()
    able: list[str] = []
    for tier in TIERS:
        reason = why_unbuildable(tier)
        if reason is None:
            able.append(tier)
        else:
            print(f"build_ffi: skipping tier {tier}: {reason}", file=sys.stderr)
    return able


def build_in_place(tier: str, objects: Path | None) -> float:
    """Build one tier into kernels_c; seconds it took."""
    started = time.perf_counter()
    compile_module(tier, module_path(tier), objects and objects / tier)
    return time.perf_counter() - started


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--force", action="store_true", help="build also what is up to date")
    parser.add_argument(
        "--tier", action="append", choices=list(TIERS), help="only this one (repeatable)"
    )
    parser.add_argument("--objects", type=Path, metavar="DIR", help="keep the object files here")
    options = parser.parse_args(arguments)
    try:
        wanted = [t for t in buildable_tiers() if options.tier is None or t in options.tier]
        stale = [t for t in wanted if options.force or not is_current(t, module_path(t))]
        print(f"{compiler_version()}: {len(stale)} of {len(wanted)} tiers to build", flush=True)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            finished = pool.map(build_in_place, stale, repeat(options.objects))
            for tier, seconds in zip(stale, finished, strict=True):
                print(f"  built {module_path(tier).relative_to(ROOT)}  {seconds:.1f} s", flush=True)
    except (BuildError, OSError) as error:
        print(f"build_ffi: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
