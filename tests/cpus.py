"""The suite on CPUs that are not here, under QEMU (user mode):

    python -m tests.cpus

On x86-64 CPUs without AVX2, FMA, F16C or AVX-512: each tier loads or says what the CPU lacks, the
native entries agree, benchmarks run, are saved and read again, the rest is skipped. On aarch64: the
portable sources, cross-compiled, agree with themselves. Exit codes: 0 all is well, 1 something is
not, 2 a tool is missing.

QEMU 7.2 and later know AVX2; none knows AVX-512, whatever the model: what is asked of such CPUs
tests/test_cpu_check.py answers. A process that an emulated one starts runs on the real CPU.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import build_ffi
import kernels_c
from tests import sanitize
from tests.checkout import ROOT

_WIDE = ("autovec", "fastmath", "avx2", "avx2_omp")


class Cpu(NamedTuple):
    model: str  # QEMU's
    lacks: str
    tiers: tuple[str, ...]  # beside debug and scalar
    benchmarks: bool = False  # are run, too: a minute or two under QEMU


CPUS = (
    Cpu("Nehalem", "AVX", (), benchmarks=True),
    Cpu("Haswell,-fma", "FMA", ()),
    Cpu("Haswell,-f16c", "F16C", ()),
    Cpu("Haswell", "AVX-512", _WIDE, benchmarks=True),
    Cpu("Skylake-Server", "VNNI, and under QEMU AVX-512", _WIDE),
)
_LOADED = """
import json, kernels_c
print(json.dumps({tier: kernels_c.why_unavailable(tier) for tier in kernels_c.TIERS}))
"""
_NEEDED = {
    "qemu-x86_64": "qemu-user",
    "qemu-aarch64": "qemu-user",
    "aarch64-linux-gnu-g++": "g++-aarch64-linux-gnu",
}
_INPUTS = "400"


def _run(command: list[str], cwd: Path = ROOT) -> str:
    """What a command prints. Raises AssertionError unless it ends with 0."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    answer = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    said = f"{' '.join(command)}\n{answer.stdout[-3000:]}{answer.stderr[-3000:]}"
    assert answer.returncode == 0, said
    return answer.stdout


def on_x86(cpu: Cpu) -> None:
    emulated = ["qemu-x86_64", "-cpu", cpu.model]
    python = [*emulated, sys.executable]
    found = json.loads(_run([*python, "-c", _LOADED]))
    expected = {"debug", "scalar", *cpu.tiers}
    assert {tier for tier, reason in found.items() if reason is None} == expected, found
    for tier, reason in found.items():
        assert tier in expected or "which this CPU does not have" in reason, reason
    if cpu.benchmarks:
        with tempfile.TemporaryDirectory() as folder:
            run_benchmarks(python, Path(folder))
    tier = "avx2" if "avx2" in cpu.tiers else "scalar"
    with sanitize.compiled(tier, []) as program:
        _run([*emulated, str(program), _INPUTS, "1"])


def run_benchmarks(python: list[str], folder: Path) -> None:
    """Verified, timed, saved, read again."""
    relu, some = str(ROOT / "test_bench_relu.py"), ["-p", "no:cacheprovider", "-rs"]
    products = str(ROOT / "test_bench_matmul.py")
    checked = ["--benchmark-disable", "--baremetal-quick", "-k", "100 or 16", relu, products]
    said = _run([*python, "-m", "pytest", *some, *checked])
    assert "which this CPU does not have" in said
    timed = ["--benchmark-only", "--benchmark-max-time=0.02", "--benchmark-json=run.json"]
    timed += [f"--rootdir={ROOT}", "-k", "100] and (c-scalar or py-loop)", relu]
    _run([*python, "-m", "pytest", *some, *timed], folder)
    assert "relu_f32" in _run([*python, "-m", "bench", "matrix", "run.json"], folder)
    _run([*python, "-m", "bench", "report", "run.json", "-o", "page"], folder)


def on_aarch64() -> None:
    """As the scalar tier is built, and optimised for what every such CPU has."""
    for flags in (["-O2"], ["-O3", "-ffp-contract=off"]):
        with sanitize.compiled(
            "scalar", [*flags, "-static"], compiler=["aarch64-linux-gnu-g++"]
        ) as program:
            _run(["qemu-aarch64", str(program), _INPUTS, "1"])


def main() -> int:
    missing = {package for tool, package in _NEEDED.items() if shutil.which(tool) is None}
    if missing:
        packages = " ".join(sorted(missing))
        print(f"cpus: install (Debian, Ubuntu): apt-get install {packages}", file=sys.stderr)
        return 2
    if kernels_c.why_unavailable("avx2"):
        print(f"cpus: {kernels_c.why_unavailable('avx2')}", file=sys.stderr)
        return 2
    tried = [(f"{cpu.model}, without {cpu.lacks}", lambda cpu=cpu: on_x86(cpu)) for cpu in CPUS]
    for name, check in [*tried, ("aarch64", on_aarch64)]:
        try:
            check()
        except (AssertionError, build_ffi.BuildError) as error:
            print(f"cpus: {name}: {error}")
            return 1
        print(f"cpus: {name}: all is well", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
