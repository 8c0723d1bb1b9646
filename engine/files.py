"""From a file to a model of GPT-2's kind.

Beside NAME.safetensors may lie NAME.json, as it does in engine/models:

    {"sha256": "…", "config": {"layers": 4, …}, "held_out_loss": 1.2}

Then the file must have that hash. Without it the sizes are taken to be those of verse.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any, NamedTuple

from engine import safetensors
from engine.errors import BadInput, one_line
from engine.gpt import VERSE, Config, Gpt, shapes

MODELS = Path(__file__).resolve().parent / "models"
_SIZES = frozenset(("layers", "width", "heads", "hidden", "context", "vocabulary"))


class Card(NamedTuple):
    """What is known of a file of weights."""

    sha256: str
    config: Config


def load_gpt(path: str | os.PathLike[str]) -> Gpt:
    """The model in a file. Raises BadInput in one line where the file, or what lies beside it, is
    anything else than such a model."""
    try:
        file = Path(path)
    except TypeError:
        raise BadInput(f"model: got {type(path).__name__}, needs a name or a path") from None
    if file.suffix != ".safetensors":
        shown = one_line(repr(os.fspath(path)))
        raise BadInput(f"model: got {shown}, needs 'verse', 'magika' or a .safetensors file")
    if file.parent == MODELS and not file.is_file():
        raise BadInput(f"{one_line(file)} is missing; install the package again: pip install -e .")
    beside = file.with_suffix(".json")
    card = read_card(beside) if file.parent == MODELS or beside.is_file() else None
    data = safetensors.read_bytes(file)
    if card is not None and hashlib.sha256(data).hexdigest() != card.sha256:
        raise BadInput(
            f"{one_line(file)}: is not the file that {beside.name} tells of (its SHA-256 differs): "
            "it was cut off or altered"
        )
    return _model(data, file.name, card.config if card is not None else VERSE)


def read_card(path: Path) -> Card:
    """Raises BadInput."""
    try:
        content: Any = json.loads(safetensors.read_bytes(path))
        sizes, sha256 = content["config"], content["sha256"]
        if set(sizes) != _SIZES or not isinstance(sha256, str):
            raise KeyError
        return Card(sha256, Config(**sizes))
    except BadInput as error:
        reason = str(error)
        raise BadInput(reason if str(path) in reason else f"{one_line(path)}: {reason}") from None
    except (KeyError, TypeError, ValueError, RecursionError):
        raise BadInput(f"{one_line(path)}: needs sha256 and config with all sizes") from None


def _model(data: bytes, name: str, config: Config) -> Gpt:
    tensors = safetensors.parse(data, name)
    for key, shape in shapes(config).items():
        if key in tensors and tensors[key].shape != shape:
            got, needed = list(tensors[key].shape), list(shape)
            raise BadInput(f"{one_line(name)}: {key} has the shape {got}, needs {needed}")
    try:
        return Gpt(config, {key: tensor.values for key, tensor in tensors.items()})
    except BadInput as error:
        raise BadInput(f"{one_line(name)}: {error}") from None
