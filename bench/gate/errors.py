"""What keeps a gate from reaching a verdict."""

from __future__ import annotations


class GateError(Exception):
    """Bad input or a broken measurement; one line that names what was wrong and what is right."""


class NotComparable(Exception):
    """Both sides are fine, but their times say nothing about the code; one line says why."""
