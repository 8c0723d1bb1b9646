"""A case's callable for a variant: Python's, a native tier's, or a library's."""

from __future__ import annotations

import kernels_c
from bench.measure import call_paths, peers
from bench.measure.cases.case import Call, Case, folder_of
from bench.suite import registry
from bench.suite.registry import Native


def call_of(case: Case, variant: str, peer_threads: int = 1) -> Call:
    """The callable of "py-loop", "c-avx2", "peer-numpy", ... Raises kernels_c.TierUnavailable,
    peers.PeerUnavailable."""
    side, name = registry.side_and_name(variant)
    if side == "python":
        return Call("python", getattr(case.module, name), case.python_args())
    if side == "peer":
        return peers.load_peer(name).call(case, peer_threads)
    native = case.kernel.native(variant)
    return native_call_of(case, kernels_c.load_tier(native.tier), native)


def native_call_of(case: Case, tier: kernels_c.Tier, native: Native) -> Call:
    """The native variant, of this very tier."""
    folder = folder_of(tier)
    if native.call_path is None:
        return Call(folder, *case.native_call(tier, native.function), tier.threads)
    function, args, collect = call_paths.call(case, tier, native.call_path)
    return Call(folder, function, args, tier.threads, collect)
