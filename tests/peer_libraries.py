"""Tests need libraries that a machine may not have."""

from __future__ import annotations

from typing import Any

import pytest

from bench.measure import peers


def available(name: str) -> Any:
    """The library of that name; skips the test, with the reason, where it is not installed."""
    reason = peers.why_unavailable(name)
    if reason is not None:
        pytest.skip(reason)
    return peers.load_peer(name)
