"""The two sides of a gate: a commit and the working tree, each copied to a folder of its own and
built there. The user's checkout is only read.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import build_ffi
from bench.gate.checkouts.processes import in_short, run_group
from bench.gate.checkouts.repository import (
    GitFailed,
    git,
    not_checked_out,
    place,
    resolve,
    text,
    tracked,
    unmodified,
    untracked,
    write_blobs,
)
from bench.gate.checkouts.unchanged import unchanged
from bench.gate.verdicts.errors import GateError
from bench.saved.runs import one_line
from kernels_c.module_file import why_damaged

_BUILD = "build_ffi.py"


@dataclass(frozen=True)
class Side:
    """One side, ready to be measured.

    label   "base" or "head"
    name    how it is called in results: "main (1a2b3c4)", "working tree (1a2b3c4+)"
    root    the folder with its conftest.py
    """

    label: str
    name: str
    root: Path

    def __str__(self) -> str:
        return f"{self.label} {self.name}"

    def module(self, tier: str) -> Path | None:
        """Its native module of that tier; None where it has none."""
        return min((self.root / "kernels_c").glob(f"_{tier}.*so"), default=None)

    @property
    def objects(self) -> Path:
        """Beside its root: what its modules are linked from, a folder for each tier."""
        return self.root.with_name(f"{self.root.name}.objects")


def left_alone(sides: Iterable[Side]) -> AbstractContextManager[None]:
    """Inside, nothing may write to what these sides are measured from. Raises GateError."""
    return unchanged({p: str(s) for s in sides for p in (s.root, s.objects)})


# --- Copying --------------------------------------------------------------------------------------


def prepare_base(root: Path, reference: str, into: Path) -> Side:
    """The files of that commit as they are stored, without touching the repository's index or
    working tree, nor asking the latter's .gitattributes what to make of them."""
    commit = resolve(root, reference)
    top, prefix = place(root)
    into.mkdir()
    index = into.with_name(f"{into.name}.index")
    tree = f"{commit}:{prefix.rstrip('/')}" if prefix else commit
    try:
        git(top, "read-tree", tree, index=index)
    except GitFailed as failed:
        if not prefix:
            raise
        raise GateError(
            f"--base {one_line(reference)}: has no folder {prefix!r} ({failed.reason})"
        ) from None
    write_blobs(top, tracked(top, index), into)
    index.unlink()
    short = commit[:7]
    name = short if commit.startswith(reference) else f"{one_line(reference)} ({short})"
    return Side("base", name, into)


def prepare_head(root: Path, into: Path) -> Side:
    """The working tree as it is now: what is committed, changed, and new but not ignored. What git
    calls unmodified is copied as it is stored, as the base is: the same file is then the same on
    both sides, whatever line ends a checkout gives it."""
    into.mkdir()
    stored = tracked(root)
    names = {name for name in (*stored, *untracked(root)) if _is_copied(root, name, into.parent)}
    regular = {n: stored[n] for n in names & {*stored} if not (root / n).is_symlink()}
    same = unmodified(root, regular)
    left_out = {n: stored[n] for n in not_checked_out(root) if not os.path.lexists(root / n)}
    write_blobs(root, {**same, **left_out}, into)
    for name in names - {*same}:
        (into / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / name, into / name, follow_symlinks=False)
    commit = text(git(root, "rev-parse", "--short=7", "HEAD"))
    # Settings of the user's keep new and modified files from git's list.
    listed = git(root, "status", "--porcelain", "--untracked-files=normal", "--", ".")
    dirty = "+" if listed or {*regular} - {*same} else ""
    return Side("head", f"working tree ({commit}{dirty})", into)


def _is_copied(root: Path, name: str, ours: Path) -> bool:
    source = root / name
    if not source.is_symlink() and not source.is_file():  # deleted, or a submodule
        return False
    if source.is_relative_to(ours):  # this gate's own copies, where TMPDIR is in here
        return False
    # Deleted too where a link has taken a folder's place; copying would write through it.
    return not any((root / folder).is_symlink() for folder in Path(name).parents)


# --- Building ------------------------------------------------------------------------------------


def reuse_modules(root: Path, sides: Sequence[Side]) -> None:
    """Give each side the native modules that are already built in the checkout: each carries a hash
    of all that shaped it, and the build replaces those whose hash is not the side's. Not a damaged
    one, which a base's older build_ffi.py would take by its hash."""
    for module in (root / "kernels_c").glob(f"_*{build_ffi.module_suffix()}"):  # of this Python
        if why_damaged(module):
            continue
        for side in sides:
            if (side.root / "kernels_c").is_dir():
                shutil.copy2(module, side.root / "kernels_c" / module.name)


def build(side: Side, tiers: Sequence[str] = (), beside: Sequence[Side] = ()) -> None:
    """Build its native modules with its own build_ffi.py, in this environment: what is not up to
    date, or all of those tiers. Sides beside it must stay as they are. Raises GateError."""
    script = side.root / _BUILD
    if not script.is_file():
        raise GateError(f"{side}: has no {_BUILD}, so it cannot be built")
    options = ["--force", *(word for tier in tiers for word in ("--tier", tier))] if tiers else []
    if "--objects" in script.read_text(encoding="utf-8", errors="replace"):
        options += ["--objects", str(side.objects)]
    with left_alone(beside):
        code, output, errors = run_group([sys.executable, _BUILD, *options], side.root)
    if code != 0:
        reason = _reason(errors or output, side.root)
        raise GateError(f"{side}: does not build: {reason}")


def _reason(output: str, root: Path) -> str:
    """The line that says what is wrong: the compiler's first error, else the last."""
    lines = [line.strip() for line in output.replace(f"{root}/", "").splitlines() if line.strip()]
    errors = [line for line in lines if re.search(r"\berror\b|Error\b", line)]
    return in_short((errors or lines[-1:] or ["no output"])[0])
