"""Every float32 there is through the element-wise kernels of a tier, against double precision:

    python -m tests.sweep [--tier avx2] [--kernel gelu_tanh_f32] [--step 1]

Prints the worst error of each kernel and its input. Exit code 1: one is beyond its bound.
The tests go through some 400,000 inputs; this goes through all 2^32, in minutes.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

import build_ffi
import kernels_c
from bench.suite.registry import KERNELS
from tests.native import float32, floats_of

SOURCE = Path(__file__).with_suffix(".cpp")
TIERS = [name for name, row in build_ffi.TIERS.items() if row.folder == "simd"]
BLOCKS = 2**32 // 4096
CHUNKS = 512  # of the blocks; what a thread takes at a time

UNARY = {"relu_f32": 0, "gelu_tanh_f32": 1, "gelu_erf_f32": 2}  # as sweep.cpp counts them
# Ordinary ones, a negative one, and products that are subnormal or overflow.
SCALES = tuple(map(float32, (127 / 8, -0.1, 2.0**-130, 3e38)))


class Worst(ctypes.Structure):
    _fields_ = (
        ("error", ctypes.c_double),
        ("bits", ctypes.c_uint32),
        ("result", ctypes.c_double),
    )


Sweep = Callable[[int, int, Worst], None]  # begin and end in blocks


def compiled(folder: str) -> ctypes.CDLL:
    library = Path(folder, "sweep.so")
    flags = ["-std=c++17", "-O2", "-fPIC", "-shared"]
    build_ffi.run([*build_ffi.compiler(), *flags, str(SOURCE), "-o", str(library)])
    return ctypes.CDLL(str(library))


def address(tier: kernels_c.Tier, function: str) -> ctypes.c_void_p:
    pointer = tier.ffi.addressof(tier.lib, function)
    return ctypes.c_void_p(int(tier.ffi.cast("uintptr_t", pointer)))


def sweeps(library: Any, tier: kernels_c.Tier, kernel: str, step: int) -> dict[str, Sweep]:
    """What is to be swept for a kernel, by the label that is printed."""

    def unary(begin: int, end: int, worst: Worst) -> None:
        library.sweep_unary(function, UNARY[kernel], *blocks(begin, end), ctypes.byref(worst))

    def quantize(scale: float) -> Sweep:
        def one(begin: int, end: int, worst: Worst) -> None:
            factor = ctypes.c_float(scale)
            library.sweep_quantize(function, factor, *blocks(begin, end), ctypes.byref(worst))

        return one

    def blocks(begin: int, end: int) -> tuple[ctypes.c_uint64, ...]:
        first = begin + -begin % step  # the same blocks however they are cut into chunks
        return tuple(map(ctypes.c_uint64, (first, end, step)))

    function = address(tier, kernel)
    if kernel in UNARY:
        return {kernel: unary}
    return {f"{kernel} x {scale:g}": quantize(scale) for scale in SCALES}


def over_all_blocks(sweep: Sweep) -> Worst:
    """On as many threads as there are cores; ctypes lets go of the interpreter meanwhile."""

    def chunk(number: int) -> Worst:
        worst = Worst()
        sweep(BLOCKS * number // CHUNKS, BLOCKS * (number + 1) // CHUNKS, worst)
        return worst

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return max(pool.map(chunk, range(CHUNKS)), key=lambda worst: worst.error)


def report(tier: kernels_c.Tier, kernel: str, label: str, sweep: Sweep, step: int) -> bool:
    """Whether the bound holds."""
    bound = KERNELS[kernel].bounds["simd"]
    started = time.perf_counter()
    worst = over_all_blocks(sweep)
    seconds = time.perf_counter() - started
    line = f"{tier.name} {label}: {(BLOCKS + step - 1) // step * 4096} inputs, {seconds:.0f} s: "
    if worst.error:
        x = floats_of([worst.bits])[0]
        line += f"worst {worst.error:.4g} {bound.unit.value} at x = {x!r} (0x{worst.bits:08x}), "
        line += f"got {worst.result!r}; "
    else:
        line += "no error; "
    print(f"{line}at most {bound.at(()):g} allowed", flush=True)
    return worst.error <= bound.at(())


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"sweep: {message}\n")


def at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"got {text!r}, needs a whole number from 1 on")
    return int(text)


def main(arguments: list[str] | None = None) -> int:
    parser = Parser(prog="python -m tests.sweep", description=(__doc__ or "").partition("\n")[0])
    kernels = [*UNARY, "quantize_f32_i8"]
    parser.add_argument("--tier", choices=TIERS, default="avx2")
    parser.add_argument("--kernel", action="append", choices=kernels, help="only this (repeatable)")
    parser.add_argument(
        "--step", type=at_least_one, default=1, help="only every STEPth block of 4096 inputs"
    )
    options = parser.parse_args(arguments)
    try:
        tier = kernels_c.load_tier(options.tier)
        with tempfile.TemporaryDirectory() as folder:
            library = compiled(folder)
    except (kernels_c.TierUnavailable, build_ffi.BuildError) as error:
        print(f"sweep: {str(error).splitlines()[0]}", file=sys.stderr)
        return 2
    held = [
        report(tier, kernel, label, sweep, options.step)
        for kernel in options.kernel or kernels
        for label, sweep in sweeps(library, tier, kernel, options.step).items()
    ]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
