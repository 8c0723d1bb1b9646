"""The files that a module is built from, and its own before anything of it is loaded."""

from __future__ import annotations

import struct
from pathlib import Path

# ELF-64 Object File Format, version 1.5. Of the file's header: where its tables of segments and of
# sections start; their entries' sizes and numbers. Of a segment: where it starts and its size.
_LITTLE_ENDIAN_64 = b"\x7fELF\x02\x01"
_HEADER = struct.Struct("<32x2Q6x4H2x")
_SEGMENT = struct.Struct("<8xQ16xQ16x")


def is_source(path: Path) -> bool:
    """Whether a file in a tier's folder shapes the tier: C++ sources and headers; hidden files are
    an editor's."""
    return path.suffix in (".cpp", ".h") and not path.name.startswith(".")


def why_damaged(module: Path) -> str | None:
    """None for a file as long as its own tables say, else what is missing, in a few words.

    The loader maps one that is cut short, and the process is killed at the first byte that is not
    there (SIGBUS). What is no such file at all the loader refuses by itself: None. Bytes that
    changed are not found, nor are zeros in place of lost ones.
    """
    content = module.read_bytes()
    if not content.startswith(_LITTLE_ENDIAN_64):
        return None
    needed = _HEADER.size
    if len(content) >= needed:
        segments, sections, _, count, entry, entries = _HEADER.unpack_from(content)
        end = segments + count * _SEGMENT.size
        needed = max(end, sections + entries * entry)  # linkers put the sections' table last
        if len(content) >= needed:
            for start, size in _SEGMENT.iter_unpack(content[segments:end]):
                needed = max(needed, start + size)
    if len(content) >= needed:
        return None
    return f"{module.name} ends after {len(content)} of {needed} bytes"
