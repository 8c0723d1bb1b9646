"""The gate on times: base against head, both built here and now, measured in alternation."""

from __future__ import annotations

import errno
import fcntl
import os
import random
import secrets
import stat
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from time import monotonic
from typing import IO

from bench.gate import verdict
from bench.gate.checkouts.identity import changed_tiers, same_code
from bench.gate.checkouts.relinking import keep_objects
from bench.gate.checkouts.sides import Side, build, prepare_base, prepare_head, reuse_modules
from bench.gate.errors import GateError
from bench.gate.pairs import Pair
from bench.gate.prepare.inventory import LONGEST_CALL, Inventory, take_inventory
from bench.gate.rounds.sampling import Sampler, usable_core
from bench.gate.verdict import FIRST_LOOK, LATER_LOOKS, Finding
from bench.measure.machine.metadata import cpu_name, usable_cores
from bench.saved.gates import CONTROL, INCONCLUSIVE, SAME_CODE, TIMING, Gate, Judged

# Pairs of the base with itself, beside those whose code the change has left alone: at least so many
# together watch over the apparatus.
FEWEST_CONTROLS = 3
_PRIVATE_NAMES = 100


class Progress:
    """What a gate says while it runs; this one says nothing."""

    def stage(self, title: str, steps: int = 0) -> None:
        """A new stage, of so many steps; 0 where that is not known."""

    def step(self) -> None:
        """One step of the stage is done."""


@dataclass
class Settings:
    """threshold     the least slowdown that counts: 0.01 is 1 %
    pytest_arguments which benchmarks: -k EXPRESSION, --quick
    core             to measure on; None: the last that this process may use
    record           where each round's times go, as JSON lines
    """

    threshold: float = verdict.LEAST_THRESHOLD
    pytest_arguments: Sequence[str] = ()
    seed: int = field(default_factory=lambda: secrets.randbits(32))
    core: int | None = None
    longest_call: float = LONGEST_CALL
    record: IO[str] | None = None
    progress: Progress = field(default_factory=Progress)


