"""What saved runs say of the overhead of a call into native code, from the extra_info of their
benchmarks."""

from __future__ import annotations

from dataclasses import dataclass

from bench.saved.runs import Result, Run, extra_info

_MOST_ELEMENTS = 10**12


@dataclass(frozen=True)
class CallOverhead:
    """One way to call, for `elements` elements together. Times in seconds a call."""

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


def call_overheads(run: Run) -> tuple[CallOverhead, ...]:
    """In the order of measurement. Raises BadRun."""
    return tuple(_overhead(run, result) for result in run.results if "overhead" in result.extra)


def _overhead(run: Run, result: Result) -> CallOverhead:
    extra = extra_info(run, result)
    elements = extra.integer("elements", most=_MOST_ELEMENTS)
    element = extra.optional(extra.text, "element")
    if element is not None and elements == 0:
        raise extra.bad("elements", "at least 1 where elements are copied")
    return CallOverhead(
        name=extra.text("overhead"),
        binding=extra.text("binding"),
        elements=elements,
        element=element,
        minimum=result.minimum,
        median=result.median,
        confirmed=extra.flag("confirmed"),
        instructions=extra.optional(extra.number, "instructions"),
    )
