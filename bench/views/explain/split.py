"""A token's time by kernel and layer, as a table; analysis/split.py adds it up."""

from __future__ import annotations

from dataclasses import asdict

from bench.analysis.split import Split, splits
from bench.saved.runs import Run
from bench.views import units
from bench.views.tables import Table, View


def view(run: Run, *kernels: str) -> View:
    """Of these programs, of all without any: a table for each variant. Raises BadRun."""
    found = [one for kernel in kernels or (None,) for one in splits(run, kernel)]
    return View([_table(one) for one in found], [_as_object(one) for one in found], [_NOTE])


_NOTE = (
    "Each kernel of the chain by itself, where it stands in a token, less what an empty call "
    "costs. The residual is what one native call for the whole token takes beyond their sum: "
    "below zero where they overlap."
)


def _table(found: Split) -> Table:
    layers = found.layers
    header = ["kernel", *(f"layer {layer}" for layer in layers), "outside", "together", "share"]
    lines = []
    for kernel, together in found.kernels.items():
        each = [found.parts.get((layer, kernel)) for layer in (*layers, None)]
        lines.append([kernel, *map(_time, each), *_shares(together, found.whole)])
    in_layers = [
        sum(seconds for (at, _), seconds in found.parts.items() if at == layer)
        for layer in (*layers, None)
    ]
    lines.append(["sum", *map(_time, in_layers), *_shares(found.explained, found.whole)])
    blank = [""] * (len(layers) + 1)
    lines.append(["residual", *blank, *_shares(found.residual, found.whole)])
    lines.append(["the token", *blank, *_shares(found.whole, found.whole)])
    title = f"{found.kernel}, {found.size}: {found.variant}"
    return Table(header, lines, title=title, words=1)


def _time(seconds: float | None) -> str:
    return "" if seconds is None else units.seconds(seconds)


def _shares(seconds: float, whole: float) -> list[str]:
    sign = "-" if seconds < 0 else ""
    return [sign + units.seconds(abs(seconds)), f"{100 * seconds / whole:.0f}%"]


def _as_object(found: Split) -> dict[str, object]:
    parts = [{"layer": at, "kernel": k, "seconds": s} for (at, k), s in found.parts.items()]
    return {**asdict(found), "parts": parts, "residual": found.residual}
