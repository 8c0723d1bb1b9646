"""Native modules of changed tiers, linked anew for each pass, with their code elsewhere.

A function added anywhere above a kernel moves it, and that alone can cost per cents: in which sets
of the instruction cache and the branch predictors code falls depends on its address (the branchy
loop of ReLU without vectors takes 18 % more in some places). So each object file gets a page offset
and a place in the order that are drawn for each pass, the same on both sides. Code that has not
moved within its file then lies alike on both, and code that has is met at so many addresses that
what they do is scatter between blocks, not a slowdown of one side.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.gate.errors import GateError
from bench.gate.pairs import Pair
from bench.gate.sides import Side, build

_ALIGNMENT, _PAGE = 64, 4096  # of functions, see build_ffi.py; of memory
# Which of a pair's two places, which side stands there, which tier.
Module = tuple[int, int, str]

# What follows starts so far behind the start of a page.
_PADDING = """\
    .text
    .p2align 12
    .skip {bytes}
    .section .note.GNU-stack,"",@progbits
"""


class Layouts:
    """Links modules of the tiers whose objects were kept."""

    def __init__(self, sides: Sequence[Side], scratch: Path) -> None:
        self._sides = sides
        self._scratch = scratch
        self._paddings: list[str] = []

    def draw(self, pairs: Iterable[Pair], draw: random.Random) -> dict[Module, Path]:
        """A fresh module for each place, side and tier of the pairs that can be linked; the others
        are loaded as they were built."""
        wanted = {
            (place, pair.sides[place], pair.variant.partition("-")[2])
            for pair in pairs
            if pair.variant.startswith("c-")
            for place in (0, 1)
        }
        modules = sorted(key for key in wanted if self._objects(key).is_dir())
        seed = draw.getrandbits(64)
        for old in self._scratch.glob("layout-*.so"):
            old.unlink()
        if modules and not self._paddings:
            self._paddings = self._make_paddings(self._words(modules[0])["before"])
        with ThreadPoolExecutor() as pool:
            linked = pool.map(lambda module: self._link(module, seed), modules)
            return dict(zip(modules, linked, strict=True))

    def _objects(self, module: Module) -> Path:
        _, side, tier = module
        return self._sides[side].objects / tier

    def _words(self, module: Module) -> dict[str, list[str]]:
        text = (self._objects(module) / "link.json").read_text(encoding="utf-8")
        words: dict[str, list[str]] = json.loads(text)
        return words

    def _make_paddings(self, compiler: Sequence[str]) -> list[str]:
        """An object file for each place that a page has."""
        made = []
        for offset in range(0, _PAGE, _ALIGNMENT):
            source = self._scratch / f"padding-{offset}.s"
            source.write_text(_PADDING.format(bytes=offset), encoding="ascii")
            made.append((source, source.with_suffix(".o")))

        def assemble(files: tuple[Path, Path]) -> str:
            self._run([*compiler, "-c", str(files[0]), "-o", str(files[1])], "padding")
            return str(files[1])

        with ThreadPoolExecutor() as pool:
            return list(pool.map(assemble, made))

    def _link(self, module: Module, seed: int) -> Path:
        """Each object's place and offset depend on the seed and its name alone: a file more or less
        on one side moves no other."""
        words = self._words(module)
        placed = []
        for path in self._objects(module).glob("*.o"):
            name = path.stem.partition("-")[2]  # without its number
            draw = random.Random(f"{seed} {name}")
            placed.append((draw.random(), draw.choice(self._paddings), str(path)))
        files = [file for _, padding, path in sorted(placed) for file in (padding, path)]
        linked = self._scratch / f"layout-{'-'.join(map(str, module))}.so"
        command = [*words["before"], *files, *words["after"], "-o", str(linked)]
        side = self._sides[module[1]]
        self._run(command, f"{side.label} {side.name}")
        return linked

    @staticmethod
    def _run(command: Sequence[str], what: str) -> None:
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        if answer.returncode != 0:
            reason = answer.stderr.strip().partition("\n")[0]
            raise GateError(f"{what}: does not link again: {reason}")


def keep_objects(sides: Sequence[Side], changed: Sequence[str]) -> None:
    """Have the objects of those tiers on both sides, and of no others: build again what was lent or
    up to date. Equal modules need no drawing: they lie alike."""
    for side in sides:
        for folder in side.objects.glob("*"):
            if folder.name not in changed:
                shutil.rmtree(folder)
        missing = [tier for tier in changed if not (side.objects / tier).is_dir()]
        if missing:
            build(side, missing)
