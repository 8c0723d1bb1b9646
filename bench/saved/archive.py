"""Any number of saved files: which ones are meant, and what each of them holds."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from bench.saved import gates, peers, runs, storage
from bench.saved.checks import BadRun, one_line, read_json
from bench.saved.gates import Gate
from bench.saved.peers import PeerRun
from bench.saved.runs import Run

COMPARISONS = peers.KIND.storage
# Folders that begin with a dot, and are looked into without being named.
_STORAGES = (storage.STORAGE.name, COMPARISONS.name)
_PATTERN = re.compile(r"[*?\[]")
_OURS = "baremetal-ml "


@dataclass(frozen=True)
class Wanted:
    """Which runs are wanted, and which of their benchmarks; empty: all.

    kernels, variants, sizes  exact names; each narrows the benchmarks to those of this suite's
                              kernels that have one of them
    machines                  parts of the CPU's name or the interpreter's, in any case; one will do
    since                     runs from then on; those without a date are left out
    last                      so many of the runs that are left, the newest
    """

    kernels: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    sizes: tuple[str, ...] = ()
    machines: tuple[str, ...] = ()
    since: datetime | None = None
    last: int | None = None


@dataclass(frozen=True)
class Found:
    """The files, each once, in the order of the names; and of the names that lead to none, why."""

    files: tuple[Path, ...]
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class OtherTable:
    """What another command has saved, and the report has no place for. line: says so."""

    line: str


def find(
    names: Sequence[Path] = (), saved: Path = storage.STORAGE, comparisons: Path = COMPARISONS
) -> Found:
    """The files that are named: a file itself; of a folder every *.json below it; what matches a
    pattern. Without names every saved run, and the newest comparison with other libraries; raises
    BadRun where there is no run.

    What begins with a dot is left out below a folder or `*`, but for the storages themselves.
    Links are followed, and lead nowhere twice.
    """
    files: list[Path] = []
    problems: list[str] = []
    if not names:
        files += storage.files(saved)
        with suppress(BadRun):
            files.append(storage.newest(comparisons))
    for name in names:
        if os.path.isdir(name):
            below = _below(name, problems)
            if not below:
                problems.append(f"{one_line(name)}: holds no *.json file")
        elif os.path.exists(name):
            below = [name]
        else:
            below = [path for match in _matches(name) for path in _one_or_below(match, problems)]
            if not below:
                problems.append(f"{one_line(name)}: no such file or folder")
        files += below
    once: dict[str, Path] = {}
    for path in files:
        once.setdefault(os.path.realpath(path), path)
    return Found(tuple(once.values()), tuple(dict.fromkeys(problems)))


def _one_or_below(path: Path, problems: list[str]) -> list[Path]:
    return _below(path, problems) if path.is_dir() else [path]


def _below(folder: Path, problems: list[str]) -> list[Path]:
    def unreadable(error: OSError) -> None:
        problems.append(f"{one_line(error.filename)}: cannot be read ({error.strerror})")

    found: list[Path] = []
    been: set[str] = set()
    for inside, folders, files in os.walk(folder, onerror=unreadable, followlinks=True):
        real = os.path.realpath(inside)
        if real in been:
            folders.clear()
            continue
        been.add(real)
        folders[:] = sorted(_seen(folders))
        found += [Path(inside, file) for file in sorted(_seen(files)) if file.endswith(".json")]
    return found


def _matches(pattern: Path) -> list[Path]:
    """As pathlib matches, whose `**` follows no links: glob's would go round in circles. Its
    versions differ in what they make of `**x`, here `*x`, and of `**` at the end."""
    plain = next((n for n, part in enumerate(pattern.parts) if _PATTERN.search(part)), None)
    if plain is None:
        return []
    base, rest = Path(*pattern.parts[:plain]), pattern.parts[plain:]
    parts = [part if part == "**" else re.sub(r"\*+", "*", part) for part in rest]
    found = sorted(base.glob("/".join([*parts, "*.json"] if rest[-1] == "**" else parts)))
    if any(part.startswith(".") for part in rest):
        return found
    return [path for path in found if all(map(_is_seen, path.relative_to(base).parts))]


def _seen(names: Iterable[str]) -> Iterable[str]:
    return filter(_is_seen, names)


def _is_seen(name: str) -> bool:
    return not name.startswith(".") or name in _STORAGES


def read(path: Path) -> Run | PeerRun | Gate | OtherTable:
    """One file, by what it says that it is; a run, if it says nothing. Raises BadRun."""
    name = one_line(path)
    content = read_json(path, "pytest-benchmark JSON")
    form = content.get("format") if isinstance(content, dict) else None
    if form == gates.FORMAT:
        return gates.from_json(content, name)
    if form == peers.KIND.format:
        return peers.from_json(content, name)
    if isinstance(form, str) and form.startswith(_OURS):
        kind = one_line(form.removeprefix(_OURS))[:60]
        return OtherTable(f"{name}: is a table of {kind}; the report has no place for it")
    return runs.from_json(content, name)


def instant(when: datetime) -> float:
    """Seconds since 1970. A moment that names no time zone is UTC: as pytest-benchmark wrote it
    before its version 5."""
    return (when if when.tzinfo else when.replace(tzinfo=timezone.utc)).timestamp()
