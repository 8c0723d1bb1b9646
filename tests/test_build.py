"""Building: incremental, honest about what is missing, and never a stale module."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import build_ffi
import kernels_c
from tests.checkout import Checkout


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def wrapped_compiler(folder: Path, refused: str) -> str:
    """A compiler that knows everything the real one does but one flag."""
    script = folder / "g++-limited"
    compiler = " ".join(build_ffi.compiler())
    script.write_text(
        f'#!/bin/sh\ncase " $* " in *" {refused} "*) echo "no {refused} here" >&2; exit 1;; esac\n'
        f'exec {compiler} "$@"\n'
    )
    script.chmod(0o755)
    return str(script)


def test_the_two_lists_of_tiers_are_one() -> None:
    assert tuple(build_ffi.TIERS) == kernels_c.TIERS


def test_builds_nothing_when_nothing_changed(checkout: Checkout) -> None:
    assert checkout.build().returncode == 0
    again = checkout.build()
    assert ": 0 of " in again.stdout


def test_one_changed_source_rebuilds_its_tiers_only(checkout: Checkout) -> None:
    tiers = ("--tier", "scalar", "--tier", "avx2")
    assert ": 0 of 2 tiers" in checkout.build(*tiers).stdout
    path = checkout.folder / "kernels_c/portable/relu.cpp"
    path.write_text(path.read_text() + "\n// changed\n")
    built = checkout.build(*tiers).stdout
    assert ": 1 of 2 tiers" in built
    assert "_scalar." in built


def test_changed_flags_rebuild(checkout: Checkout) -> None:
    assert "_scalar" not in checkout.build("--tier", "scalar").stdout
    built = checkout.build("--tier", "scalar", CXXFLAGS="-DSOMETHING=1")
    assert "_scalar" in built.stdout
    flags = "import kernels_c; print(kernels_c.load_tier('scalar').build_info()['flags'])"
    assert "-DSOMETHING=1" in checkout.python("-c", flags).stdout


@pytest.mark.parametrize("file", ["kernels_c/kernels.h", "kernels_c/portable/relu.cpp"])
def test_a_stale_module_is_refused_with_one_line(checkout: Checkout, file: str) -> None:
    path = checkout.folder / file
    path.write_text(path.read_text() + "\n// changed\n")
    loaded = checkout.python("-c", "import kernels_c; kernels_c.load_tier('scalar')")
    assert loaded.returncode != 0
    last_line = loaded.stderr.splitlines()[-1]
    assert file in last_line
    assert "python build_ffi.py" in last_line


@pytest.mark.parametrize("name", ["relu.cpp~", ".relu.cpp.swp", "relu.cpp.orig", ".#relu.cpp"])
def test_what_an_editor_leaves_makes_nothing_stale(checkout: Checkout, name: str) -> None:
    (checkout.folder / "kernels_c/portable" / name).write_text("half a thought")
    assert ": 0 of " in checkout.build("--tier", "scalar").stdout
    why = checkout.python("-c", "import kernels_c; print(kernels_c.why_unavailable('scalar'))")
    assert why.stdout.strip() == "None"


@pytest.mark.parametrize("name", ["more.cpp", "more.h"])
def test_a_new_source_makes_its_tiers_stale(checkout: Checkout, name: str) -> None:
    (checkout.folder / "kernels_c/portable" / name).write_text("// more\n")
    why = checkout.python("-c", "import kernels_c; print(kernels_c.why_unavailable('scalar'))")
    assert f"kernels_c/portable/{name}" in why.stdout


def test_a_module_that_is_cut_short_is_refused_wherever_it_ends(tmp_path: Path) -> None:
    """Loaded, it would kill the process. Its hash may still be there to be read."""
    checkout = Checkout(tmp_path)
    module = checkout.folder / "kernels_c" / build_ffi.module_path("debug").name
    content = module.read_bytes()
    whole = len(content)
    lengths = [1, 10, 63, 64, 500, *range(1000, whole, whole // 20), whole - 64, whole - 1]
    assert build_ffi.built_key(module)
    for length in lengths:
        module.write_bytes(content[:length])
        assert build_ffi.built_key(module) is None
    reasons = checkout.python(
        "-c",
        "import sys, pathlib, kernels_c\n"
        "module = pathlib.Path(sys.argv[1])\n"
        "content = pathlib.Path(sys.argv[2]).read_bytes()\n"
        "for length in map(int, sys.argv[3:]):\n"
        "    module.write_bytes(content[:length])\n"
        "    print(kernels_c.why_unavailable('debug'))\n",
        str(module), str(build_ffi.module_path("debug")), *map(str, lengths),
    )  # fmt: skip
    assert reasons.returncode == 0, reasons.stderr
    for length, reason in zip(lengths, reasons.stdout.splitlines(), strict=True):
        expected = f"tier debug is damaged: {module.name} ends after {length} of "
        assert reason.startswith(expected) or length < 10, reason
        assert reason.endswith("run: python build_ffi.py") or length < 10, reason
    assert module.stat().st_size == whole - 1
    assert "built" in checkout.build("--tier", "debug").stdout
    assert module.read_bytes() == content


def elsewhere(module: Path) -> None:
    module.unlink()
    module.symlink_to("nowhere")


def unreadable(module: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    module.chmod(0)


BROKEN: dict[str, Callable[[Path], object]] = {
    "empty": lambda module: module.write_bytes(b""),
    "text": lambda module: module.write_text("not a module\n"),
    "zeros": lambda module: module.write_bytes(bytes(module.stat().st_size)),
    "another-class": lambda module: module.write_bytes(b"\x7fELF\x01" + bytes(200)),
    "dangling-link": elsewhere,
    "unreadable": unreadable,
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_no_module_is_refused_and_out_of_date(checkout: Checkout, kind: str) -> None:
    module = checkout.folder / "kernels_c" / build_ffi.module_path("debug").name
    BROKEN[kind](module)
    assert build_ffi.built_key(module) is None
    why = checkout.python("-c", "import kernels_c; print(kernels_c.why_unavailable('debug'))")
    (reason,) = why.stdout.splitlines()
    assert reason.startswith("tier debug ")
    assert "run: python build_ffi.py" in reason


def test_where_no_code_may_run_nobody_is_told_to_build_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What glibc's loader says on a file system that is mounted noexec."""

    def refused(name: str) -> None:
        raise ImportError("/x/_debug.abi3.so: failed to map segment from shared object")

    monkeypatch.setattr(importlib, "import_module", refused)
    with pytest.raises(kernels_c.TierUnavailable, match=r"must let code run: .* noexec") as told:
        kernels_c._import_module("debug")
    assert "build_ffi" not in str(told.value)


