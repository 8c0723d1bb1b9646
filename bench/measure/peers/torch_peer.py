"""PyTorch on the CPU, eagerly: torch.compile would need a compiler, and is another product."""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

import torch
from torch import Tensor

from bench.measure.cases.buffers import Buffer
from bench.measure.cases.case import Called
from bench.measure.peers.adapter import Peer
from bench.measure.peers.torch_models import TorchModels
from bench.suite.registry import Shape

_DTYPES = {"f": torch.float32, "b": torch.int8, "i": torch.int32}


class Torch(TorchModels, Peer):
    name = "torch"
    version = str(torch.__version__)

    def __init__(self) -> None:
        # For as long as the process lives, which does nothing else with torch: entering it at each
        # call would be timed.
        self._inference = torch.inference_mode()
        self._inference.__enter__()

    def view(self, buffer: Buffer, shape: Shape) -> Tensor:
        return torch.frombuffer(buffer.view, dtype=_DTYPES[buffer.view.format]).reshape(shape)

    def use_threads(self, threads: int) -> None:
        torch.set_num_threads(threads)

    def relu_f32(self, case: Any, threads: int, x: Tensor, out: Tensor) -> Called:
        if case.out is case.buffers[0]:
            return torch.relu_, (x,)
        # torch.relu has no out=, and is this very call inside.
        return partial(torch.clamp_min, out=out), (x, 0)

    def softmax_f32(self, case: Any, threads: int, x: Tensor, out: Tensor) -> Called:
        return partial(torch.softmax, out=out), (x, 1)

    def gelu_tanh_f32(self, case: Any, threads: int, x: Tensor, out: Tensor) -> Called:
        return partial(torch.nn.functional.gelu, approximate="tanh", out=out), (x,)

    def gelu_erf_f32(self, case: Any, threads: int, x: Tensor, out: Tensor) -> Called:
        return partial(torch.nn.functional.gelu, approximate="none", out=out), (x,)

    def matmul_f32(self, case: Any, threads: int, a: Tensor, b: Tensor, out: Tensor) -> Called:
        return partial(torch.mm, out=out), (a, b)

    def matmul_i8_i32(self, case: Any, threads: int, a: Tensor, b: Tensor, out: Tensor) -> Called:
        return partial(torch._int_mm, out=out), (a, b)

    def quantize_f32_i8(self, case: Any, threads: int, x: Tensor, out: Tensor) -> Any:
        """Allocates its result: no other call of PyTorch's is a third as fast."""
        if not hasattr(torch, "quantize_per_tensor"):  # deprecated in 2.13
            return _quantize_in_steps(x, out, case.scale), ()

        def collect(quantized: Tensor) -> None:
            out.copy_(quantized.int_repr())

        # Its range is [-128, 127]; the values of a case reach -127 at most.
        args = (x, 1 / case.scale, 0, torch.qint8)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the deprecation; it comes once in a process
            torch.quantize_per_tensor(*args)
        return torch.quantize_per_tensor, args, collect


def _quantize_in_steps(x: Tensor, out: Tensor, scale: float) -> Any:
    scratch = torch.empty_like(x)

    def quantize() -> None:
        torch.mul(x, scale, out=scratch)
        scratch.round_().clamp_(-127, 127)
        out.copy_(scratch)

    return quantize
