"""The compiler's half of the micro-kernel, read from the disassembly: sums stay in registers.
Where one is kept in memory the product is right and up to half as fast; no other test sees it."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache

import pytest

import build_ffi
import kernels_c
from tests.fenced import WIDE_TIERS

_FUNCTION = re.compile(r"^[0-9a-f]+ <(.+)>:$")
_FMA = re.compile(r"\tvfn?m(add|sub)\d+ps ")
_VECTOR_ON_STACK = re.compile(r"[yz]mm.*\(%r[sb]p|\(%r[sb]p.*[yz]mm")


def functions(disassembly: str) -> dict[str, list[str]]:
    """The lines of each function, by its demangled name."""
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in disassembly.splitlines():
        start = _FUNCTION.match(line)
        if start:
            lines = found.setdefault(start[1], [])
        else:
            lines.append(line)
    return found


def spills(lines: list[str]) -> list[str]:
    """Vectors stored to the stack or read from it between the first FMA and the last."""
    fmas = [i for i, line in enumerate(lines) if _FMA.search(line)]
    return [line for line in lines[fmas[0] : fmas[-1]] if _VECTOR_ON_STACK.search(line)]


@cache
def disassembled(tier: str) -> dict[str, list[str]]:
    if shutil.which("objdump") is None:
        pytest.skip("objdump is not there (Debian, Ubuntu: apt-get install binutils)")
    command = ["objdump", "-dC", "--no-show-raw-insn", str(build_ffi.module_path(tier))]
    return functions(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.parametrize(
    "function",
    [
        r"micro_kernel<.*Float32Lane, {rows}u?l?, 2u?l?, false>",
        r"micro_kernel<.*Float32Lane, {rows}u?l?, 2u?l?, true>",
        r"::tile<{rows}u?l?, 2u?l?, false>",  # of matmul_tiled_f32
    ],
)
@pytest.mark.parametrize("name", WIDE_TIERS)
def test_the_largest_float_tile_stays_in_registers(name: str, function: str) -> None:
    reason = kernels_c.why_unavailable(name)
    if reason:
        pytest.skip(reason)
    compiler = kernels_c.load_tier(name).build_info()["compiler"]
    if "clang" in compiler.lower():
        pytest.skip(f"written for GCC's unrolling, and this build is of {compiler}")
    rows = WIDE_TIERS[name][0]
    instance = re.compile(function.format(rows=rows))
    found = [lines for title, lines in disassembled(name).items() if instance.search(title)]
    assert len(found) == 1, "no such function, or several"
    # The whole step of k is there: two FMAs for each row.
    assert sum(bool(_FMA.search(line)) for line in found[0]) >= 2 * rows
    assert spills(found[0]) == []


def test_a_spill_would_be_seen() -> None:
    text = """
0000000000001000 <f(int)>:
    1000:\tvmovaps %ymm1,0x20(%rsp)
    1005:\tvfmadd231ps %ymm1,%ymm14,%ymm9
    100a:\tvmovaps %ymm9,-0x40(%rbp)
    100f:\tvfmadd231ps 0x20(%rsp),%ymm14,%ymm9
    1014:\tmov    0x8(%rsp),%rax
    1019:\tvfmadd231ps %ymm0,%ymm14,%ymm8
    101e:\tvmovaps %zmm9,0x40(%rsp)

0000000000002000 <g()>:
    2000:\tret
"""
    found = functions(text)
    assert list(found) == ["f(int)", "g()"]
    assert [line.strip()[:4] for line in spills(found["f(int)"])] == ["100a", "100f"]
