"""What a saved run says of Python's operations and of what its loops execute; checked here."""

from __future__ import annotations

from dataclasses import dataclass

from bench.saved.runs import Checker, Result, Run


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
    check = Checker(run.source)
    found = [_operation(check, r) for r in run.results if "operation" in r.extra]
    return {operation.name: operation for operation in found}


def _operation(check: Checker, result: Result) -> Operation:
    def where(name: str) -> str:
        return f"{result.fullname}: extra_info.{name}"

    extra = result.extra
    steps = check.integer(extra.get("steps"), where("steps"), least=1)
    counted, uncertainty = extra.get("instructions"), extra.get("uncertainty")
    return Operation(
        name=check.text(extra.get("operation"), where("operation")),
        what=check.text(extra.get("what"), where("what")),
        repeats=check.integer(extra.get("repeats"), where("repeats"), least=1),
        seconds=result.minimum / steps,
        bytecodes=check.number(extra.get("bytecodes"), where("bytecodes")),
        instructions=None
        if counted is None
        else check.number(counted, where("instructions")) / steps,
        uncertainty=None
        if uncertainty is None
        else check.number(uncertainty, where("uncertainty")),
    )


def executed(run: Run, result: Result) -> dict[str, float] | None:
    """The bytecodes of one element of a Python loop, by kind (bench/measure/evidence/bytecodes.py);
    None where the run did not count them. Raises BadRun."""
    counts = result.extra.get("bytecodes")
    if counts is None:
        return None
    check, where = Checker(run.source), f"{result.fullname}: extra_info.bytecodes"
    return {
        check.text(kind, where): check.number(count, f"{where}.{kind}")
        for kind, count in check.mapping(counts, where).items()
    }
