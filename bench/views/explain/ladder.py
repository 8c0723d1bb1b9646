"""The ladder of a kernel: where its total factor comes from, rung by rung, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from itertools import chain

from bench.analysis.ladder import Ladder, MeasuredRung, Side, ladders, side_by_side
from bench.analysis.rows import at_size
from bench.saved.runs import Metadata, Run
from bench.views import matrix, units
from bench.views.explain.evidence import short
from bench.views.tables import Table, View

# What an int8 product replaces: the trap is that it may not be faster.
INSTEAD_OF = {
    "matmul_i8_i32": "matmul_f32",
    "quantized_matmul_f32": "matmul_f32",
    "prefill_i8": "prefill_f32",
    "decode_i8": "decode_f32",
    "identify_i8": "identify_f32",
}

Found = Sequence[tuple[Run, Ladder]]

_HEADER = ["rung", "changes", "time", "factor", "+-", "so far"]


def view(saved: Sequence[Run], kernel: str | None = None, size: str | None = None) -> View:
    """Of one kernel or all, the largest size or that; the run is said where there are several.
    Raises BadRun."""
    found = [(run, one) for run in saved for one in ladders(run, kernel, size)]
    several = len({run.source for run, _ in found}) > 1
    tables = [_table(one, run, f"{run.source}: " * several) for run, one in found]
    return View(tables, [_as_object(run, one) for run, one in found], _how_to_read(found))


def by_interpreter(
    saved: Sequence[Run], kernel: str | None = None, size: str | None = None
) -> View:
    """Of one kernel or all, the largest size that the runs share or that: what each interpreter
    makes of the same rungs. Raises BadRun."""
    found = side_by_side(saved, kernel, size)
    content = [
        {
            "kernel": sides[0][1].kernel,
            "size": sides[0][1].size,
            "interpreters": {label: [*map(_rung, one.rungs)] for label, one in sides},
        }
        for sides in found
    ]
    return View([_table_by_interpreter(sides) for sides in found], content)


def title(found: Ladder) -> str:
    first, last = found.rungs[0].rung.variant, found.rungs[-1].rung.variant
    single = found.rungs[0].single or found.rungs[-1].single
    total = f"{units.factor(found.total)} {_share(found.uncertainty)}{'?' * single}"
    return f"{found.kernel}, {found.size}: {total} from {first} to {last}"


def _table(found: Ladder, run: Run, before: str) -> Table:
    """A line for each rung."""
    other = INSTEAD_OF.get(found.kernel, "")
    float32 = at_size(run, other, found.size)
    header = [*_HEADER, f"x {other}", "why", "seen"]
    lines = []
    for measured in found.rungs:
        pair = float32.get(measured.rung.variant)
        faster = units.factor(pair[0].minimum / measured.result.minimum) if pair else ""
        lines.append([*_figures(measured), faster, reason(measured), seen(measured.metadata)])
    sentences = ("changes", "why", "seen")
    table = Table(header, lines, _notes(found, run), before + title(found), 1, sentences)
    return table.without_empty(f"x {other}")


def _table_by_interpreter(sides: Sequence[Side]) -> Table:
    """A line for each rung that any of them has: its factor, and how far that has come."""
    ladders_of = [{m.rung.variant: m for m in one.rungs} for _, one in sides]
    header = ["rung", "changes"]
    for label, _ in sides:
        header += [f"{label}: factor", "so far"]
    lines = []
    longest = max(ladders_of, key=len)  # its order counts
    for variant in dict.fromkeys(chain(longest, *ladders_of)):
        each = [of_side.get(variant) for of_side in ladders_of]
        changes = [idea(measured) for measured in each if measured]
        lines.append([variant, changes[-1], *chain.from_iterable(map(_factors, each))])
    found = sides[0][1]
    return Table(header, lines, title=f"{found.kernel}, {found.size}")


def _factors(measured: MeasuredRung | None) -> list[str]:
    """ "2.10x +-3%" over the rung before, and over the first."""
    if measured is None:
        return ["", ""]
    factor = "" if measured.factor is None else units.factor(measured.factor)
    if measured.uncertainty is not None:
        factor += f" {_share(measured.uncertainty)}"
    return [factor, units.factor(measured.cumulative)]


def idea(measured: MeasuredRung) -> str:
    """What changed since the rung below: what the rung changes, and what was to come before it."""
    if measured.factor is None or not measured.skipped:
        return measured.rung.idea
    missing = ", ".join(rung.variant for rung in measured.skipped)
    return f"{measured.rung.idea}, and what {missing} would change"


def reason(measured: MeasuredRung) -> str:
    """Why that matters; nothing where several changes are in one factor."""
    return "" if measured.factor is not None and measured.skipped else measured.rung.reason


def _figures(measured: MeasuredRung) -> list[str]:
    factor = uncertainty = ""
    if measured.factor is not None:
        factor = units.factor(measured.factor)
        uncertainty = _share(measured.uncertainty).removeprefix("+-") + "?" * measured.single
    time = matrix.time((measured.result, measured.metadata))
    so_far = units.factor(measured.cumulative)
    return [measured.rung.variant, idea(measured), time, factor, uncertainty, so_far]


def _share(uncertainty: float | None) -> str:
    if uncertainty is None:
        return "+- unknown"
    return f"+-{units.percent(100 * uncertainty) if uncertainty else '0%'}"


def seen(metadata: Metadata) -> str:
    """What tools and the clock can tell of a rung: rate, instructions, registers, calls."""
    parts = []
    if metadata.side == "native":
        parts.append(matrix.rate(metadata))
        if metadata.percent_of_limit is not None:
            parts.append(f"{units.percent(metadata.percent_of_limit)} of {metadata.bound}")
    if metadata.evidence is not None:
        parts.append(short(metadata.evidence))
    return ", ".join(part for part in parts if part)


def _notes(found: Ladder, run: Run) -> list[str]:
    """What has to be said below a ladder."""
    first, last = found.rungs[0], found.rungs[-1]
    lines = [
        f"total: {units.seconds(first.result.minimum)} / {units.seconds(last.result.minimum)} = "
        f"{units.factor(found.total)}, and so is the product of the factors: all are of one run's "
        "minima."
    ]
    if found.alternated:
        apart = units.change(found.product / found.total - 1)
        lines.append(
            f"measured once more, {found.alternated} of {len(found.rungs) - 1} factors in "
            f"alternating rounds, the product is {units.factor(found.product)} ({apart})."
        )
    if found.remeasured:
        lines.append(
            f"not measured once more: {found.remeasured}; their factors are in both products."
        )
    if any(rung.single for rung in found.rungs):
        lines.append(
            "?: a single call does not say how it repeats; taken is the most that this variant's "
            "other sizes say."
        )
    losses = [c.metadata.loss for c in found.rungs if c.metadata.loss is not None]
    if losses:
        lines.append(
            f"int8 loses {100 * max(losses):.2g} % of the float32 product (relative Frobenius "
            "error)."
        )
    return lines + [f"not in this run: {rung.variant} ({rung.idea})" for rung in found.missing]


def _how_to_read(found: Found) -> list[str]:
    lines = [
        "factor: how many times as fast as the rung before; so far: as the first. +-: how far the "
        "two minima repeat, and how far their ratio differs from that of alternating rounds; of "
        "the total: how far its ends repeat, or the two products differ, whichever is more."
    ]
    if any(rung.metadata.evidence for _, one in found for rung in one.rungs):
        lines.append(
            "instr, B beyond L1: executed, and fetched into a simulated first-level cache, for one "
            "element (products: one multiply-add), at one size of each kernel: "
            f"{_counted_at(found)}."
        )
    return lines


def _counted_at(found: Found) -> str:
    """ "relu_f32 10000; matmul_f32 96 (Python 24)"."""
    sizes_of: dict[str, dict[str, str]] = {}  # kernel: side: size
    for rung in (rung for _, one in found for rung in one.rungs):
        metadata = rung.metadata
        if metadata.evidence is not None and metadata.evidence.size is not None:
            sizes_of.setdefault(metadata.kernel, {})[metadata.side] = metadata.evidence.size
    shown = []
    for kernel, at in sizes_of.items():
        python, native = at.get("python"), at.get("native")
        other = f" (Python {python})" if native and python and python != native else ""
        shown.append(f"{kernel} {native or python}{other}")
    return "; ".join(shown) or "none here"


def _as_object(run: Run, found: Ladder) -> dict[str, object]:
    return {
        "run": run.source,
        "kernel": found.kernel,
        "size": found.size,
        "total": found.total,
        "uncertainty": found.uncertainty,
        "product": found.product,
        "alternated_rungs": found.alternated,
        "apart": found.apart,
        "rungs": [_rung(measured) for measured in found.rungs],
        "missing": [rung.variant for rung in found.missing],
    }


def _rung(measured: MeasuredRung) -> dict[str, object]:
    evidence = measured.metadata.evidence
    return {
        "variant": measured.rung.variant,
        "changes": measured.rung.idea,
        "reason": measured.rung.reason,
        "skipped": [rung.variant for rung in measured.skipped],
        **matrix.as_object(measured.result, measured.metadata),
        "factor": measured.factor,
        "cumulative": measured.cumulative,
        "uncertainty": measured.uncertainty,
        "alternated_factor": measured.alternated,
        "evidence": asdict(evidence) if evidence else None,
    }
