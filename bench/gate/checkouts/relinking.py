"""Native modules of changed tiers, linked anew for each pass, with their functions elsewhere.

A function added anywhere above a kernel moves it, and that alone can cost per cents: in which sets
of the instruction cache and the branch predictors code falls depends on its address (the branchy
loop of ReLU without vectors takes 18 % more in some places). So each function gets an address that
is drawn for each pass, the same on both sides, whatever stands beside it: code that has not changed
lies alike on both, and code that has is met at so many addresses that what they do is scatter
between samples, not a slowdown of one side.

Source: GNU ld's manual, SECTIONS and INSERT.
"""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.gate.checkouts.sides import Side, build
from bench.gate.verdicts.errors import GateError
from bench.gate.verdicts.pairs import Pair

_LINKER_TAKES_SCRIPTS = sys.platform.startswith("linux")
_ALIGNMENT, _PAGE = 64, 4096  # of functions, see build_ffi.py; of memory
# Which of a pair's two places, which side stands there, which tier.
Module = tuple[int, int, str]
# Sections of code, as the linker selects them: "*[0-9]-relu.o(.text.relu_f32)" -> bytes.
Code = dict[str, int]

_SCRIPT = """\
SECTIONS
{{
  .text.drawn : ALIGN({page})
  {{
    HIDDEN({first} = .);
{places}
  }}
}}
INSERT AFTER .text;
"""
_FIRST = "baremetal_first_place"
# A line of readelf's that describes a section with code: name, bytes in hexadecimal, flags.
_SECTION = re.compile(
    r"^ *\[ *\d+\] (\.text\S*) +PROGBITS +[0-9a-f]+ [0-9a-f]+ ([0-9a-f]+) \S+ +(\w*X\w*) ",
    re.MULTILINE,
)


class Placements:
    """Links modules of the tiers whose objects were kept. Functions of the sides that stand `apart`
    get other addresses than those of all others."""

    def __init__(self, sides: Sequence[Side], scratch: Path, apart: Collection[int] = ()) -> None:
        self._sides = sides
        self._apart = apart
        self._scratch = scratch
        self._code: dict[str, Code] = {}  # by tier, of all sides

    def draw(self, pairs: Iterable[Pair], draw: random.Random) -> dict[Module, Path]:
        """A fresh module for each place, side and tier of the pairs that can be linked; the others
        are loaded as they were built."""
        wanted = {
            (place, pair.sides[place], tier)
            for pair in pairs
            if (tier := pair.tier) is not None
            for place in (0, 1)
        }
        modules = sorted(key for key in wanted if self._objects(*key[1:]).is_dir())
        if not _LINKER_TAKES_SCRIPTS:
            modules = []
        seed = draw.getrandbits(64)
        for old in self._scratch.glob("placed-*"):
            old.unlink()
        for tier, apart in {(tier, side in self._apart) for _, side, tier in modules}:
            places = _places(self._code_of(tier), f"{seed} apart" if apart else f"{seed}")
            script = _SCRIPT.format(page=_PAGE, first=_FIRST, places=places)
            self._script(tier, apart).write_text(script, encoding="utf-8")
        with ThreadPoolExecutor() as pool:
            linked = pool.map(lambda module: self._link(module, seed), modules)
            return dict(zip(modules, linked, strict=True))

    def _objects(self, side: int, tier: str) -> Path:
        return self._sides[side].objects / tier

    def _script(self, tier: str, apart: bool) -> Path:
        return self._scratch / f"placed-{tier}{'-apart' if apart else ''}.ld"

    def _code_of(self, tier: str) -> Code:
        """What must be placed: all that any side has, as large as it is on any."""
        if tier not in self._code:
            found = self._code[tier] = {}
            for side in range(len(self._sides)):
                for selected, size in self._sections(side, tier):
                    found[selected] = max(size, found.get(selected, 0))
        return self._code[tier]

    def _sections(self, side: int, tier: str) -> Iterator[tuple[str, int]]:
        for path in sorted(self._objects(side, tier).glob("*.o")):
            listing = self._run(["readelf", "--section-headers", "--wide", str(path)], side)
            for name, size, flags in _SECTION.findall(listing):
                # Of inline functions, which are in groups, the linker keeps any one.
                file = "*" if "G" in flags else f"*[0-9]-{path.stem.partition('-')[2]}.o"
                yield f"{file}({name})", int(size, 16)

    def _link(self, module: Module, seed: int) -> Path:
        """The order of objects, which is that of their data, depends on the seed and their names
        alone: a file more or less on one side does not turn two others round."""
        _, side, tier = module
        folder = self._objects(side, tier)
        words = json.loads((folder / "link.json").read_text(encoding="utf-8"))

        def turn(path: Path) -> float:
            return random.Random(f"{seed} {path.stem.partition('-')[2]}").random()

        objects = map(str, sorted(folder.glob("*.o"), key=turn))
        linked = self._scratch / f"placed-{'-'.join(map(str, module))}.so"
        script = ("-T", str(self._script(tier, side in self._apart)))
        self._run([*words["before"], *objects, *words["after"], *script, "-o", str(linked)], side)
        return linked

    def _run(self, command: Sequence[str], side: int) -> str:
        try:
            answer = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            raise GateError(f"{command[0]} was not found; install binutils") from None
        if answer.returncode != 0:
            reason = answer.stderr.strip().partition("\n")[0]
            whose = self._sides[side]
            raise GateError(
                f"{whose}: does not link again (GNU's ld and LLVM's lld can do that): {reason}"
            )
        return answer.stdout


def _places(code: Code, seed: str) -> str:
    """Lines of a linker script: in random order, each anywhere on a page."""
    draws = {selected: random.Random(f"{seed} {selected}") for selected in code}
    order = sorted(code, key=lambda selected: draws[selected].random())
    lines, end = [], 0
    for selected in order:
        start = end + draws[selected].randrange(0, _PAGE, _ALIGNMENT)
        lines.append(f"    . = {_FIRST} + {start}; {selected}")
        end = start + -(-code[selected] // _ALIGNMENT) * _ALIGNMENT
    return "\n".join(lines)


def keep_objects(sides: Sequence[Side], changed: Sequence[str]) -> None:
    """Have the objects of those tiers on both sides, and of no others: build again what was lent or
    up to date. Equal modules need no drawing: they lie alike. Nor is there any where the linker is
    not one that takes scripts."""
    wanted = changed if _LINKER_TAKES_SCRIPTS else ()
    for side in sides:
        for folder in side.objects.glob("*"):
            if folder.name not in wanted:
                shutil.rmtree(folder)
        missing = [tier for tier in wanted if not (side.objects / tier).is_dir()]
        if missing:
            build(side, missing, [other for other in sides if other is not side])
