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
    return pair.tier is not None and len(_keys(pair.tier, sides)) == 1


def changed_tiers(sides: Sequence[Side]) -> list[str]:
    """The tiers that both sides have built, from different sources or in different ways."""
    modules = sorted((sides[0].root / "kernels_c").glob("_*.so"))
    tiers = [module.name.partition(".")[0].removeprefix("_") for module in modules]
    return [tier for tier in tiers if len(_keys(tier, sides)) > 1]


def _keys(tier: str, sides: Sequence[Side]) -> set[str | None]:
    """What the sides' modules of that tier were built from; empty where that is not known of
    each."""
    modules = [side.module(tier) for side in sides]
    keys = {build_ffi.built_key(module) if module else None for module in modules}
    return set() if None in keys else keys


def _python(root: Path) -> dict[str, bytes]:
    folder = root / "kernels_py"
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*.py")}
