"""What a saved run says of Python's operations and of what its loops execute; checked here."""

from __future__ import annotations

from dataclasses import dataclass

from bench.saved.runs import Result, Run, extra_info


@dataclass(frozen=True)
class Operation:
    """An operation, repeated `repeats` times in each of so many steps of a loop.

    seconds       of one step
    bytecodes     of one step
    instructions  of one step, as callgrind counts them; None where they were not counted
    """

    name: str
    what: str
    repeats: int
    seconds: float
    bytecodes: float
    instructions: float | None
    uncertainty: float | None


def operations(run: Run) -> dict[str, Operation]:
    """Those that the run has measured, by name. Raises BadRun."""
    found = [_operation(run, result) for result in run.results if "operation" in result.extra]
    return {operation.name: operation for operation in found}


def _operation(run: Run, result: Result) -> Operation:
    extra = extra_info(run, result)
    steps = extra.integer("steps", least=1)
    instructions = extra.optional(extra.number, "instructions")
    return Operation(
        name=extra.text("operation"),
        what=extra.text("what"),
        repeats=extra.integer("repeats", least=1),
        seconds=result.minimum / steps,
        bytecodes=extra.number("bytecodes"),
        instructions=None if instructions is None else instructions / steps,
        uncertainty=extra.optional(extra.number, "uncertainty"),
    )


def executed(run: Run, result: Result) -> dict[str, float] | None:
    """The bytecodes of one element of a Python loop, by kind (bench/measure/evidence/bytecodes.py);
    None where the run did not count them. Raises BadRun."""
    extra = extra_info(run, result)
    counts = extra.optional(extra.inner, "bytecodes")
    if counts is None:
        return None
    if "" in counts.content:
        raise extra.bad("bytecodes", "a name for every kind")
    return {kind: counts.number(kind) for kind in counts.content}
