"""The run that --benchmark-compare names, before pytest-benchmark takes it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.saved import comparable, runs
from bench.saved.checks import NotComparable, read_json
from bench.saved.writing import is_special


def require_readable(name: object, storage: str) -> None:
    """Of what cannot be read pytest-benchmark would end in a traceback, measure and compare with
    nothing, or wait for ever for whoever writes into a pipe. Raises BadRun."""
    path = _file(name)
    if path is not None:
        runs.load(path)
    elif name:
        for path in filter(is_special, Path(storage.removeprefix("file://")).glob("**/*.json")):
            runs.load(path)


def _file(name: object) -> Path | None:
    """None where the option is a pattern for the storage's files."""
    path = Path(name) if isinstance(name, str) else Path()
    return path if path.is_file() or path.is_absolute() or len(path.parts) > 2 else None


def load(benchmarks: Any, name: object) -> None:
    """Into pytest-benchmark's session, which stops at a byte-order mark, or at a benchmark without
    statistics."""
    path, read = _file(name), getattr(benchmarks.storage, "_cache", None)  # files have one
    if path is not None and read is not None and not benchmarks.compared_mapping:
        read[path] = read_json(path, "pytest-benchmark JSON")
        benchmarks.handle_loading()


def make_fit(
    benchmarks: Any,
    machine_info: dict[str, Any],
    compared: dict[str, Any],
    fields: Sequence[str],
    judged: bool,
) -> None:
    """Leave out what cannot be used of the compared run, warn of what makes times incomparable, and
    of nothing else.

    fields   of the statistics, which every benchmark must have
    judged   whether a regression would fail the run

    Raises BadRun where no usable benchmark is left, as nothing would be compared; NotComparable for
    what is not comparable and would be judged.
    """
    read = getattr(benchmarks.storage, "_cache", {})  # by path; the hook is not told it
    source = next((str(p) for p, run in read.items() if run is compared), "that run")
    left_out, other = comparable.make_fit(compared, machine_info, fields, source)
    if other is not None and judged:
        raise NotComparable(other)
    for line in filter(None, [*left_out, other]):
        benchmarks.logger.warning(line)
