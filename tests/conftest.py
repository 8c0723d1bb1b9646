"""What every test of the native side gets: one tier after the other."""

from __future__ import annotations

import pytest

import kernels_c


@pytest.fixture(scope="session", params=kernels_c.TIERS)
def tier(request: pytest.FixtureRequest) -> kernels_c.Tier:
    """Each tier; one that cannot run here is skipped with the reason."""
    try:
        return kernels_c.load_tier(request.param)
    except kernels_c.TierStale:
        raise
    except kernels_c.TierUnavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def ieee_tier(tier: kernels_c.Tier) -> kernels_c.Tier:
    """Each tier that keeps the promises about NaN and infinity."""
    if tier.name == "fastmath":
        pytest.skip("fastmath gives up the NaN and infinity promises: that is what it shows")
    return tier
