"""PyTorch on the CPU, eagerly: torch.compile would need a compiler, and is another product."""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

import torch

from bench.measure.cases.buffers import Buffer
from bench.measure.cases.case import Called
from bench.measure.peers.adapter import Peer

_DTYPES = {"f": torch.float32, "b": torch.int8, "i": torch.int32}


def as_tensor(buffer: Buffer, *shape: int) -> torch.Tensor:
    """The buffer's memory as a tensor; nothing is copied."""
    tensor = torch.frombuffer(buffer.view, dtype=_DTYPES[buffer.view.format])
    return tensor.reshape(shape or (-1,))


class Torch(Peer):
    name = "torch"
    version = str(torch.__version__)

    def __init__(self) -> None:
        # For as long as the process lives, which does nothing else with torch: entering it at each
        # call would be timed.
        self._inference = torch.inference_mode()
        self._inference.__enter__()

    def use_threads(self, threads: int) -> None:
        torch.set_num_threads(threads)

    def relu_f32(self, case: Any, threads: int) -> Called:
        x = as_tensor(case.x)
        if case.out is case.x:
            return torch.relu_, (x,)
        # torch.relu has no out=, and is this very call inside.
        return partial(torch.clamp_min, out=as_tensor(case.out)), (x, 0)

    def softmax_f32(self, case: Any, threads: int) -> Called:
        out = as_tensor(case.out, *case.shape)
        return partial(torch.softmax, out=out), (as_tensor(case.x, *case.shape), 1)

    def gelu_tanh_f32(self, case: Any, threads: int) -> Called:
        return self._gelu(case, "tanh")

    def gelu_erf_f32(self, case: Any, threads: int) -> Called:
        return self._gelu(case, "none")

    def _gelu(self, case: Any, approximate: str) -> Called:
        gelu = partial(torch.nn.functional.gelu, approximate=approximate, out=as_tensor(case.out))
        return gelu, (as_tensor(case.x),)

    def matmul_f32(self, case: Any, threads: int) -> Called:
        m, n, k = case.shape
        a, b = as_tensor(case.buffers[0], m, k), as_tensor(case.buffers[1], k, n)
        return partial(torch.mm, out=as_tensor(case.out, m, n)), (a, b)

    def matmul_i8_i32(self, case: Any, threads: int) -> Called:
        m, n, k = case.shape
        a, b = as_tensor(case.buffers[0], m, k), as_tensor(case.buffers[1], k, n)
        return partial(torch._int_mm, out=as_tensor(case.out, m, n)), (a, b)

    def quantize_f32_i8(self, case: Any, threads: int) -> Any:
        """Allocates its result: no other call of PyTorch's is a third as fast."""
        x, out = as_tensor(case.x), as_tensor(case.out)
        if not hasattr(torch, "quantize_per_tensor"):  # deprecated in 2.13
            return _quantize_in_steps(x, out, case.scale), ()

        def collect(quantized: torch.Tensor) -> None:
            out.copy_(quantized.int_repr())

        # Its range is [-128, 127]; the values of a case reach -127 at most.
        args = (x, 1 / case.scale, 0, torch.qint8)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the deprecation; it comes once in a process
            torch.quantize_per_tensor(*args)
        return torch.quantize_per_tensor, args, collect


def _quantize_in_steps(x: torch.Tensor, out: torch.Tensor, scale: float) -> Any:
    scratch = torch.empty_like(x)

    def quantize() -> None:
        torch.mul(x, scale, out=scratch)
        scratch.round_().clamp_(-127, 127)
        out.copy_(scratch)

    return quantize