@contextmanager
def exclusive_lock() -> Iterator[Path]:
    """No second gate of this user's measures meanwhile. Gives a folder of his that nobody else can
    write to; whatever is in it beside the lock is of gates that have ended. Raises GateError if
    another gate measures, or if there is no such folder."""
    while True:
        private = _private_folder()
        path = private / "lock"
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except FileNotFoundError:  # the gate that had it has just ended
            continue
        with open(handle, "r+", encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                who = lock.read().strip() or "unknown"
                raise GateError(
                    f"another gate is measuring on this machine (process {who}); wait for it: "
                    "two would disturb each other"
                ) from None
            try:
                if not os.path.samestat(os.fstat(handle), path.lstat()):
                    continue
            except FileNotFoundError:  # it has ended between our opening and our locking
                continue
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            try:
                yield private
            finally:
                path.unlink(missing_ok=True)
                with suppress(OSError):  # something in there cannot be removed
                    private.rmdir()
            return


def _private_folder() -> Path:
    """In the temporary folder, which others may write to: one with a name that any gate of this
    user's finds. Whatever else stands there under such a name is left alone."""
    name = f"baremetal-gate-{os.getuid()}"
    temporary = Path(tempfile.gettempdir()).resolve()
    for number in range(_PRIVATE_NAMES):
        folder = temporary / (f"{name}.{number}" if number else name)
        made = not os.path.lexists(folder)
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        try:
            found = folder.lstat()
        except FileNotFoundError:  # the gate that had it has just ended
            return _private_folder()
        private = stat.S_ISDIR(found.st_mode) and not stat.S_IMODE(found.st_mode) & 0o077
        if private and found.st_uid == os.getuid():
            return folder
        if made:  # on a file system that keeps no permissions the next one is no better
            with suppress(OSError):
                folder.rmdir()
            break
    raise GateError(
        f"{temporary / name}: is not this user's alone, nor is any folder like it; remove them, or "
        "name another temporary folder in TMPDIR"
    )


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
        progress.stage(f"building {side.label} {side.name}")
        build(side, beside=sides[:number])
    keep_objects(sides, changed_tiers(sides))
    return sides


def inventory_of(sides: Sequence[Side], settings: Settings, folder: Path) -> Inventory:
    settings.progress.stage("listing the benchmarks of both sides")
    inventory = take_inventory(sides, settings.pytest_arguments, folder, settings.longest_call)
    if not inventory.pairs and not inventory.unjudged:
        chosen = " ".join(settings.pytest_arguments)
        raise GateError(f"no benchmark in {sides[1].name}" + (f" for {chosen}" if chosen else ""))
    return inventory


def gate_on_times(sides: Sequence[Side], settings: Settings, folder: Path) -> Gate:
    """Measure both sides, which are built, and judge every benchmark that they share. One whose
    code is the same on both sides is a control as well."""
    started = monotonic()
    inventory = inventory_of(sides, settings, folder)
    draw = random.Random(settings.seed)
    sampler = sampler_for(sides, settings, folder, draw)
    settings.progress.stage(f"verifying {len(inventory.pairs)} benchmarks on both sides")
    pairs = sampler.prepare(inventory.pairs)
    same = {p.name for p in pairs if same_code(p, sides)}
    controls = _controls(pairs, FEWEST_CONTROLS - len(same), draw)
    findings = look(sampler, [*pairs, *controls], settings)
    judged = [_judged(p, findings[p.name], p.name in same) for p in pairs]
    return Gate(
        kind=TIMING,
        base=sides[0].name,
        head=sides[1].name,
        threshold=settings.threshold,
        judged=tuple(judged),
        unjudged=tuple(inventory.unjudged),
        controls=tuple(
            [_judged(p, findings[p.name], same=True) for p in controls]
            + [j for j in judged if j.name in same]
        ),
        seconds=monotonic() - started,
        seed=settings.seed,
        machine={"cpu": cpu_name(), "usable_cores": usable_cores()},
        when=datetime.now(timezone.utc),
    )


def sampler_for(
    sides: Sequence[Side], settings: Settings, folder: Path, draw: random.Random
) -> Sampler:
    return Sampler(
        sides=sides,
        harness=sides[1].root,
        scratch=folder,
        core=usable_core() if settings.core is None else settings.core,
        draw=draw,
        record=settings.record,
        advance=settings.progress.step,
    )


def _controls(pairs: Sequence[Pair], count: int, draw: random.Random) -> list[Pair]:
    """The base against itself, for a few benchmarks."""
    chosen = draw.sample(list(pairs), min(max(count, 0), len(pairs)))
    return [replace(p, name=f"{CONTROL}{p.name}", sides=(0, 0)) for p in chosen]


def look(sampler: Sampler, pairs: Sequence[Pair], settings: Settings) -> Mapping[str, Finding]:
    """All findings: of the first look, or of the later ones."""
    threshold = settings.threshold
    findings: dict[str, Finding] = {}
    settings.progress.stage(f"measuring {len(pairs)} benchmarks", FIRST_LOOK * len(pairs))
    first = _blocks(sampler, pairs, FIRST_LOOK)
    left = []
    for pair in pairs:
        if verdict.is_settled(first[pair.name], threshold, len(pairs)):
            findings[pair.name] = verdict.passed(first[pair.name], threshold, len(pairs))
        else:
            left.append(pair)
    later: dict[str, list[float]] = {p.name: [] for p in left}
    taken = 0
    for look in LATER_LOOKS:
        if not left:
            break
        more = look - taken
        settings.progress.stage(f"looking again at {len(left)}", more * len(left))
        for name, values in _blocks(sampler, left, more).items():
            later[name] += values
        taken = look
        findings |= verdict.judge({p.name: later[p.name] for p in left}, threshold)
        left = [p for p in left if findings[p.name].verdict == INCONCLUSIVE]
    return findings


def _blocks(sampler: Sampler, pairs: Sequence[Pair], passes: int) -> dict[str, list[float]]:
    values: dict[str, list[float]] = {p.name: [] for p in pairs}
    for _ in range(passes):
        for name, value in sampler.one_pass(pairs).items():
            values[name].append(value)
    return values


def _judged(pair: Pair, finding: Finding, same: bool) -> Judged:
    notes = []
    if same:
        notes.append(SAME_CODE)
    if pair.judged_size != pair.size:
        notes.append(f"at size {pair.judged_size}")
    return Judged(
        name=pair.name,
        verdict=finding.verdict,
        change=finding.change,
        base=pair.seconds,
        samples=finding.samples,
        low=finding.low,
        high=finding.high,
        detectable=finding.detectable,
        improved=finding.improved,
        note="; ".join(notes),
    )
