"""Writing files: whole or not at all, under names that nobody can foresee; and what took minutes to
measure is never lost."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """An OSError from inside names this file: the system's own names none where the disk is full,
    or a draft."""
    try:
        yield
    except OSError as error:
        error.filename, error.filename2 = str(path), None
        raise


def make_folder(path: Path) -> None:
    """Raises OSError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        there = next(part for part in (path, *path.parents) if part.exists())
        raise NotADirectoryError(errno.ENOTDIR, "is no folder, needs one", str(there)) from None


def write_atomic(path: Path, text: str) -> None:
    """Write a file whole or not at all. Raises OSError, which names it."""
    make_folder(path.parent)
    with naming(path), draft_of(path) as file:
        file.write(text)


@contextmanager
def draft_of(path: Path) -> Iterator[IO[str]]:
    """A file beside `path` that takes its place, and its permissions, when the block ends well. Its
    name is drawn, and it must be new: where others write too, none of theirs is written to. A pipe
    or a device is written to: a file in its place would be the end of /dev/null."""
    if is_special(path):
        with path.open("w", encoding="utf-8", newline="") as special:
            yield special
        return
    path = Path(os.path.realpath(path))  # through links, as open() would
    draft = path.with_name(f".{secrets.token_hex(8)}.new")
    try:
        with draft.open("x", encoding="utf-8", newline="") as file:
            yield file
        if path.exists():
            shutil.copymode(path, draft)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def is_special(path: Path) -> bool:
    """A pipe, a device: nothing that may be replaced, or can be read again."""
    return path.exists() and not path.is_file() and not path.is_dir()


def require_writable(path: Path) -> None:
    """What takes minutes to measure is to be written there, so it is tried before. Raises OSError,
    which names the file, where it is a folder, a device or write-protected, or the disk is full.
    Leaves nothing behind."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "is a folder, needs the name of a file", str(path))
    if is_special(path):
        raise OSError(errno.EINVAL, "is no regular file, needs the name of a file", str(path))
    missing = [folder for folder in path.parents if not folder.exists()]
    try:
        make_folder(path.parent)
        with naming(path):
            if path.exists() and not os.access(path, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            with tempfile.TemporaryFile(dir=path.parent) as file:
                file.write(bytes(4096))
    finally:
        with suppress(OSError):  # not made, or somebody else's by now
            for folder in missing:
                folder.rmdir()


def write_or_keep(path: Path, text: str) -> tuple[Path, str | None]:
    """write_atomic(), for what took minutes to measure: where that fails, some other file gets it.
    Returns where the text is and, if that is another file, why. Raises OSError where no folder
    takes it."""
    try:
        write_atomic(path, text)
        return path, None
    except OSError as error:
        for folder in (None, ".", "/dev/shm"):  # None: the one for temporary files
            try:
                number, name = tempfile.mkstemp(".json", f"{path.stem[:100]}-", folder)
            except OSError:
                continue
            try:
                with open(number, "w", encoding="utf-8") as file:
                    file.write(text)
                return Path(name).resolve(), error.strerror or str(error)
            except OSError:
                os.unlink(name)
        raise


def write_measured(path: Path, text: str) -> None:
    """write_or_keep(), which raises OSError, too, where some other file has the text: it says
    which."""
    kept, reason = write_or_keep(path, text)
    if reason is not None:
        raise OSError(errno.EIO, f"{reason}; what was measured is in {kept}", str(path))
