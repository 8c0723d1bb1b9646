"""One kernel's ladder on several interpreters, side by side: what each makes of the same rungs."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from bench.analysis.ladder import Ladder, kernels, ladder, sizes
from bench.saved.runs import BadRun, Run, interpreter_label, one_line
from bench.views import matrix, units
from bench.views.explain.ladder import idea

_Side = tuple[str, Ladder]


def tables(saved: Sequence[Run], kernel: str | None, size: str | None) -> list[list[_Side]]:
    """For each kernel that all runs have a ladder of, at the largest size that they share, each
    interpreter's. Raises BadRun."""
    first, *others = (dict.fromkeys(kernels(run)) for run in saved)
    common = [name for name in first if all(name in other for other in others)]
    wanted = common if kernel is None else [kernel]
    if not wanted:
        raise BadRun(f"{saved[0].source}: shares no kernel's ladder with the other runs")
    return [_sides(saved, name, size) for name in wanted]


def _sides(saved: Sequence[Run], kernel: str, size: str | None) -> list[_Side]:
    first, *others = (dict.fromkeys(sizes(run, kernel)) for run in saved)
    shared = [size for size in first if all(size in other for other in others)]
    if size is None and not shared and first:
        raise BadRun(f"{saved[0].source}: shares no size of {kernel} with the other runs")
    chosen = size or (shared[0] if shared else None)
    return [(interpreter_label(run), ladder(run, kernel, chosen)) for run in saved]


def cells(sides: Sequence[_Side]) -> tuple[list[str], list[list[str]]]:
    """A line for each rung that any of them has: its factor, and how far that has come."""
    by_rung: dict[str, dict[int, list[str]]] = {}
    ideas: dict[str, str] = {}
    for number, (_, found) in enumerate(sides):
        for measured in found.rungs:
            factor = "" if measured.factor is None else units.factor(measured.factor)
            if measured.uncertainty is not None:
                factor += f" +-{units.percent(100 * measured.uncertainty)}"
            shown = [factor, units.factor(measured.cumulative)]
            by_rung.setdefault(measured.rung.variant, {})[number] = shown
            ideas[measured.rung.variant] = idea(measured)
    order = [rung.rung.variant for rung in max((f.rungs for _, f in sides), key=len)]
    names = list(dict.fromkeys([*order, *by_rung]))
    header = ["rung", "changes"]
    for label, _ in sides:
        header += [f"{label}: factor", "so far"]
    lines = []
    for name in names:
        columns = [by_rung[name].get(number, ["", ""]) for number in range(len(sides))]
        lines.append([name, ideas[name], *(cell for column in columns for cell in column)])
    return header, lines


def _title(sides: Sequence[_Side]) -> str:
    found = sides[0][1]
    return f"{found.kernel}, {found.size}"


def as_text(found: Sequence[Sequence[_Side]]) -> str:
    return "\n\n".join(
        f"{one_line(_title(sides))}\n\n{matrix.text_table(*cells(sides), below=[])}"
        for sides in found
    )


def as_markdown(found: Sequence[Sequence[_Side]]) -> str:
    return "\n\n".join(
        f"**{units.escaped(_title(sides))}**\n\n{matrix.markdown_table(*cells(sides), below=[])}"
        for sides in found
    )


def as_json(found: Sequence[Sequence[_Side]]) -> str:
    return json.dumps(
        [
            {
                "kernel": sides[0][1].kernel,
                "size": sides[0][1].size,
                "interpreters": {
                    label: [
                        {"variant": c.rung.variant, "factor": c.factor, "cumulative": c.cumulative,
                         "min_seconds": c.result.minimum, "uncertainty": c.uncertainty}
                        for c in one.rungs
                    ]
                    for label, one in sides
                },
            }
            for sides in found
        ],
        indent=2,
    )  # fmt: skip


FORMATS: dict[str, Callable[[Sequence[Sequence[_Side]]], str]] = {
    "text": as_text,
    "md": as_markdown,
    "json": as_json,
}
