"""Did files stay as they were while a side's code ran?

A side's code can write wherever its user can. What was measured is what was built only if nothing
has written over it. This finds mistakes, and plain tricks; it is no defence against code that sets
out to deceive: that runs in the processes that measure it.
"""

from __future__ import annotations

import hashlib
import importlib.machinery
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench.gate.verdicts.errors import GateError
from bench.saved.runs import one_line

# A test may leave a file beside it. One that Python, pytest, the compiler or the linker would take
# for a part of the side is another matter.
_TAKEN = (*importlib.machinery.all_suffixes(), ".o", ".cpp", ".h", ".ini", ".cfg", ".toml")
_LINK = "-> "
_CHUNK = 1 << 20


@contextmanager
def unchanged(owners: Mapping[Path, str]) -> Iterator[None]:
    """Inside, code runs that must leave these files and folders as they are; each is given with
    whose it is. Raises GateError, also in the place of another: what broke may be its doing."""
    before = {place: _digests(place) for place in owners}
    try:
        yield
    except GateError:
        _require_same(owners, before)
        raise
    _require_same(owners, before)


def _require_same(owners: Mapping[Path, str], before: Mapping[Path, Mapping[str, str]]) -> None:
    for place, owner in owners.items():
        old, new = before[place], _digests(place)
        for name in sorted({*old, *new}):
            if name not in old and not (name.endswith(_TAKEN) or new[name].startswith(_LINK)):
                continue
            if old.get(name) != new.get(name):
                how = "added" if name not in old else "removed" if name not in new else "changed"
                raise GateError(
                    f"{owner}: {one_line(name)} was {how} while the gate ran, by what a side runs: "
                    "no time can be trusted"
                )


def _digests(place: Path) -> dict[str, str]:
    """By name, of a file or of all files below a folder; none where there is nothing."""
    if not place.is_dir():
        return {place.name: _digest(place)} if place.exists() else {}
    paths = (path for path in place.rglob("*") if path.is_symlink() or path.is_file())
    return {str(path.relative_to(place)): _digest(path) for path in paths}


def _digest(path: Path) -> str:
    if path.is_symlink():
        return _LINK + os.readlink(path)
    hashed = hashlib.sha256()
    with path.open("rb") as file:
        while content := file.read(_CHUNK):
            hashed.update(content)
    return hashed.hexdigest()
