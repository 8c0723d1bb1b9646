"""What tests of the native side get: one tier after the other, and more cores than there are."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import build_ffi
import kernels_c
from tests.native import usable

# Started in a shell's background, all that tests start would be deaf to Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Two tests at a time are nothing that the pytests which they start should know of: pytest-benchmark
# would switch itself off in there.
os.environ.pop("PYTEST_XDIST_WORKER", None)


@pytest.fixture(scope="session", params=kernels_c.TIERS)
def tier(request: pytest.FixtureRequest) -> kernels_c.Tier:
    """Each tier; one that cannot run here is skipped with the reason."""
    return usable(request.param)


@pytest.fixture(scope="session")
def ieee_tier(tier: kernels_c.Tier) -> kernels_c.Tier:
    """Each tier that keeps the promises about NaN and infinity."""
    if tier.name == "fastmath":
        pytest.skip("fastmath gives up the NaN and infinity promises: that is what it shows")
    return tier


@pytest.fixture(scope="session")
def team_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], dict[str, str]]:
    """The environment in which a *_omp tier works with that many threads, whatever the machine has:
    it takes no more threads than OpenMP counts cores, so OpenMP is made to count 256."""
    if not sys.platform.startswith("linux"):
        pytest.skip("needs LD_PRELOAD to pretend more cores than there are")
    folder = tmp_path_factory.mktemp("cores")
    source, library = Path(folder, "cores.cpp"), Path(folder, "cores.so")
    source.write_text('extern "C" int omp_get_num_procs(void) { return 256; }\n')
    command = [*build_ffi.compiler(), "-shared", "-fPIC", str(source), "-o", str(library)]
    build_ffi.run(command)
    preloaded = " ".join([*os.environ.get("LD_PRELOAD", "").split(), str(library)])
    return lambda threads: {"LD_PRELOAD": preloaded, "OMP_NUM_THREADS": str(threads)}
