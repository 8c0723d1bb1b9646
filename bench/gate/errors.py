"""What keeps a gate from reaching a verdict."""

from __future__ import annotations

from bench.checking import Refusal


class GateError(Refusal):
    """Bad input or a broken measurement."""
