"""Single figures from a saved run, as prose quotes them: figure(run, "ratio matmul_f32 500 ...").

time KERNEL SIZE VARIANT             the minimum
ratio KERNEL SIZE A B                how many times as fast B is as A
against KERNEL SIZE VARIANT OTHER    the time of kernel OTHER over that of KERNEL, one variant
total KERNEL SIZE                    the whole ladder
limit KERNEL SIZE VARIANT            how much of what the machine can do it reaches
loss KERNEL SIZE VARIANT             relative Frobenius error of going through int8
instructions KERNEL SIZE VARIANT     executed for one element
element KERNEL                       what an element costs in Python's loop
part KERNEL UNIT                     the share of one part in that
residual KERNEL                      the share that the parts leave unexplained
unit NAME                            one operation of Python
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature

from bench.analysis.cost import CostBreakdown, cost_breakdowns, measured, unit_costs
from bench.analysis.ladder import ladder
from bench.analysis.rows import Pair, at_size
from bench.saved.runs import BadRun, Run
from bench.views import units


def figure(run: Run, words: str) -> str:
    """The figure that the words name. Raises BadRun: no such form, or not in this run."""
    name, *arguments = words.split() or [""]
    form = _FORMS.get(name)
    if form is None:
        raise BadRun(f"{run.source}: got figure {words!r}, needs one of {', '.join(_FORMS)}")
    names = [word for word in signature(form).parameters if word != "run"]
    if len(arguments) != len(names):
        raise BadRun(f"{run.source}: got figure {words!r}, needs {name} {' '.join(names).upper()}")
    return form(run, *arguments)


def _found(run: Run, kernel: str, size: str, variant: str) -> Pair:
    found = at_size(run, kernel, size)
    if variant not in found:
        raise BadRun(f"{run.source}: has no {kernel} of size {size} by {variant}")
    return found[variant]


def _present(run: Run, value: float | None, what: str) -> float:
    if value is None:
        raise BadRun(f"{run.source}: does not say {what}")
    return value


def _time(run: Run, kernel: str, size: str, variant: str) -> float:
    return _found(run, kernel, size, variant)[0].minimum


def _limit(run: Run, kernel: str, size: str, variant: str) -> str:
    share = _found(run, kernel, size, variant)[1].percent_of_limit
    return units.percent(_present(run, share, f"what limits {kernel} by {variant}"))


def _loss(run: Run, kernel: str, size: str, variant: str) -> str:
    loss = _found(run, kernel, size, variant)[1].loss
    return f"{100 * _present(run, loss, f'what {kernel} loses'):.2g}%"


def _instructions(run: Run, kernel: str, size: str, variant: str) -> str:
    evidence = _found(run, kernel, size, variant)[1].evidence
    counted = evidence.instructions if evidence else None
    return units.three_digits(_present(run, counted, f"how many instructions {variant} takes"))


def _cost(run: Run, kernel: str) -> CostBreakdown:
    return cost_breakdowns(run, kernel)[0]


def _part(run: Run, kernel: str, unit: str) -> str:
    found = _cost(run, kernel)
    for part in found.parts:
        if part.unit == unit:
            return units.percent(100 * part.cost.ns / found.whole.ns)
    raise BadRun(f"{run.source}: the loop of {kernel} has no part {unit!r}")


def _unit(run: Run, name: str) -> str:
    costs = unit_costs(measured(run))
    if name not in costs:
        raise BadRun(f"{run.source}: has no operation {name!r}, has {', '.join(costs)}")
    return units.seconds(costs[name].ns * 1e-9)


_FORMS: dict[str, Callable[..., str]] = {
    "time": lambda run, kernel, size, variant: units.seconds(_time(run, kernel, size, variant)),
    "ratio": lambda run, kernel, size, slow, fast: units.factor(
        _time(run, kernel, size, slow) / _time(run, kernel, size, fast)
    ),
    "against": lambda run, kernel, size, variant, other: units.factor(
        _time(run, other, size, variant) / _time(run, kernel, size, variant)
    ),
    "total": lambda run, kernel, size: units.factor(ladder(run, kernel, size).total),
    "limit": _limit,
    "loss": _loss,
    "instructions": _instructions,
    "element": lambda run, kernel: units.seconds(_cost(run, kernel).whole.ns * 1e-9),
    "part": _part,
    "residual": lambda run, kernel: units.change(_cost(run, kernel).unexplained),
    "unit": _unit,
}
