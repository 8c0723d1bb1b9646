"""Whole models on this project's kernels, with nothing but the standard library and cffi.

    import engine
    session = engine.load("verse").session()
    print(session.generate("And the king said", 200, temperature=0.8, seed=1).decode())

`python -m engine` is the same for people. Whatever cannot be used raises BadInput: one line.
"""

from __future__ import annotations

import os
from typing import Any, Literal, overload

from engine import gpt
from engine.errors import BadInput
from engine.files import MODELS, load_gpt

__all__ = ["BadInput", "gpt", "load"]


@overload
def load(model: Literal["magika"]) -> Any: ...
@overload
def load(model: str | os.PathLike[str]) -> gpt.Gpt: ...
def load(model: str | os.PathLike[str]) -> Any:
    """A model: "verse", which writes (engine.gpt.Gpt); "magika", which tells types of files
    (engine.magika.Magika, from the installed package magika); or the path of a safetensors file
    with a model of verse's kind. Raises BadInput."""
    if model == "magika":
        from engine import magika

        return magika.load()
    if model == "verse":
        return load_gpt(MODELS / "verse.safetensors")
    return load_gpt(model)
