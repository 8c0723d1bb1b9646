"""The team of threads of the *_omp tiers, with more threads than this machine has cores: results,
calls at the same time, forks, too few threads, floating-point state, signals, the end of the
process. No test depends on how long anything takes; what hangs is ended and fails."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

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
    """200 threads, and a machine that counts 256 cores. Who sums up what changes no bit."""
    for threads in (1, 2, 5, 200):
        run_child("tests.threads_child", threaded, "results", **team_of(threads))


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


@pytest.fixture(scope="session")
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


@pytest.mark.parametrize(
    "run", ["state", "exceptions", "many_pieces", "fewer", "one_core", "closed"]
)
def test_a_team_by_itself(team_library: str, run: str) -> None:
    """Each run says in team_child.py what it does."""
    run_child("tests.team_child", team_library, run)


@pytest.mark.parametrize("run", ["exit_at_once", "exit_while_busy"])
def test_the_process_ends_cleanly(threaded: str, run: str, team_of: Team) -> None:
    for threads in (2, 5, 200):
        for _ in range(3):
            assert run_child("tests.threads_child", threaded, run, **team_of(threads)) == ""