def test_a_folder_in_a_module_s_place_is_named(checkout: Checkout) -> None:
    module = checkout.folder / "kernels_c" / build_ffi.module_path("debug").name
    module.unlink()
    module.mkdir()
    answer = checkout.build("--tier", "debug")
    assert answer.returncode == 2
    assert answer.stderr.startswith("build_ffi: ")
    assert module.name in answer.stderr
    assert len(answer.stderr.splitlines()) == 1


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_the_same_input_makes_the_same_bytes(tmp_path: Path, compiler: str) -> None:
    """In whatever folder the sources lie, build_ffi.py's way and setuptools'; even where the flags
    have paths in them."""
    if not shutil.which(compiler):
        pytest.skip(f"{compiler} is not installed")
    pytest.importorskip("setuptools")
    environment = {"CXX": compiler, "CXXFLAGS": "-g"}
    one = Checkout(tmp_path, with_modules=False)
    assert one.build("--tier", "debug", **environment).returncode == 0
    other = Checkout(tmp_path / "else/where", with_modules=False)
    (other.folder / "pyproject.toml").unlink()  # older releases of setuptools do not take it
    setup = (
        "import build_ffi, runpy, sys\n"
        "build_ffi.buildable_tiers = lambda: ['debug']\n"
        "sys.argv[:] = ['setup.py', '-q', 'build_ext', '--build-lib', 'built']\n"
        "runpy.run_path('setup.py')\n"
    )
    answer = other.python("-c", setup, **environment)
    assert answer.returncode == 0, answer.stderr
    name = build_ffi.module_path("debug").name
    first, second = (
        (folder / "kernels_c" / name).read_bytes()
        for folder in (one.folder, other.folder / "built")
    )
    assert str(tmp_path).encode() not in first
    assert first == second


