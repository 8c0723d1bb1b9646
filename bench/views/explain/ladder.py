"""The ladder of a kernel: where its total factor comes from, rung by rung, and why."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from bench.analysis.ladder import Climbed, Ladder, kernels, ladder, sizes
from bench.saved.runs import BadRun, Facts, Run, one_line
from bench.views import matrix, units
from bench.views.explain import evidence

# What an int8 product replaces: the trap is that it may not be faster.
INSTEAD_OF = {"matmul_i8_i32": "matmul_f32", "quantized_matmul_f32": "matmul_f32"}

Found = Sequence[tuple[Run, Ladder]]

_HEADER = ["rung", "changes", "time", "factor", "+-", "so far"]


def ladders(run: Run, kernel: str | None = None, size: str | None = None) -> list[Ladder]:
    """Of one kernel, or of all that the run has a ladder of. Raises BadRun."""
    if kernel is not None or not run.ladders:
        return [ladder(run, kernel or "", size)]
    every = kernels(run)
    having = [name for name in every if size is None or size in sizes(run, name)]
    if every and not having:
        raise BadRun(f"{run.source}: has no kernel's ladder at {size!r}")
    return [ladder(run, name, size) for name in having] or [ladder(run, "")]


def title(found: Ladder) -> str:
    first, last = found.rungs[0].rung.variant, found.rungs[-1].rung.variant
    single = found.rungs[0].single or found.rungs[-1].single
    total = f"{units.factor(found.total)} {_share(found.uncertainty)}{'?' * single}"
    return f"{found.kernel}, {found.size}: {total} from {first} to {last}"


def cells(found: Ladder, run: Run) -> tuple[list[str], list[list[str]]]:
    """Header and a line for each rung, as text; the two last columns are reason and evidence."""
    other = INSTEAD_OF.get(found.kernel)
    float32 = _times(run, other, found.size) if other else {}
    header = [*_HEADER, *([f"x {other}"] if float32 else []), "why", "seen"]
    lines = []
    for climbed in found.rungs:
        line = _figures(climbed)
        if float32:
            seconds = float32.get(climbed.rung.variant)
            line.append(units.factor(seconds / climbed.result.minimum) if seconds else "")
        lines.append([*line, reason(climbed), seen(climbed.facts)])
    return header, lines


def idea(climbed: Climbed) -> str:
    """What changed since the rung below: what the rung changes, and what was to come before it."""
    if climbed.factor is None or not climbed.skipped:
        return climbed.rung.idea
    missing = ", ".join(rung.variant for rung in climbed.skipped)
    return f"{climbed.rung.idea}, and what {missing} would change"


def reason(climbed: Climbed) -> str:
    """Why that matters; nothing where several changes are in one factor."""
    return "" if climbed.factor is not None and climbed.skipped else climbed.rung.reason


def _figures(climbed: Climbed) -> list[str]:
    facts = climbed.facts
    return [
        climbed.rung.variant,
        idea(climbed),
        ("" if facts.stable else matrix.UNSTABLE) + units.seconds(climbed.result.minimum),
        "" if climbed.factor is None else units.factor(climbed.factor),
        ""
        if climbed.factor is None
        else _share(climbed.uncertainty).removeprefix("+-") + "?" * climbed.single,
        units.factor(climbed.so_far),
    ]


def _times(run: Run, kernel: str, size: str) -> dict[str, float]:
    found = run.by_kernel.get(kernel, ())
    return {facts.variant: result.minimum for result, facts in found if facts.size == size}


def _share(uncertainty: float | None) -> str:
    if uncertainty is None:
        return "+- unknown"
    return f"+-{units.percent(100 * uncertainty) if uncertainty else '0%'}"


def seen(facts: Facts) -> str:
    """What tools and the clock can tell of a rung: rate, instructions, registers, calls."""
    parts = []
    if facts.side == "native":
        rate = facts.gbps if facts.rate == "GB/s" else facts.gflops
        parts.append(f"{units.three_digits(rate)} {facts.rate}")
        if facts.percent_of_limit is not None:
            parts.append(f"{units.percent(facts.percent_of_limit)} of {facts.bound}")
    if facts.evidence is not None:
        parts.append(evidence.short(facts.evidence))
    return ", ".join(part for part in parts if part)


def notes(found: Ladder, run: Run) -> list[str]:
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
    if found.once_more:
        lines.append(
            f"not measured once more: {found.once_more}; their factors are in both products."
        )
    if any(rung.single for rung in found.rungs):
        lines.append(
            "?: a single call does not say how it repeats; taken is the most that this variant's "
            "other sizes say."
        )
    losses = [c.facts.loss for c in found.rungs if c.facts.loss is not None]
    if losses:
        lines.append(
            f"int8 loses {100 * max(losses):.2g} % of the float32 product (relative Frobenius "
            "error)."
        )
    return lines + [f"not in this run: {rung.variant} ({rung.idea})" for rung in found.missing]


def how_to_read(found: Found) -> list[str]:
    lines = [
        "factor: how many times as fast as the rung before; so far: as the first. +-: how far the "
        "two minima repeat, and how far their ratio differs from that of alternating rounds; of "
        "the total: how far its ends repeat, or the two products differ, whichever is more."
    ]
    if any(rung.facts.evidence for _, one in found for rung in one.rungs):
        lines.append(
            "instr, B beyond L1: executed, and fetched into a simulated first-level cache, for one "
            "element (products: one multiply-add), at one size of each kernel: "
            f"{_counted_at(found)}."
        )
    return lines


def _counted_at(found: Found) -> str:
    """ "relu_f32 10000; matmul_f32 96 (Python 24)"."""
    shown = []
    sizes_of: dict[str, dict[str, str]] = {}  # kernel: side: size
    for _, one in found:
        at = sizes_of.setdefault(one.kernel, {})
        for rung in one.rungs:
            if rung.facts.evidence is not None and rung.facts.evidence.size is not None:
                at[rung.facts.side] = rung.facts.evidence.size
    for kernel, at in sizes_of.items():
        python, native = at.get("python"), at.get("native")
        if native is not None or python is not None:
            other = f" (Python {python})" if native and python and python != native else ""
            shown.append(f"{kernel} {native or python}{other}")
    return "; ".join(shown) or "none here"


# --- The three formats ---------------------------------------------------------------------------


def as_text(found: Found) -> str:
    blocks, heading = [], _headings(found)
    for run, one in found:
        header, lines = cells(one, run)
        lines = [list(map(one_line, line)) for line in lines]
        figures = [[line[0], *line[2:-2]] for line in lines]
        drawn = matrix.columns([[header[0], *header[2:-2]], *figures], texts=1)
        texts = ["changes: why", *(f"{line[1]}: {line[-2]}".rstrip(": ") for line in lines)]
        seen_lines = ["", *(line[-1] for line in lines)]
        rows = []
        for left, text, evidence_line in zip(drawn, texts, seen_lines, strict=True):
            rows.append(f"{left}  {text}")
            if evidence_line:
                rows.append(f"{'':{len(left)}}    {evidence_line}")
        below = map(one_line, notes(one, run))
        blocks.append("\n".join([one_line(heading(run, one)), "", *rows, "", *below]))
    return "\n\n\n".join([*blocks, "\n".join(map(one_line, how_to_read(found)))])


def _headings(found: Found) -> Callable[[Run, Ladder], str]:
    """The title, with the run where there are several."""
    several = len({run.source for run, _ in found}) > 1
    return lambda run, one: f"{run.source}: {title(one)}" if several else title(one)


def as_markdown(found: Found) -> str:
    blocks, heading = [], _headings(found)
    for run, one in found:
        header, lines = cells(one, run)
        table = matrix.markdown_table(header, lines, notes(one, run), texts=2)
        blocks.append(f"**{units.escaped(heading(run, one))}**\n\n{table}")
    return "\n\n".join([*blocks, "  \n".join(map(units.escaped, how_to_read(found)))])


def as_json(found: Found) -> str:
    return json.dumps([_as_object(run, one) for run, one in found], indent=2)


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
        "rungs": [
            {
                "variant": climbed.rung.variant,
                "changes": climbed.rung.idea,
                "reason": climbed.rung.reason,
                "skipped": [rung.variant for rung in climbed.skipped],
                "min_seconds": climbed.result.minimum,
                "stable": climbed.facts.stable,
                "factor": climbed.factor,
                "so_far": climbed.so_far,
                "uncertainty": climbed.uncertainty,
                "alternated_factor": climbed.alternated,
                "gflops": climbed.facts.gflops,
                "gbps": climbed.facts.gbps,
                "bytes": climbed.facts.bytes,
                "bound": climbed.facts.bound,
                "percent_of_limit": climbed.facts.percent_of_limit,
                "relative_frobenius_error": climbed.facts.loss,
                "evidence": evidence.as_object(climbed.facts.evidence),
            }
            for climbed in found.rungs
        ],
        "missing": [rung.variant for rung in found.missing],
    }


FORMATS: dict[str, Callable[[Found], str]] = {
    "text": as_text,
    "md": as_markdown,
    "json": as_json,
}
