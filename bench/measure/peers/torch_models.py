"""Whole models in PyTorch, eagerly: its fused operators, weights laid out as nn.Linear has them,
the cache of keys and values allocated once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from bench.measure.cases.case import Called

_EPSILON = 1e-5


class TorchModels:
    """The programs of the adapter for PyTorch."""

    def prefill_f32(self, case: Any, threads: int, out: Tensor) -> Called:
        model = TorchGpt(case.model)
        tokens = torch.tensor(list(case.tokens))
        if case.start:
            model.logits(tokens[: case.start], 0)
        new = tokens[case.start : case.start + case.count]

        def run() -> None:
            out.copy_(model.logits(new, case.start))

        return run, ()

    decode_f32 = prefill_f32

    def identify_f32(self, case: Any, threads: int, out: Tensor) -> Called:
        """In float32 for int8, too: its int8 is another package's."""
        scores, tokens = magika(case.model.weights), torch.tensor(case.tokens.tolist())

        def run() -> None:
            out.copy_(scores(tokens))

        return run, ()

    identify_i8 = identify_f32


def tensor(values: Any, *shape: int) -> Tensor:
    return torch.tensor(values, dtype=torch.float32).reshape(shape)


class TorchGpt:
    """An engine.gpt.Gpt with a cache of its own."""

    def __init__(self, gpt: Any) -> None:
        self.config = config = gpt.config
        width, given = config.width, gpt.weights
        self.tokens = tensor(given["wte.weight"], config.vocabulary, width)
        self.positions = tensor(given["wpe.weight"], config.context, width)

        def norm(name: str) -> tuple[Tensor, Tensor]:
            return tensor(given[f"{name}.weight"], width), tensor(given[f"{name}.bias"], width)

        def linear(name: str, k: int, n: int) -> tuple[Tensor, Tensor]:
            weight = tensor(given[f"{name}.weight"], k, n).T.contiguous()
            return weight, tensor(given[f"{name}.bias"], n)

        hidden = config.hidden
        self.layers = [
            (
                norm(f"h.{i}.ln_1"),
                linear(f"h.{i}.attn.c_attn", width, 3 * width),
                linear(f"h.{i}.attn.c_proj", width, width),
                norm(f"h.{i}.ln_2"),
                linear(f"h.{i}.mlp.c_fc", width, hidden),
                linear(f"h.{i}.mlp.c_proj", hidden, width),
            )
            for i in range(config.layers)
        ]
        self.last = norm("ln_f")
        size = (config.layers, 1, config.heads, config.context, width // config.heads)
        self.keys, self.values = torch.zeros(size), torch.zeros(size)

    def logits(self, tokens: Tensor, start: int) -> Tensor:
        """[vocabulary], of the last of the tokens at positions from `start` on: one token, or a
        prompt from 0 on."""
        config, count = self.config, len(tokens)
        shape, end = (config.width,), start + count
        x = self.tokens[tokens] + self.positions[start:end]
        for i, (norm_1, qkv, projection, norm_2, up, down) in enumerate(self.layers):
            wide = functional.linear(functional.layer_norm(x, shape, *norm_1, _EPSILON), *qkv)
            q, k, v = wide.view(1, count, 3, config.heads, -1).permute(2, 0, 3, 1, 4)
            self.keys[i][:, :, start:end] = k
            self.values[i][:, :, start:end] = v
            if i == config.layers - 1:  # of the rest the last row alone is asked for
                q, x = q[:, :, -1:], x[-1:]
            attended = functional.scaled_dot_product_attention(
                q, self.keys[i][:, :, :end], self.values[i][:, :, :end], is_causal=q.shape[2] > 1
            )
            joined = attended.transpose(1, 2).reshape(len(x), config.width)
            x = x + functional.linear(joined, *projection)
            wide = functional.linear(functional.layer_norm(x, shape, *norm_2, _EPSILON), *up)
            x = x + functional.linear(functional.gelu(wide, approximate="tanh"), *down)
        last = functional.layer_norm(x, shape, *self.last, _EPSILON)
        return functional.linear(last, self.tokens)[0]


def magika(weights: Any) -> Callable[[Tensor], Tensor]:
    """Scores of a file's 2,048 tokens. The table of embeddings is as the engine has it: in PyTorch,
    too, an embedding is what one would write."""
    table = tensor(weights.table, -1, 64)
    gain_1, bias_1 = tensor(weights.gain_1, 512), tensor(weights.bias_1, 512)
    gain_2, bias_2 = tensor(weights.gain_2, 512), tensor(weights.bias_2, 512)
    # Rows (tap, channel), columns features -> [feature, channel, tap].
    taps = tensor(weights.convolution, -1, 256, 512).permute(2, 1, 0).contiguous()
    taps_bias = tensor(weights.convolution_bias, 512)
    dense = tensor(weights.dense, 512, -1).T.contiguous()
    dense_bias = tensor(weights.dense_bias, -1)

    def scores(tokens: Tensor) -> Tensor:
        x = functional.embedding(tokens, table).view(512, 256).T
        x = functional.layer_norm(x, (512,), gain_1, bias_1, weights.epsilon)
        x = functional.conv1d(x[None], taps, taps_bias)
        x = functional.gelu(x, approximate="tanh").amax(dim=2)
        x = functional.layer_norm(x, (512,), gain_2, bias_2, weights.epsilon)
        return functional.softmax(functional.linear(x, dense, dense_bias), dim=1)[0]

    return scores