def test_benchmarks_do_not_start_on_a_stale_module(checkout: Checkout) -> None:
    path = checkout.folder / "kernels_c/portable/relu.cpp"
    path.write_text(path.read_text() + "\n// changed\n")
    run = checkout.pytest("test_bench_relu.py", "--benchmark-disable", "-k", "scalar-100]")
    assert run.returncode == 2
    assert "kernels_c/portable/relu.cpp" in run.stdout + run.stderr
    python = checkout.pytest("test_bench_relu.py", "--benchmark-disable", "-k", "py-loop-100]")
    assert python.returncode == 0


def test_benchmarks_do_not_start_without_any_module(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path, with_modules=False)
    run = checkout.pytest("test_bench_relu.py", "--benchmark-disable")
    assert run.returncode == 2
    assert "run: python build_ffi.py" in run.stdout + run.stderr


def test_a_tier_that_is_not_there_is_skipped_with_the_reason(checkout: Checkout) -> None:
    (checkout.folder / "kernels_c" / build_ffi.module_path("avx2_omp").name).unlink()
    chosen = ("-k", "100] and not avx512")  # whose CPU this one need not be
    run = checkout.pytest("test_bench_relu.py", "--benchmark-disable", "-rs", *chosen)
    assert run.returncode == 0
    assert "1 skipped" in run.stdout
    assert "tier avx2_omp is not built" in run.stdout


def test_an_unbuilt_tier_says_so(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path, with_modules=False)
    why = checkout.python("-c", "import kernels_c; print(kernels_c.why_unavailable('scalar'))")
    assert why.stdout.strip() == "tier scalar is not built; run: python build_ffi.py"


def test_a_missing_compiler_is_named(checkout: Checkout) -> None:
    answer = checkout.build(CXX="no-such-compiler++")
    assert answer.returncode == 2
    assert answer.stderr.strip() == (
        "build_ffi: CXX='no-such-compiler++': there is no command 'no-such-compiler++'"
    )


def test_no_compiler_at_all_names_the_package(checkout: Checkout) -> None:
    answer = checkout.build(PATH="/nonexistent", CXX="")
    assert answer.returncode == 2
    assert "apt-get install g++" in answer.stderr
    assert len(answer.stderr.strip().splitlines()) == 1


def test_missing_python_headers_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(build_ffi.sysconfig, "get_path", lambda name: str(tmp_path))
    with pytest.raises(build_ffi.BuildError, match=r"no Python headers: .*apt-get install python3"):
        build_ffi.python_include()


def test_a_compiler_without_avx2_still_builds_the_portable_tiers(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path, with_modules=False)
    answer = checkout.build(CXX=wrapped_compiler(tmp_path, "-mavx2"))
    assert answer.returncode == 0
    for tier in ("autovec", "fastmath", "avx2", "avx2_omp"):
        assert f"skipping tier {tier}: it needs a compiler for x86-64 with AVX2" in answer.stderr
    code = (
        "import kernels_c; print([t for t in kernels_c.TIERS if not kernels_c.why_unavailable(t)])"
    )
    assert checkout.python("-c", code).stdout.strip() == "['debug', 'scalar']"


