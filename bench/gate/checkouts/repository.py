"""What the gate asks git: which commit, which files, and what they hold. Git is only asked."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from bench.gate.checkouts.processes import in_short
from bench.gate.verdicts.errors import GateError
from bench.saved.runs import one_line

# Reading must not write: `git status` would refresh the index, a split index would be written to
# .git, and hooks and monitors are programs of the user's. (So are filters; git runs those to tell
# whether a file was modified.) A commit is what its id says, whatever `git replace` puts there.
_READ_ONLY = (
    "--no-optional-locks",
    "--no-replace-objects",
    *("-c", "core.splitIndex=false"),
    *("-c", f"core.hooksPath={os.devnull}"),
    *("-c", "core.fsmonitor=false"),
)
_LINK, _SUBMODULE, _EXECUTABLE = "120000", "160000", "100755"

Files = dict[str, tuple[str, str]]  # name -> git's mode, and the id of what it holds


class GitFailed(GateError):
    """A git command that failed. reason: what git said, in one line; empty where it said nothing"""

    def __init__(self, command: str, reason: str) -> None:
        super().__init__(f"git {command} failed: {reason or 'it gave no reason'}")
        self.reason = reason


def git(root: Path, *arguments: str, index: Path | None = None, stdin: bytes = b"") -> bytes:
    """Standard output of a git command. Raises GitFailed with what git said."""
    try:
        answer = subprocess.run(
            _command(root, *arguments),
            input=stdin,
            capture_output=True,
            check=False,
            env=_environment(index),
        )
    except FileNotFoundError:
        raise GateError(
            "git was not found; install it (Debian, Ubuntu: apt-get install git)"
        ) from None
    if answer.returncode != 0:
        raise GitFailed(arguments[0], _reason(answer.stderr.decode(errors="replace")))
    return answer.stdout


def _command(root: Path, *arguments: str) -> list[str]:
    return ["git", *_READ_ONLY, "-C", str(root), *arguments]


def _environment(index: Path | None = None) -> dict[str, str]:
    """Without what leads git elsewhere, and in the language in which it is understood here. Where
    the user's settings are (safe.directory, for one) leads nowhere."""
    kept = ("GIT_CONFIG_", "GIT_DISCOVERY_")
    environment = {
        k: v for k, v in os.environ.items() if not k.startswith("GIT_") or k.startswith(kept)
    }
    environment["LC_ALL"] = "C"
    if index is not None:
        environment["GIT_INDEX_FILE"] = str(index)
    return environment


def _reason(said: str) -> str:
    """In one line: from the error on, as what helps stands below it."""
    error = re.search(r"^(?:fatal|error): ", said, re.MULTILINE)
    return in_short(" ".join(said[error.start() if error else 0 :].split()))


def text(output: bytes) -> str:
    return os.fsdecode(output).strip("\n")


def resolve(root: Path, reference: str) -> str:
    """The commit that a reference names. Raises GateError."""
    try:
        inside = text(git(root, "rev-parse", "--is-inside-work-tree"))
    except GitFailed as failed:
        if "not a git repository" not in failed.reason:  # a repository of somebody else's, damaged
            raise
        inside = ""
    if inside != "true":
        raise GateError(f"{root}: not in a git repository, so it has no base commit")
    said = ""
    try:
        wanted = f"{reference}^{{commit}}"
        commit = text(git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", wanted))
    except GitFailed as failed:
        commit, said = "", f" ({failed.reason})" if failed.reason else ""
    if not re.fullmatch("[0-9a-f]+", commit):  # ^main is no commit, but all that main does not have
        raise GateError(
            f"--base {one_line(reference)}: there is no such commit here{said}; needs a branch, a "
            "tag or a commit (a shallow clone lacks most: git fetch --unshallow)"
        )
    return commit


def place(root: Path) -> tuple[Path, str]:
    """The repository's own folder, and where `root` lies in it: "", or "project/"."""
    top = Path(text(git(root, "rev-parse", "--show-toplevel")))
    return top, text(git(root, "rev-parse", "--show-prefix"))


def tracked(root: Path, index: Path | None = None) -> Files:
    """The files of the index below `root`; what submodules hold is not theirs."""
    found: Files = {}
    for entry in _listed(root, "--stage", index=index):
        about, _, name = entry.partition("\t")
        mode, blob, _ = about.split()
        if mode != _SUBMODULE:
            found[name] = mode, blob
    return found


def not_checked_out(root: Path) -> list[str]:
    """Those of the index that a sparse checkout leaves out: they are not deleted."""
    return [entry[2:] for entry in _listed(root, "-t", "--cached") if entry.startswith("S ")]


def untracked(root: Path) -> list[str]:
    """New files that are not ignored."""
    return _listed(root, "--others", "--exclude-standard")


def _listed(root: Path, *what: str, index: Path | None = None) -> list[str]:
    listed = git(root, "ls-files", "-z", *what, index=index)
    return [os.fsdecode(entry) for entry in listed.split(b"\0") if entry]


def unmodified(root: Path, files: Mapping[str, tuple[str, str]]) -> Files:
    """Those of these regular files that git would store in the working tree's state as they are
    stored: with other line ends, for one, a file is still the same."""
    top, prefix = place(root)
    names = "\n".join(_quoted(prefix + name) for name in files)
    ids = git(top, "hash-object", "--stdin-paths", stdin=names.encode()).decode().split()
    return {
        name: (_EXECUTABLE if os.access(root / name, os.X_OK) else mode, blob)
        for (name, (mode, blob)), now in zip(files.items(), ids, strict=True)
        if blob == now
    }


def _quoted(name: str) -> str:
    return '"' + "".join(f"\\{byte:03o}" for byte in os.fsencode(name)) + '"'


# --- What files hold -----------------------------------------------------------------------------


def write_blobs(root: Path, files: Mapping[str, tuple[str, str]], into: Path) -> None:
    """The files byte for byte as they are stored, whatever attributes, filters and settings would
    make of them in a working tree. Raises GateError where one does not hold what its id says."""
    # A file with all ids: git does not read on from a pipe while nobody reads what it writes.
    with tempfile.TemporaryFile() as ids:
        ids.writelines(f"{blob}\n".encode() for _, blob in files.values())
        ids.seek(0)
        process = subprocess.Popen(
            _command(root, "cat-file", "--batch", "--buffer"),
            stdin=ids,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
        )
    with process:
        assert process.stdout is not None
        try:
            for name, (mode, blob) in files.items():
                target = into / name
                target.parent.mkdir(parents=True, exist_ok=True)
                if not _write_next(process.stdout, target, mode, blob):
                    raise GateError(f"{one_line(name)}: git lacks what it holds, {blob}: git fsck")
        finally:
            process.kill()


def _write_next(blobs: IO[bytes], target: Path, mode: str, blob: str) -> bool:
    """One file from `git cat-file --batch`; False where it does not come, or not as its id says."""
    _, kind, size = (*blobs.readline().split(), b"", b"", b"")[:3]
    if kind != b"blob":
        return False
    content = blobs.read(int(size))
    blobs.read(1)  # a line's end
    found = hashlib.new("sha1" if len(blob) == 40 else "sha256", usedforsecurity=False)
    found.update(b"blob %s\0" % size)
    found.update(content)
    if found.hexdigest() != blob:
        return False
    if mode == _LINK:
        target.symlink_to(os.fsdecode(content))
    else:
        target.touch(0o777 if mode == _EXECUTABLE else 0o666, exist_ok=False)
        target.write_bytes(content)
    return True
