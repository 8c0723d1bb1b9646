"""What a caller gave that the engine cannot use."""

from __future__ import annotations


class BadInput(ValueError):
    """A prompt, a file or an option; the message is one line: what was wrong and what is right."""


def one_line(text: object) -> str:
    """Whatever a file holds or is called, fit for a message or a terminal: control characters and
    lone surrogates are spelled out."""
    plain = str(text)
    if plain.isprintable():
        return plain
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in plain
    )
