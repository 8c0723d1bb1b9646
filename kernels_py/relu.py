"""ReLU: out[i] = max(x[i], 0). NaN and -0.0 pass unchanged."""

from __future__ import annotations


def loop(x: list[float]) -> list[float]:
    out = [0.0] * len(x)
    for i in range(len(x)):
        if x[i] < 0.0:
            out[i] = 0.0
        else:
            out[i] = x[i]
    return out


def idiomatic(x: list[float]) -> list[float]:
    # max(v, 0.0) costs a call per element: three times slower.
    return [0.0 if v < 0.0 else v for v in x]


reference = idiomatic  # exact: nothing is rounded
