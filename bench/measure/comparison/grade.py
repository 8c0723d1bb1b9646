"""What is said of a result; apart from how, as that takes NumPy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Grade:
    """max_error: largest, in the kernel's unit of max_error_ulp. inexact: None, or how the result
    misses the bound of its implementation."""

    max_error: float
    inexact: str | None
