"""One side's kernels, each called where callgrind counts: what judge.py runs under valgrind.

    python -m bench.gate.counts.child ROOT SCRATCH SEED WANTED ANSWERS

WANTED is a file with a JSON list of [kernel, variant, size]; ANSWERS as counted_calls.py has it.
"""

from __future__ import annotations

import random
import sys
from functools import cache, partial
from pathlib import Path

import kernels_c
from bench.gate.checkouts.loading import load_python_copy, load_tier_copy
from bench.measure.calls import native_call_of
from bench.measure.cases.case import Called, Case
from bench.measure.evidence.counted_calls import Unsupported, answer, case_at
from bench.suite import registry


class Checkout:
    """One side's modules, each loaded when first asked for."""

    def __init__(self, root: Path, scratch: Path, draw: random.Random) -> None:
        self.root, self.scratch, self.draw = root, scratch, draw
        self.tier = cache(self._load_tier)
        self.module = cache(partial(load_python_copy, root, draw=draw))

    def call(self, case: Case, variant: str) -> Called:
        """The callable and its arguments. Raises Unsupported."""
        side, name = registry.side_and_name(variant)
        try:
            if side == "native":
                native = case.kernel.native(variant)
                call = native_call_of(case, self.tier(native.tier), native)
                return call.function, call.args
            return getattr(self.module(case.kernel.module), name), case.python_args()
        except (AttributeError, ImportError, ValueError) as missing:
            raise Unsupported(f"not in this checkout: {missing}") from None

    def _load_tier(self, name: str) -> kernels_c.Tier:
        if name != "scalar":  # it says what the processor has, and every machine can run it
            cpu = self.tier("scalar").lib
            if name.startswith("avx512") and not cpu.cpu_has_avx512_vnni():
                raise Unsupported("valgrind's processor has no AVX-512")
            if name != "debug" and not cpu.cpu_has_avx2_fma():
                raise Unsupported("this processor, or valgrind's, lacks AVX2, FMA or F16C")
        built = sorted((self.root / "kernels_c").glob(f"_{name}.*so"))
        if not built:
            raise Unsupported(f"tier {name} is not built")
        return load_tier_copy(built[0], name, self.scratch, self.draw)


def main(root: str, scratch: str, seed: str, wanted: str, answers: str) -> None:
    sys.dont_write_bytecode = True  # in a checkout that may be the user's
    side = Checkout(Path(root), Path(scratch), random.Random(int(seed)))

    def called(item: list[str]) -> tuple[Called, bool]:
        kernel, variant, size = item
        return side.call(case_at(kernel, size), variant), not variant.startswith("py-")

    answer(wanted, answers, called)


if __name__ == "__main__":
    main(*sys.argv[1:])
