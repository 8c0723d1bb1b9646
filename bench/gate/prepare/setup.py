"""What every gate on this machine begins with: its settings, both sides built, their benchmarks
listed, and what measures them."""

from __future__ import annotations

import errno
import random
import tempfile
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from bench.gate.checkouts.identity import changed_tiers
from bench.gate.checkouts.relinking import keep_objects
from bench.gate.checkouts.sides import Side, build, prepare_base, prepare_head, reuse_modules
from bench.gate.prepare.inventory import Inventory, match, require_no_failure, unavailable_tiers
from bench.gate.rounds.pytest_process import list_benchmarks
from bench.gate.rounds.sampling import Sampler, usable_core
from bench.gate.verdicts.errors import GateError
from bench.gate.verdicts.verdict import LEAST_THRESHOLD


@dataclass(frozen=True)
class Progress:
    """What a gate says while it runs; by default nothing.

    stage   begins a stage: its title, and how many steps it has, where that is known
    step    one of them is done
    """

    stage: Callable[..., None] = lambda title, steps=0: None
    step: Callable[[], None] = lambda: None


@dataclass
class Settings:
    """threshold     the least slowdown that counts: 0.01 is 1 %
    pytest_arguments which benchmarks: -k EXPRESSION, --quick
    core             to measure on; None: the last that this process may use
    longest_call     seconds, of a benchmark whose size cannot be changed here
    record           where each round's times go, as JSON lines
    """

    seed: int
    threshold: float = LEAST_THRESHOLD
    pytest_arguments: Sequence[str] = ()
    core: int | None = None
    longest_call: float = 0.5
    record: IO[str] | None = None
    progress: Progress = Progress()


def build_sides(root: Path, reference: str, folder: Path, progress: Progress) -> list[Side]:
    """Both sides, copied and built."""
    progress.stage("copying base and head")
    try:
        sides = [
            prepare_base(root, reference, folder / "base"),
            prepare_head(root, folder / "head"),
        ]
        reuse_modules(root, sides)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise GateError(
            f"{tempfile.gettempdir()}: {error.strerror}: it does not hold two copies of this "
            "project; name another temporary folder in TMPDIR"
        ) from None
    for number, side in enumerate(sides):
        progress.stage(f"building {side}")
        build(side, beside=sides[:number])
    keep_objects(sides, changed_tiers(sides))
    return sides


def prepare(
    sides: Sequence[Side], settings: Settings, folder: Path, apart: Collection[int] = ()
) -> tuple[Sampler, Inventory]:
    """What measures the sides, of which the first two are base and head, and their benchmarks, each
    verified on both; `apart` see Sampler. Raises GateError where a side fails, or there is none."""
    settings.progress.stage("listing the benchmarks of both sides")
    compared, arguments = sides[:2], settings.pytest_arguments
    listed = [list_benchmarks(side, arguments, folder) for side in compared]
    for side, of_side in zip(compared, listed, strict=True):
        require_no_failure(side, of_side)
    unavailable = [unavailable_tiers(side) for side in compared]
    inventory = match(compared, listed, unavailable, settings.longest_call)
    if not inventory.pairs and not inventory.unjudged:
        chosen = " ".join(arguments)
        raise GateError(f"no benchmark in {sides[1].name}" + (f" for {chosen}" if chosen else ""))
    sampler = Sampler(
        sides=sides,
        harness=sides[1].root,
        scratch=folder,
        core=usable_core() if settings.core is None else settings.core,
        draw=random.Random(settings.seed),
        apart=apart,
        record=settings.record,
        advance=settings.progress.step,
    )
    settings.progress.stage(f"verifying {len(inventory.pairs)} benchmarks on both sides")
    inventory.pairs = sampler.prepare(inventory.pairs)
    return sampler, inventory
