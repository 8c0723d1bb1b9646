"""What saved runs say of the overhead of a call into native code, from the extra_info of their
benchmarks."""

from __future__ import annotations

from dataclasses import dataclass

from bench.saved.runs import Checker, Result, Run

MOST_ELEMENTS = 10**12


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
    check = Checker(run.source)
    return tuple(_overhead(check, result) for result in run.results if "overhead" in result.extra)


def _overhead(check: Checker, result: Result) -> CallOverhead:
    where, extra = f"{result.fullname}: extra_info", result.extra
    element, instructions = extra.get("element"), extra.get("instructions")
    elements = check.integer(extra.get("elements"), f"{where}.elements")
    if elements > MOST_ELEMENTS:
        raise check.bad(f"{where}.elements", elements, f"at most {MOST_ELEMENTS:g}")
    if element is not None and elements == 0:
        raise check.bad(f"{where}.elements", elements, "at least 1 where elements are copied")
    if instructions is not None:
        instructions = check.number(instructions, f"{where}.instructions")
    return CallOverhead(
        name=check.text(extra.get("overhead"), f"{where}.overhead"),
        binding=check.text(extra.get("binding"), f"{where}.binding"),
        elements=elements,
        element=None if element is None else check.text(element, f"{where}.element"),
        minimum=result.minimum,
        median=result.median,
        confirmed=extra.get("confirmed") is True,
        instructions=instructions,
    )
