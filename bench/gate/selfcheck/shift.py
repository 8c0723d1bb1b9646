"""Code placed elsewhere without a change to it, for the self-check."""

from __future__ import annotations

from pathlib import Path


def shift(root: Path) -> None:
    """In a copy of the project, add two empty functions above the code of every native source: each
    kernel moves, none changes."""
    for folder in ("portable", "simd"):
        for file in (root / "kernels_c" / folder).glob("*.cpp"):
            text = file.read_text(encoding="utf-8")
            name = file.stem
            added = f"void before_{name}(void) {{}}\nvoid above_{name}(void) {{}}\n"
            after = text.index("\n", text.rindex("#include")) + 1
            text = f'{text[:after]}\nextern "C" {{\n{added}}}\n{text[after:]}'
            file.write_text(text, encoding="utf-8")
