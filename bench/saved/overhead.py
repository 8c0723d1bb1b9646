"""What saved runs say of the boundary between Python and native code: crossings, from the
extra_info of their benchmarks, and how long every kernel took at every size."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bench.saved.runs import BadRun, Checker, Metadata, Result, Run

MOST_ELEMENTS = 10**12


@dataclass(frozen=True)
class Crossing:
    """One way to cross, for `elements` elements together. Times in seconds a call."""

    name: str  # empty call, list to buffer, ...
    binding: str  # Python, cffi API, cffi ABI, ctypes
    elements: int  # 0: none are handed over
    element: str | None  # float32, int8; None where they are not copied
    minimum: float
    median: float
    confirmed: bool
    instructions: float | None  # executed in a call; None: not counted

    @property
    def seconds_per_element(self) -> float | None:
        """None where nothing is copied: the time does not grow with the elements."""
        return self.minimum / self.elements if self.element and self.elements else None


def crossings(run: Run) -> tuple[Crossing, ...]:
    """In the order of measurement. Raises BadRun."""
    check = Checker(run.source)
    return tuple(_crossing(check, result) for result in run.results if "crossing" in result.extra)


def _crossing(check: Checker, result: Result) -> Crossing:
    where, extra = f"{result.fullname}: extra_info", result.extra
    element, instructions = extra.get("element"), extra.get("instructions")
    elements = check.integer(extra.get("elements"), f"{where}.elements")
    if elements > MOST_ELEMENTS:
        raise check.bad(f"{where}.elements", elements, f"at most {MOST_ELEMENTS:g}")
    if element is not None and elements == 0:
        raise check.bad(f"{where}.elements", elements, "at least 1 where elements are copied")
    if instructions is not None:
        instructions = check.number(instructions, f"{where}.instructions")
    return Crossing(
        name=check.text(extra.get("crossing"), f"{where}.crossing"),
        binding=check.text(extra.get("binding"), f"{where}.binding"),
        elements=elements,
        element=None if element is None else check.text(element, f"{where}.element"),
        minimum=result.minimum,
        median=result.median,
        confirmed=extra.get("confirmed") is True,
        instructions=instructions,
    )


# --- Times that grow -----------------------------------------------------------------------------

# How a size is written, by the dimensions of a shape, and which of such shapes are compared: those
# that grow in one way only. Time is proportional to size ** power.
SIZES = {1: ("elements", 1), 2: ("columns", 1), 3: ("side", 3)}


@dataclass(frozen=True)
class Growth:
    """Seconds of each variant of a kernel, by size."""

    kernel: str
    counts: str  # what a size counts: elements, columns of one row, the side of square matrices
    power: int
    times: dict[str, dict[int, float]]

    @property
    def python(self) -> dict[int, float]:
        """Of the fastest Python variant at each size."""
        fastest: dict[int, float] = {}
        for variant, times in self.times.items():
            for size, seconds in times.items() if variant.startswith("py-") else ():
                fastest[size] = min(seconds, fastest.get(size, math.inf))
        return fastest


def growths(run: Run) -> list[Growth]:
    """Of every kernel, in the order of measurement. Raises BadRun."""
    found: dict[str, Growth] = {}
    for result, metadata in run.ours:
        size = _size(metadata)
        if size is None:
            continue
        counts, power = SIZES[len(metadata.shape)]
        growth = found.setdefault(metadata.kernel, Growth(metadata.kernel, counts, power, {}))
        if (growth.counts, growth.power) != (counts, power):
            raise BadRun(
                f"{run.source}: {result.fullname}: extra_info.shape has {len(metadata.shape)} "
                f"dimensions, needs as many as others of {metadata.kernel}"
            )
        if metadata.side == "python" or not metadata.relaxed:
            growth.times.setdefault(metadata.variant, {})[size] = result.minimum
    return list(found.values())


def _size(metadata: Metadata) -> int | None:
    """None for a shape that does not grow in the way that is compared, and for an empty one."""
    *others, last = metadata.shape or (0,)
    if len(metadata.shape) not in SIZES or last < 1:
        return None
    expected = {2: [1], 3: [last, last]}.get(len(metadata.shape), [])
    return last if others == expected else None
