"""What the experiment that this suite grew out of reported, beside what a run measured.

The claims are quotations, so they are the one set of figures in this project that is typed in.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.runs import Facts, Result, Run
from bench.views import matrix, units


@dataclass(frozen=True)
class Claim:
    """`claimed` is native time divided into the time of the one it is compared with."""

    what: str
    claimed: float
    kernel: str
    size: str
    against: str  # "python": the fastest Python variant; else the kernel it is compared with


CLAIMS = (
    Claim("ReLU, 10,000,000 elements", 287, "relu_f32", "10000000", "python"),
    Claim("Softmax, 1,000,000 elements", 2.7, "softmax_f32", "1000000", "python"),
    Claim("GELU, 1,000,000 elements", 8.4, "gelu_tanh_f32", "1000000", "python"),
    Claim("MatMul, 500 x 500", 1666, "matmul_f32", "500", "python"),
    Claim("int8 MatMul against float32", 1 / 1.15, "matmul_i8_i32", "500", "matmul_f32"),
)
# The experiment's build was -O3 -mavx2 -mfma: the autovec tier. avx2 is this suite's own.
_TIERS = ("c-autovec", "c-avx2")


def as_markdown(run: Run) -> str:
    """One row a claim: claimed, measured with the same compiler flags, measured by hand-written
    AVX2; factors above 1 are faster."""
    rows = {(row.kernel, row.size): row for row in matrix.rows(run)}
    lines = [
        "| | claimed | measured, plain C++ `-O3 -mavx2` | measured, hand-written AVX2 |",
        "| --- | ---: | ---: | ---: |",
    ]
    for claim in CLAIMS:
        cells = [_measured(rows, claim, tier) for tier in _TIERS]
        lines.append(f"| {claim.what} | {units.factor(claim.claimed)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _measured(rows: dict[tuple[str, str], matrix.Row], claim: Claim, tier: str) -> str:
    ours = _result(rows, claim.kernel, claim.size, tier)
    if claim.against == "python":
        row = rows.get((claim.kernel, claim.size))
        other = row.fastest("python") if row else None
    else:
        other = _result(rows, claim.against, claim.size, tier)
    if ours is None or other is None:
        return "not in this run"
    return units.factor(other[0].minimum / ours[0].minimum)


def _result(
    rows: dict[tuple[str, str], matrix.Row], kernel: str, size: str, tier: str
) -> tuple[Result, Facts] | None:
    row = rows.get((kernel, size))
    return row.results.get(tier) if row else None
