"""What every gate on this machine begins with: its settings, the lock, both sides built, their
benchmarks listed, and what measures them."""

from __future__ import annotations

import errno
import fcntl
import os
import random
import secrets
import stat
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from bench.gate.checkouts.identity import changed_tiers
from bench.gate.checkouts.relinking import keep_objects
from bench.gate.checkouts.sides import Side, build, prepare_base, prepare_head, reuse_modules
from bench.gate.prepare.inventory import Inventory, take_inventory
from bench.gate.rounds.sampling import Sampler, usable_core
from bench.gate.verdicts.errors import GateError
from bench.gate.verdicts.verdict import LEAST_THRESHOLD

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
    longest_call     seconds, of a benchmark whose size cannot be changed here
    record           where each round's times go, as JSON lines
    """

    threshold: float = LEAST_THRESHOLD
    pytest_arguments: Sequence[str] = ()
    seed: int = field(default_factory=lambda: secrets.randbits(32))
    core: int | None = None
    longest_call: float = 0.5
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
        progress.stage(f"building {side}")
        build(side, beside=sides[:number])
    keep_objects(sides, changed_tiers(sides))
    return sides


def prepare(
    sides: Sequence[Side], settings: Settings, folder: Path, apart: Collection[int] = ()
) -> tuple[Sampler, Inventory]:
    """What measures the sides, of which the first two are base and head, and their benchmarks, each
    verified on both; `apart` see Sampler."""
    settings.progress.stage("listing the benchmarks of both sides")
    arguments = settings.pytest_arguments
    inventory = take_inventory(sides[:2], arguments, folder, settings.longest_call)
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
