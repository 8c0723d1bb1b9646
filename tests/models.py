"""Models with random weights, for tests of the engine, and their files."""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from engine.gpt import VERSE, Config, Gpt, random_model, shapes

# Widths that are and are not whole registers, heads of every size, and the least that there is.
SMALL = Config(layers=2, width=32, heads=2, hidden=96, context=24, vocabulary=256)
ODD = Config(layers=3, width=21, heads=3, hidden=37, context=19, vocabulary=61)
LEAST = Config(layers=1, width=1, heads=1, hidden=1, context=1, vocabulary=1)
CONFIGS = {"small": SMALL, "odd": ODD, "least": LEAST, "verse": VERSE}


@cache
def model(name: str) -> Gpt:
    return random_model(CONFIGS[name], seed=5)


def tokens_for(config: Config, count: int, seed: int = 1) -> list[int]:
    random = Random(seed)
    return [random.randrange(config.vocabulary) for _ in range(count)]


def worst(found: Sequence[float], expected: Sequence[float]) -> float:
    return max(abs(a - b) for a, b in zip(found, expected, strict=True))


def header_of(config: Config, dtype: str = "F16") -> dict[str, Any]:
    header, end = {}, 0
    for name, shape in sorted(shapes(config).items()):
        start, end = end, end + {"F16": 2, "F32": 4}[dtype] * math.prod(shape)
        header[name] = {"dtype": dtype, "shape": [*shape], "data_offsets": [start, end]}
    return header


def packed(header: object, data: bytes) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def content_of(given: Gpt, dtype: str = "F16") -> bytes:
    """A model as engine.train saves it."""
    code = {"F16": "e", "F32": "f"}[dtype]
    header = header_of(given.config, dtype)
    data = [struct.pack(f"<{len(given.weights[n])}{code}", *given.weights[n]) for n in header]
    return packed(header, b"".join(data))


def write_card(beside: Path, content: bytes, config: Config) -> None:
    card = {"sha256": hashlib.sha256(content).hexdigest(), "config": asdict(config)}
    beside.with_suffix(".json").write_text(json.dumps(card))


def saved(folder: Path, given: Gpt, dtype: str = "F16") -> Path:
    """The file of a model, with its card beside it."""
    path, content = folder / "model.safetensors", content_of(given, dtype)
    path.write_bytes(content)
    write_card(path, content, given.config)
    return path
