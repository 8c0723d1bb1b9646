"""Derives every polynomial in coefficients.h; run it to see where a constant comes from.

    python kernels_c/simd/fit_coefficients.py          # prints coefficients.h
    python kernels_c/simd/fit_coefficients.py --write  # rewrites it

Method: the polynomial of least relative error, by Remez' exchange (Cheney, Introduction to
Approximation Theory, ch. 3), of the function divided by the part that is kept exact. Needs mpmath
(in the `test` extra).
"""

from __future__ import annotations

import argparse
import struct
from collections.abc import Callable
from pathlib import Path

import mpmath as mp

mp.mp.dps = 60

# R(t) is fitted up to here: x * erfc(x / sqrt 2) / 2 has rounded to zero in float32 before it.
ERFC_T_MAX = mp.mpf("14.5")
# R(t) (t + A) is fitted in w = t / (t + A) - S0. Degree 9 is good to 2^-26 for A from 2.5 to 4; of
# those, and of S0 from 0.25 to 0.45, these two gave the smallest error of the whole kernel (3.6
# ULP, others 3.5 to 5.6): they decide how much the terms of p(w) cancel. Both exact in float32.
ERFC_A = mp.mpf("2.5")
ERFC_S0 = mp.mpf("0.28125")
ERFC_DEGREE = 9
EXCHANGES = 8
GRID = 2000


def minimax_fit(
    f: Callable[[mp.mpf], mp.mpf], low: mp.mpf, high: mp.mpf, degree: int
) -> list[mp.mpf]:
    """Monomial coefficients, constant first, of the polynomial of least relative error."""
    count = degree + 2

    def cosine(i: int, n: int) -> mp.mpf:
        return (low + high) / 2 - (high - low) / 2 * mp.cos(mp.pi * i / n)

    grid = [cosine(i, GRID) for i in range(GRID + 1)]
    values = [f(x) for x in grid]
    picked = [round(i * GRID / (count - 1)) for i in range(count)]
    for _ in range(EXCHANGES):
        # p(x) / f(x) + (-1)^i level = 1 in every picked point
        rows = [
            [*(grid[g] ** j / values[g] for j in range(degree + 1)), mp.mpf(-1) ** i]
            for i, g in enumerate(picked)
        ]
        solved = list(mp.lu_solve(mp.matrix(rows), mp.matrix([1] * count)))
        coefficients = solved[:-1]
        errors = [horner(coefficients, x) / v - 1 for x, v in zip(grid, values, strict=True)]
        picked = extremes(errors, count)
    return coefficients


def horner(coefficients: list[mp.mpf], x: mp.mpf) -> mp.mpf:
    value = mp.mpf(0)
    for coefficient in reversed(coefficients):
        value = value * x + coefficient
    return value


def extremes(errors: list[mp.mpf], count: int) -> list[int]:
    """Where the error is largest between two changes of its sign: `count` neighbouring places."""
    places: list[int] = []
    for i, error in enumerate(errors):
        if places and mp.sign(error) == mp.sign(errors[places[-1]]):
            if abs(error) > abs(errors[places[-1]]):
                places[-1] = i
        else:
            places.append(i)
    while len(places) > count:
        places.pop(0 if abs(errors[places[0]]) < abs(errors[places[-1]]) else -1)
    return places


def exp2_tail(f: mp.mpf) -> mp.mpf:
    """(2^f - 1) / f, so that 2^f = 1 + f q(f) is exact at 0."""
    if abs(f) < mp.mpf("1e-20"):  # the middle: below it the difference would cancel
        return mp.log(2)
    return mp.expm1(f * mp.log(2)) / f


def scaled_erfc(t: mp.mpf) -> mp.mpf:
    """R(t) (t + A), where R(t) = 2^(t^2 C) erfc(t / sqrt 2) / 2 and C is log2 e / 2 as float32 has
    it: what the kernel's exponent lacks is in here."""
    exponent = t * t * float32(1 / mp.log(2)) / 2
    return mp.power(2, exponent) * mp.erfc(t / mp.sqrt(2)) / 2 * (t + ERFC_A)


def float32(x: mp.mpf) -> float:
    """The nearest float32 (mpmath rounds to double first; both roundings are to nearest)."""
    value: float = struct.unpack("f", struct.pack("f", float(x)))[0]
    return value


def literal(value: float) -> str:
    return f"{value.hex()}f"


def array(name: str, comment: str, values: list[mp.mpf]) -> str:
    rows = ",\n".join(f"    {literal(float32(v))}" for v in values)
    return f"// {comment}\nconstexpr float {name}[{len(values)}] = {{\n{rows}}};\n"


def scalar(name: str, comment: str, value: float) -> str:
    return f"constexpr float {name} = {literal(value)};  // {comment}".rstrip(" /") + "\n"


def header() -> str:
    log2e = 1 / mp.log(2)
    half = mp.mpf("0.5")
    s_max = ERFC_T_MAX / (ERFC_T_MAX + ERFC_A)

    # Exponents are whole powers of two and a rest: all arguments are multiplied by log2 e. What a
    # float32 constant lacks is carried in a second one, as it is multiplied by up to 150.
    # -2 u log2 e = x (C0 + C1 x^2). C0_HI is a multiple of 2^-18, so that C0_HI - (C0_HI + C1 x^2)
    # is exact in float32 over the whole range where it matters.
    c0 = -2 * mp.sqrt(2 / mp.pi) * log2e
    c1 = c0 * mp.mpf("0.044715")
    c0_hi = float(mp.nint(c0 * 2**18) / 2**18)
    c1_hi = float32(c1)

    parts = [
        "// Written by fit_coefficients.py; change that, not this.\n"
        "// clang-format off\n#pragma once\n",
        scalar("LOG2E_HI", "log2 e", float32(log2e)),
        scalar("LOG2E_LO", "the rest of it", float32(log2e - float32(log2e))),
        scalar("LN2", "1 / log2 e", float32(mp.log(2))),
        "",
        array(
            "EXP2_Q",
            "2^f = 1 + f q(f), |f| <= 1/2",
            minimax_fit(exp2_tail, -half, half, 5),
        ),
        scalar("GELU_C0_HI", "-2 sqrt(2/pi) log2 e, to 2^-18", c0_hi),
        scalar("GELU_C0_LO", "the rest of it", float32(c0 - c0_hi)),
        scalar("GELU_C1_HI", "-2 sqrt(2/pi) log2 e * 0.044715", c1_hi),
        scalar("GELU_C1_LO", "the rest of it", float32(c1 - c1_hi)),
        "",
        scalar("ERFC_A", "w = t / (t + A) - S0", float32(ERFC_A)),
        scalar("ERFC_S0", "", float32(ERFC_S0)),
        array(
            "ERFC_P",
            "2^(t^2 LOG2E_HI/2) erfc(t/sqrt 2)/2 = 2^64 p(w) / (t + A), 0 <= t <= 14.5",
            [
                c / mp.mpf(2) ** 64
                for c in minimax_fit(
                    lambda w: scaled_erfc(ERFC_A * (w + ERFC_S0) / (1 - w - ERFC_S0)),
                    -ERFC_S0,
                    s_max - ERFC_S0,
                    ERFC_DEGREE,
                )
            ],
        ),
    ]
    return "\n".join(part.rstrip("\n") for part in parts) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="derive the polynomial coefficients")
    parser.add_argument("--write", action="store_true", help="rewrite coefficients.h")
    if parser.parse_args().write:
        Path(__file__).with_name("coefficients.h").write_text(header())
    else:
        print(header(), end="")
