"""BLIS and OpenBLAS as the system has them, through the C interface that both share (CBLAS)."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
from ctypes import c_float, c_int, c_void_p
from functools import cache
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_info

from bench.measure.cases.buffers import Buffer
from bench.measure.cases.case import Called
from bench.measure.peers.adapter import Peer, PeerUnavailable
from bench.suite.registry import Shape

# CBLAS's names for: rows are contiguous; take the matrix as it is; take it transposed.
_ROW_MAJOR, _PLAIN, _TRANSPOSED = c_int(101), c_int(111), c_int(112)
# Debian and Ubuntu keep a build for each kind of threads side by side. A serial one has no locks.
_ONE_THREAD = ("serial", "pthread", "openmp")
_SEVERAL = ("pthread", "openmp")


class Blas(Peer):
    """A library with CBLAS; the subclasses say which."""

    library: str
    package: str
    set_threads: str  # its function

    def __init__(self) -> None:
        _, path = self._load(1)
        pools = {pool["filepath"]: pool for pool in threadpool_info()}
        self.version = str(pools.get(os.path.realpath(path), {}).get("version", "unknown"))

    def view(self, buffer: Buffer, shape: Shape) -> c_void_p:
        return c_void_p(buffer.address)

    def require_threads(self, threads: int) -> None:
        self._load(threads)

    def use_threads(self, threads: int) -> None:
        try:
            library = self._load(threads)[0]
        except PeerUnavailable:  # call() will say so
            return
        if hasattr(library, self.set_threads):
            getattr(library, self.set_threads)(threads)

    def _load(self, threads: int) -> tuple[ctypes.CDLL, str]:
        """The build for so many threads and its path."""
        path = _find(self.library, threads > 1)
        if path is None:
            build = " with threads" if threads > 1 else ""
            raise PeerUnavailable(
                f"{self.name}: no lib{self.library}{build} on this system; get it with: "
                f"apt-get install {self.package}"
            )
        return _loaded(path), path

    def matmul_f32(self, case: Any, threads: int, a: Any, b: Any, out: Any) -> Called:
        m, n, k = map(c_int, case.shape)
        library = self._load(threads)[0]
        one, zero, step = c_float(1), c_float(0), c_int(1)
        # With a vector on one side the matrix-vector product is the call to make: OpenBLAS 0.3.21
        # is 4 to 9 times slower through sgemm.
        if case.shape[0] == 1:
            vector = (_ROW_MAJOR, _TRANSPOSED, k, n, one, b, n, a, step, zero, out, step)
            return library.cblas_sgemv, vector
        if case.shape[1] == 1:
            vector = (_ROW_MAJOR, _PLAIN, m, k, one, a, k, b, step, zero, out, step)
            return library.cblas_sgemv, vector
        args = (_ROW_MAJOR, _PLAIN, _PLAIN, m, n, k, one, a, k, b, n, zero, out, n)
        return library.cblas_sgemm, args


class Blis(Blas):
    name = "blis"
    library = "blis"
    package = "libblis4"
    set_threads = "bli_thread_set_num_threads"


class OpenBlas(Blas):
    name = "openblas"
    library = "openblas"
    package = "libopenblas0"
    set_threads = "openblas_set_num_threads"


@cache
def _find(library: str, several_threads: bool) -> str | None:
    for kind in _SEVERAL if several_threads else _ONE_THREAD:
        for found in sorted(Path("/usr/lib").glob(f"*/{library}-{kind}/lib{library}.so*")):
            return str(found)
    return ctypes.util.find_library(library)


@cache
def _loaded(path: str) -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(path)
    except OSError as error:
        raise PeerUnavailable(f"{path} does not load ({error})") from None
    if not hasattr(library, "cblas_sgemm"):
        raise PeerUnavailable(f"{path} has no cblas_sgemm")
    library.cblas_sgemm.restype = library.cblas_sgemv.restype = None
    if hasattr(library, "bli_init"):
        library.bli_init()  # asked for its name before, BLIS 0.9 aborts when BLIS_ARCH_TYPE is set
    return library
