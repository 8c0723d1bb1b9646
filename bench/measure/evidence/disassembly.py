"""What the machine code of a kernel shows: how wide its arithmetic is, FMA, what it calls.

    seen = look(Path("kernels_c/_avx2.abi3.so"), ["relu_f32"])

A kernel is its function and everything of the same module that this calls, jumps to or takes the
address of, alone or in a table, which is how work is handed to a team of threads. Of that only
loops count, and what is called from loops: a loop is where the same instruction can be reached
again. So neither what prepares a loop nor what adds up its lanes afterwards makes a scalar kernel
look like a vector one.

What it cannot say: how often a loop runs. A kernel whose costly loop is scalar and whose cheap one
is not has wide arithmetic; that it calls expf, not _ZGVdN8v_expf, tells the two apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bench.measure.evidence.objdump import DisassemblyFailed, Instruction, Module, disassembled

_FMA = re.compile(r"vfn?m(add|sub|addsub|subadd)\d{3}[ps][sd]")
# Packed arithmetic. Not in here: moves, shuffles, conversions (GCC converts single values with
# cvtps2pd) and bitwise operations (the sign of a single value).
_PACKED = re.compile(
    r"vfn?m(add|sub|addsub|subadd)\d{3}p[sd]"
    r"|v?(add|sub|mul|div|min|max|sqrt|addsub|hadd|hsub|dp|rcp|rsqrt|round|cmp\w*)p[sd]"
    r"|v(rcp|rsqrt)(14|28)p[sd]|v(scalef|getexp|getmant|range|reduce|rndscale)p[sd]"
    r"|v?p(add|sub|mul|madd|min|max|abs|avg|sad|cmpeq|cmpgt|hadd|hsub|sign)[a-z]+"
    r"|vpdp\w+|vpcmp(lt|le|neq|nlt|nle)?u?[bwdq]"
)
# With one and the same register as both sources these make a constant: all zeros, or all ones.
_CONSTANT = re.compile(r"v?p(sub|cmpeq|cmpgt)\w*")
_REGISTER = re.compile(r"%[xyz]mm\d+")
_BITS = {"x": 128, "y": 256, "z": 512}

# C17, 7.12, the functions that a kernel could want, in either precision; and the names that
# vectorised ones have in glibc (Vector Function ABI for x86-64: _ZGV, registers, lanes, arguments).
_MATH = re.compile(
    r"(_ZGV[bcde][NM]\d+v+_|__)?"
    r"(a?(sin|cos|tan)h?|atan2|exp2?|exp10|expm1|log|log10|log1p|log2|logb|ldexp|frexp|scalbl?n"
    r"|pow|sqrt|cbrt|hypot|erfc?|[tl]gamma|ceil|floor|trunc|l?l?round|roundeven|l?l?rint|nearbyint"
    r"|fmod|remainder|fdim|fmax|fmin|fma|fabs|copysign|modf)"
    r"[fl]?(_finite)?"
)


@dataclass(frozen=True)
class Seen:
    """What is in the loops of a kernel.

    vector_bits  the widest registers with packed arithmetic: 0 (none), 128, 256 or 512
    fma          whether there are fused multiply-adds, packed or not
    math_calls   functions of the C library's mathematics that it calls, sorted
    """

    vector_bits: int
    fma: bool
    math_calls: tuple[str, ...]


def look(path: Path, functions: Sequence[str]) -> Seen:
    """What the functions of a built module, and all that they call in it, have in their loops.
    Raises DisassemblyFailed."""
    # A module that is built anew while this process runs is another one.
    return in_loops_of(_read_once(path, path.stat().st_mtime_ns), functions, path.name)


@cache
def _read_once(path: Path, built: int) -> Module:
    return disassembled(path)


def in_loops_of(module: Module, functions: Sequence[str], name: str) -> Seen:
    """As look(), of a module that was read. Raises DisassemblyFailed where a function is not
    there."""
    missing = [function for function in functions if function not in module.functions]
    if missing:
        raise DisassemblyFailed(f"objdump shows no function {missing[0]} in {name}")
    bits, fma, calls = 0, False, set()
    for instruction in _repeated(module, functions):
        bits = max(bits, packed_bits(instruction))
        fma = fma or _FMA.fullmatch(instruction.mnemonic) is not None
        external = module.external(instruction)
        if external and _MATH.fullmatch(external):
            calls.add(external)
    return Seen(bits, fma, tuple(sorted(calls)))


def packed_bits(instruction: Instruction) -> int:
    """The width of the packed arithmetic that an instruction does; 0 for anything else."""
    if not _PACKED.fullmatch(instruction.mnemonic):
        return 0
    registers = _REGISTER.findall(instruction.operands)
    # Both sources; where there are only two operands, the second is the result as well.
    if _CONSTANT.fullmatch(instruction.mnemonic) and len({*registers[:2]}) < len(registers[:2]):
        return 0
    return max((_BITS[name[1]] for name in registers), default=0)


def _repeated(module: Module, functions: Sequence[str]) -> Iterator[Instruction]:
    """Every instruction that is in a loop, or in a function that is called from one."""
    visited: set[tuple[str, bool]] = set()
    waiting = [(name, False) for name in functions]
    while waiting:
        name, all_of_it = waiting.pop()
        if (name, all_of_it) in visited or (name, True) in visited:
            continue
        visited.add((name, all_of_it))
        function = module.functions[name]
        for address, instruction in function.code.items():
            repeated = all_of_it or address in function.in_loops
            if repeated:
                yield instruction
            waiting += [(c, repeated) for c in module.calls(instruction) if c != name]
