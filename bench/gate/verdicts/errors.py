"""What keeps a gate from reaching a verdict."""

from __future__ import annotations

from bench.saved.checks import Refusal


class GateError(Refusal):
    """Bad input or a broken measurement."""
