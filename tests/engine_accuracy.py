"""What float32 and int8 lose on text that verse was not trained on, teacher-forced: windows of 256
bytes, each byte's logits against Python's in double precision.

    python -m tests.engine_accuracy [--bytes 4096] [TIER...]

Not a test: Python's reference of 4,096 bytes takes some minutes. test_engine_verse.py holds the
first window to the bounds.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import engine
from engine.files import MODELS

WINDOW, VOCABULARY = 256, 256
HELD_OUT = (MODELS / "held_out.txt").read_bytes()


class Loss(NamedTuple):
    """Against the reference, over all bytes."""

    largest: float  # difference of any logit
    same: float  # share of bytes after which the same one is the likeliest
    nats: float  # more a byte
    far: int  # of the others, those where the reference's two best are apart


def logits(session: Any, count: int) -> list[Sequence[float]]:
    """After each of the first `count` bytes."""
    rows: list[Sequence[float]] = []
    for start in range(0, count, WINDOW):
        session.reset()
        flat = session.logits(HELD_OUT[start : min(start + WINDOW, count)])
        rows += [flat[i : i + VOCABULARY] for i in range(0, len(flat), VOCABULARY)]
    return rows


def nats(rows: list[Sequence[float]]) -> float:
    """Mean loss of the byte that comes."""
    total = 0.0
    for row, token in zip(rows, HELD_OUT[1:], strict=False):
        largest = max(row)
        total += largest + math.log(sum(math.exp(v - largest) for v in row)) - row[token]
    return total / len(rows)


def likeliest(row: Sequence[float]) -> int:
    return max(range(len(row)), key=row.__getitem__)


def loss(rows: list[Sequence[float]], reference: list[Sequence[float]], bound: float) -> Loss:
    pairs = list(zip(rows, reference, strict=True))
    other = [true for row, true in pairs if likeliest(row) != likeliest(true)]
    return Loss(
        max(abs(a - b) for row, true in pairs for a, b in zip(row, true, strict=True)),
        1 - len(other) / len(pairs),
        nats(rows) - nats(reference),
        sum(best - second > 2 * bound for second, best in (sorted(r)[-2:] for r in other)),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="What float32 and int8 lose.")
    parser.add_argument("--bytes", type=int, default=4096)
    parser.add_argument("tiers", nargs="*", default=["avx2"])
    options = parser.parse_args()
    model = engine.load("verse")
    reference = logits(model.session(tier="idiomatic"), options.bytes)
    print(f"reference: {nats(reference):.4f} nats a byte over {len(reference):,} bytes")
    for tier in options.tiers:
        for precision in ("f32", "i8"):
            found = loss(logits(model.session(tier, precision), options.bytes), reference, 5e-5)
            print(
                f"{tier} {precision}: largest error {found.largest:.2g}, same byte {found.same:.2%}"
                f" ({found.far} where the two best are apart), {found.nats:+.5f} nats a byte"
            )


if __name__ == "__main__":
    main()
