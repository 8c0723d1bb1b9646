"""Which runs, and which of their benchmarks, are wanted; and what there is instead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from bench.analysis.machine import cpu
from bench.saved.archive import Wanted, instant
from bench.saved.checks import listed
from bench.saved.runs import Metadata, Run, interpreter_label

_WHAT = ("kernel", "variant", "size")


class Sieve:
    """Lets through what is wanted of the runs that it is given, but for the last so many."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._asked = (wanted.kernels, wanted.variants, wanted.sizes)
        self._met: tuple[dict[str, None], ...] = ({}, {}, {})  # of these what there is
        self._machines: dict[str, None] = {}
        self._left_out: Counter[str] = Counter()
        self._looked = False  # into any run

    def wanted_of(self, run: Run) -> Run | None:
        """The run with those of its benchmarks that are wanted; None where that is nothing.

        Where kernels, variants or sizes are named, benchmarks that have none, such as third-party
        ones, are not wanted.
        """
        reason = self._unwanted(run)
        self._looked |= reason is None
        if reason is None and any(self._asked):
            results = tuple(result for result, metadata in run.ours if self._is_wanted(metadata))
            reason = None if results else "with nothing of what is wanted"
            run = replace(run, results=results)
        if reason is not None:
            self._left_out[reason] += 1
            return None
        return run

    def _unwanted(self, run: Run) -> str | None:
        since, machines = self._wanted.since, self._wanted.machines
        if machines:
            names = cpu(run), interpreter_label(run)
            self._machines.update(dict.fromkeys(names))
            if not any(_is_part(part, names) for part in machines):
                return "of other machines"
        if since is None:
            return None
        if run.when is None:
            return "without a date"
        return f"from before {since:%Y-%m-%d %H:%M}" if instant(run.when) < instant(since) else None

    def _is_wanted(self, metadata: Metadata) -> bool:
        names = metadata.kernel, metadata.variant, metadata.size
        for met, name in zip(self._met, names, strict=True):
            met[name] = None
        return all(not a or name in a for a, name in zip(self._asked, names, strict=True))

    def remarks(self) -> list[str]:
        """What was left out."""
        return [f"runs {reason}, left out: {count}" for reason, count in self._left_out.items()]

    def unmatched(self) -> list[str]:
        """Of the names that are asked for those that nothing has, and which there are."""
        lines = [
            f"no saved run is of machine {part!r}, but of {listed(self._machines) or 'none'}"
            for part in self._wanted.machines
            if not _is_part(part, self._machines)
        ]
        return lines + [
            f"no saved run has {what} {name!r}, has {listed(met) or 'none'}"
            for what, asked, met in zip(_WHAT, self._asked, self._met, strict=True)
            for name in (asked if self._looked else ())
            if name not in met
        ]


def _is_part(part: str, names: Iterable[str]) -> bool:
    return any(part.casefold() in name.casefold() for name in names)
