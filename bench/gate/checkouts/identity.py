"""Which benchmarks a change cannot have touched."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import build_ffi
from bench.gate.checkouts.sides import Side
from bench.gate.verdicts.pairs import Pair


def same_code(pair: Pair, sides: Sequence[Side]) -> bool:
    """Whether both sides of a kernel are built from the same sources in the same way, or are the
    same Python. Of any other benchmark that cannot be known."""
    if pair.variant.startswith("py-"):
        return _python(sides[0].root) == _python(sides[1].root)
    tier = pair.tier
    if tier is None:
        return False
    keys = [_key(side.module(tier)) for side in sides]
    return keys[0] is not None and keys[0] == keys[1]


def changed_tiers(sides: Sequence[Side]) -> list[str]:
    """The tiers that both sides have built, from different sources or in different ways."""
    found = []
    for module in sorted((sides[0].root / "kernels_c").glob("_*.so")):
        tier = module.name.partition(".")[0].removeprefix("_")
        keys = {_key(side.module(tier)) for side in sides}
        if len(keys) > 1 and None not in keys:
            found.append(tier)
    return found


def _key(module: Path | None) -> str | None:
    return None if module is None else build_ffi.built_key(module)


def _python(root: Path) -> dict[str, bytes]:
    folder = root / "kernels_py"
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*.py")}
