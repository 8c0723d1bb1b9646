"""Other people's libraries on our buffers: to be beaten, and only ever here.

Nothing of theirs is imported before it is asked for; kernels_py and kernels_c never see them.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import kernels_c
from bench.measure.cases.errors_in_ulp import WrongResult
from bench.measure.peers.adapter import Peer, PeerUnavailable
from bench.suite import registry

EXTRA = "pip install " + ("-e '.[peers]'" if kernels_c.checkout() else "'baremetal-ml[peers]'")
# Every comparison needs these two: to look at results, and to set threads.
_NEEDED = ("numpy", "threadpoolctl")
_ADAPTERS = {
    "numpy": "numpy_peer:NumPy",
    "torch": "torch_peer:Torch",
    "onnxruntime": "onnxruntime_peer:OnnxRuntime",
    "blis": "blas_peers:Blis",
    "openblas": "blas_peers:OpenBlas",
}


def why_not_installed() -> str | None:
    """None if enough of the extra is installed to compare anything; else the one line that says
    how to get it. Imports nothing."""
    if all(importlib.util.find_spec(module) is not None for module in _NEEDED):
        return None
    return f"the libraries to compare with are not installed; get them with: {EXTRA}"


def why_unavailable(name: str) -> str | None:
    """None if load_peer(name) will work, else the reason in one sentence."""
    try:
        load_peer(name)
    except PeerUnavailable as reason:
        return str(reason)
    return None


@cache
def load_peer(name: str) -> Peer:
    """The library of that name, imported. Raises PeerUnavailable."""
    if name not in _ADAPTERS:
        known = ", ".join(registry.PEERS)
        raise PeerUnavailable(f"there is no peer {name!r}; the peers are {known}")
    missing = why_not_installed()
    if missing is not None:
        raise PeerUnavailable(f"{name}: {missing}")
    module, _, adapter = _ADAPTERS[name].partition(":")
    try:
        peer: Peer = getattr(importlib.import_module(f"{__name__}.{module}"), adapter)()
    except (ImportError, OSError) as error:
        raise PeerUnavailable(f"{name} does not import ({error}); get it with: {EXTRA}") from None
    return peer


def reason_of(error: Exception, what: str) -> str:
    """One line that says what went wrong with a library's call."""
    if isinstance(error, (PeerUnavailable, WrongResult)):
        return str(error)
    said = " ".join("".join(c if c.isprintable() else " " for c in str(error)).split())
    return f"{what}: raised {type(error).__name__}: {said[:200]}"


@contextmanager
def limited_threads(threads: int, *names: str) -> Iterator[None]:
    """These peers, and every OpenMP and BLAS that the process has loaded, on so many threads.

    A library may share the OpenMP runtime of our own tiers (two libgomp.so.1 are one), so what was
    set before is set again afterwards.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(threads):  # also remembers what to return to, before anything is loaded
        loaded = [load_peer(name) for name in names if why_unavailable(name) is None]
        with threadpool_limits(threads):  # what was just loaded has threads too
            for peer in loaded:
                peer.use_threads(threads)
            yield


def metadata() -> dict[str, dict[str, Any]]:
    """For each peer its version, or why it is unavailable."""
    found: dict[str, dict[str, Any]] = {}
    for name in registry.PEERS:
        reason = why_unavailable(name)
        found[name] = {"unavailable": reason} if reason else {"version": load_peer(name).version}
    return found
