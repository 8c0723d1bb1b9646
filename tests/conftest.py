"""What every test of the native side gets: one tier after the other."""

from __future__ import annotations

import pytest

import kernels_c


@pytest.fixture(scope="session", params=kernels_c.TIERS)
def tier(request: pytest.FixtureRequest) -> kernels_c.Tier:
    """Each tier; one that cannot run here is skipped with the reason."""
    reason = kernels_c.why_unavailable(request.param)
    if reason:
        pytest.skip(reason)
    return kernels_c.load_tier(request.param)


@pytest.fixture(scope="session")
def ieee_tier(tier: kernels_c.Tier) -> kernels_c.Tier:
    """Each tier that keeps the promises about NaN and infinity."""
    if tier.name == "fastmath":
        pytest.skip("fastmath gives up the NaN and infinity promises: that is what it shows")
    return tier