def test_a_compiler_without_openmp_builds_the_rest(tmp_path: Path) -> None:
    tiers = ("--tier", "avx2", "--tier", "avx2_omp")
    limited = wrapped_compiler(tmp_path, "-fopenmp")
    answer = Checkout(tmp_path).build(*tiers, CXX=limited, CXXFLAGS="-O0")
    assert answer.returncode == 0
    assert "skipping tier avx2_omp" in answer.stderr
    assert "libomp-dev" in answer.stderr
    assert "_avx2" in answer.stdout


def test_a_compile_error_keeps_the_old_module(checkout: Checkout) -> None:
    module = checkout.folder / "kernels_c" / build_ffi.module_path("scalar").name
    before = module.read_bytes()
    checkout.replace("kernels_c/portable/relu.cpp", "for (size_t i", "for (nonsense i")
    answer = checkout.build("--tier", "scalar")
    assert answer.returncode == 2
    assert "nonsense" in answer.stderr
    assert module.read_bytes() == before
    assert not list((checkout.folder / "kernels_c").glob(".build-*"))


@pytest.mark.skipif(not shutil.which("clang++"), reason="clang++ is not installed")
def test_clang_builds_and_its_kernels_pass_the_edge_cases(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path, with_modules=False)
    assert checkout.build(CXX="clang++").returncode == 0
    run = checkout.pytest("--benchmark-disable", "--quick", "-q", "-k", "c- and not test_native")
    assert run.returncode == 0, run.stdout


def test_a_cpu_without_avx2_never_imports_those_modules(tmp_path: Path) -> None:
    code = (
        "import sys, kernels_c\n"
        "kernels_c._missing_instructions = lambda tier: 'AVX2 and FMA'\n"
        "for tier in kernels_c.TIERS: print(kernels_c.why_unavailable(tier))\n"
        "modules = {m.split('.')[1] for m in sys.modules if m.startswith('kernels_c._')}\n"
        "print(sorted(modules))\n"
    )
    lines = Checkout(tmp_path).python("-c", code).stdout.splitlines()
    reason = "needs AVX2 and FMA, which this CPU does not have"
    assert lines[:2] == ["None", "None"]
    assert all(reason in line for line in lines[2:-1])
    assert lines[-1] == "['_debug', '_scalar']"


def test_an_unknown_tier_is_answered_with_the_names() -> None:
    with pytest.raises(kernels_c.TierUnavailable, match="there is no tier 'sse9'; the tiers are"):
        kernels_c.load_tier("sse9")


def test_every_module_tells_what_it_was_built_with(tier: kernels_c.Tier) -> None:
    info = tier.build_info()
    assert info["tier"] == tier.name
    assert info["compiler"]
    assert {"build_ffi.py", "kernels_c/kernels.h"} <= set(info["files"])
    expected = build_ffi.TIERS[tier.name].gcc.split()[0]
    assert expected in info["flags"]


def test_fast_math_never_reaches_the_linker() -> None:
    """It would switch the whole process to flushing subnormals."""
    assert not any("fast-math" in flag for t in build_ffi.TIERS for flag in build_ffi.link_flags(t))


@pytest.mark.parametrize("tier", build_ffi.TIERS)
def test_a_module_is_hardened(tier: str) -> None:
    """No lazy binding, no stack that runs, no relocated text, no path to libraries of its own."""
    module = build_ffi.module_path(tier)
    if not module.is_file() or shutil.which("readelf") is None:
        pytest.skip("not built, or no readelf (Debian, Ubuntu: apt-get install binutils)")
    command = ["readelf", "-W", "-l", "-d", str(module)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "GNU_RELRO" in said
    assert "BIND_NOW" in said or "NOW" in said.partition("FLAGS_1")[2].partition("\n")[0]
    (stack,) = (line for line in said.splitlines() if "GNU_STACK" in line)
    assert stack.split()[-2] == "RW"
    assert "TEXTREL" not in said
    assert "RPATH" not in said
    assert "RUNPATH" not in said
