"""The team of threads of the *_omp tiers, with more threads than this machine has cores: results,
calls at the same time, forks, too few threads, floating-point state, signals, the end of the
process. No test depends on how long anything takes; what hangs is ended and fails."""

from __future__ import annotations

import ctypes
import hashlib
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

import build_ffi
import kernels_c
from tests.fenced import run_child

Team = Callable[[int], dict[str, str]]


@pytest.fixture(params=["avx2_omp", "avx512_omp"])
def threaded(request: pytest.FixtureRequest) -> str:
    reason = kernels_c.why_unavailable(request.param)
    if reason:
        pytest.skip(reason)
    return str(request.param)


def test_results_do_not_depend_on_the_number_of_threads(threaded: str, team_of: Team) -> None:
    """200 threads, and a machine that counts 256 cores. One thread takes other ways through
    softmax, so its digest may be another."""
    run_child("tests.threads_child", threaded, "results", **team_of(1))
    digests = {
        run_child("tests.threads_child", threaded, "results", **team_of(threads))
        for threads in (2, 5, 200)
    }
    assert len(digests) == 1


@pytest.mark.parametrize("threads", [2, 40])
@pytest.mark.parametrize(
    "run",
    [
        "callers", "fork", "fork_while_busy", "pool", "starved", "float_states", "traps", "signals",
    ],
)  # fmt: skip
def test_the_team_works(threaded: str, run: str, threads: int, team_of: Team) -> None:
    """Each run says in threads_child.py what it does."""
    run_child("tests.threads_child", threaded, run, **team_of(threads))


@pytest.fixture(scope="module")
def team_library(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The team, and team.cpp, which looks at its threads."""
    reason = build_ffi.why_unbuildable("avx2_omp")
    if reason:
        pytest.skip(reason)
    sources = [str(Path(__file__).with_name("team.cpp")), "kernels_c/simd/parallel.cpp"]
    library = tmp_path_factory.mktemp("team") / "team.so"
    flags = ["-std=c++17", "-O2", "-fPIC", "-fopenmp", "-Ikernels_c/simd"]
    linked = [*sources, *build_ffi.link_flags("avx2_omp"), "-o", str(library)]
    build_ffi.run([*build_ffi.compiler(), *flags, *linked])
    return str(library)


@pytest.mark.parametrize("run", ["state", "exceptions", "many_pieces", "closed"])
def test_a_team_by_itself(team_library: str, run: str) -> None:
    """Each run says in team_child.py what it does."""
    run_child("tests.team_child", team_library, run)


STUB = """
#include "parallel.h"
extern "C" { int helping = 4; }
int team_size(void) { return 4; }
int available_threads() { return helping; }
void run_in_team(size_t count, int, void (*run)(const void *, size_t), const void *body) {
    for (size_t i = 0; i < count; ++i) run(body, i);
}
"""


def test_bits_do_not_go_by_who_can_help_just_now(tmp_path: Path) -> None:
    """After a helper has lost its core nobody can, for a while."""
    reason = build_ffi.why_unbuildable("avx512_omp") or kernels_c.why_unavailable("avx512")
    if reason:
        pytest.skip(reason)
    library, stub = tmp_path / "kernels.so", tmp_path / "stub.cpp"
    stub.write_text(STUB)
    flags = [*build_ffi.compile_flags("avx512_omp"), "-O1", "-Ikernels_c", "-Ikernels_c/simd"]
    names = ("softmax.cpp", "matmul.cpp", "caches.cpp")
    files = [str(stub), *(f"kernels_c/simd/{name}" for name in names)]
    build_ffi.run([*build_ffi.compiler(), *flags, "-shared", *files, "-o", str(library)])
    loaded, size = ctypes.CDLL(str(library)), ctypes.c_size_t
    draw, n, m = Random(1), 140_001, 540
    # A sum in another order is seldom another float: a few large terms that meet many small ones.
    values = (draw.uniform(-8, -7) if i % 64 else draw.uniform(5, 8) for i in range(m * m))
    x, out = (ctypes.c_float * (m * m))(*values), (ctypes.c_float * n)()
    found = []
    for helping in (4, 1):
        ctypes.c_int.in_dll(loaded, "helping").value = helping
        digest = hashlib.sha256()
        for first in range(200):
            x[0] = first / 200
            loaded.softmax_f32(x, out, size(1), size(n))
            digest.update(out)
        softmax = digest.hexdigest()
        loaded.matmul_f32(x, x, out, size(m), size(1), size(m))
        found.append((softmax, bytes(out)))
    assert found[0][0] == found[1][0], "softmax"
    assert found[0][1] == found[1][1], "product"


@pytest.mark.parametrize("run", ["exit_at_once", "exit_while_busy"])
def test_the_process_ends_cleanly(threaded: str, run: str, team_of: Team) -> None:
    for threads in (2, 5, 200):
        for _ in range(3):
            assert run_child("tests.threads_child", threaded, run, **team_of(threads)) == ""
