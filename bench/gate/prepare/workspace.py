"""Where a gate works: a folder that nobody else writes to, while no second gate measures."""

from __future__ import annotations

import fcntl
import mmap
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.gate.verdicts.errors import GateError

_PRIVATE_NAMES = 100


@contextmanager
def workspace() -> Iterator[Path]:
    """A fresh folder, gone afterwards whatever happened. The folders of gates that were killed go
    too: nobody else works there now. Raises GateError if another gate measures, or if nothing that
    is built could be run from there."""
    with _exclusive_lock() as private:
        for entry in private.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(dir=private))
        try:
            _require_code_to_load(folder)
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _exclusive_lock() -> Iterator[Path]:
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
            if os.fstat(handle).st_nlink == 0:  # it has ended between our opening and our locking
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


def _require_code_to_load(folder: Path) -> None:
    """What is built has to run from there. Raises GateError."""
    if sys.platform.startswith("linux"):
        with tempfile.TemporaryFile(dir=folder) as file:
            file.truncate(1)
            try:
                mmap.mmap(file.fileno(), 1, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC)
            except PermissionError:
                raise GateError(
                    f"{tempfile.gettempdir()}: native modules cannot be loaded from the temporary "
                    "folder (is it mounted noexec?); name another one in TMPDIR"
                ) from None
