"""What the experiment that this suite grew out of reported, beside what a run measured.

The claims are quotations, so they are the one set of figures in this project that is typed in.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.analysis.rows import Pair, rows
from bench.saved.runs import Run
from bench.views import units
from bench.views.tables import Table, View


@dataclass(frozen=True)
class Claim:
    """That `kernel` at `size` is `claimed` times as fast as Python, or as `against` if given."""

    what: str
    claimed: float
    kernel: str
    size: str
    against: str = ""  # the kernel whose time in the same tier is the yardstick


CLAIMS = (
    Claim("ReLU, 10,000,000 elements", 287, "relu_f32", "10000000"),
    Claim("Softmax, 1,000,000 elements", 2.7, "softmax_f32", "1000000"),
    Claim("GELU, 1,000,000 elements", 8.4, "gelu_tanh_f32", "1000000"),
    Claim("MatMul, 500 x 500", 1666, "matmul_f32", "500"),
    Claim("int8 MatMul against float32", 1 / 1.15, "matmul_i8_i32", "500", against="matmul_f32"),
)

HEADER = (
    "",
    "claimed",
    "-O3 -mavx2 against the Python loop",
    "-O3 -mavx2 against the fastest Python",
    "hand-written AVX2 against the fastest Python",
)


def view(run: Run) -> View:
    """A row for each claim. The experiment's build was -O3 -mavx2 -mfma, the autovec tier; which
    Python it was compared with is not known, so both are shown. Factors above 1 are faster."""
    found = {(row.kernel, row.size): row for row in rows(run)}
    cells = []
    for claim in CLAIMS:
        row = found.get((claim.kernel, claim.size))
        if row is None:
            cells.append([claim.what, units.factor(claim.claimed), "not in this run", "", ""])
            continue
        tiers = ("c-autovec", "c-autovec", "c-avx2")
        yardsticks = [row.results.get("py-loop"), row.fastest("python"), row.fastest("python")]
        if claim.against:
            other = found.get((claim.against, claim.size))
            yardsticks = [other.results.get(tier) if other else None for tier in tiers]
        factors = map(_factor, yardsticks, map(row.results.get, tiers))
        cells.append([claim.what, units.factor(claim.claimed), *factors])
    return View([Table(HEADER, cells, words=1)])


def _factor(slow: Pair | None, fast: Pair | None) -> str:
    return units.factor(slow[0].minimum / fast[0].minimum) if slow and fast else "not in this run"
