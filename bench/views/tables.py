"""The one drawer: a view says what its tables hold, this is how they look as text, Markdown, JSON.

print(render(matrix.view(run), "text"))
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from rich.cells import cell_len

from bench.saved.runs import one_line
from bench.views.units import escaped

FORMATS = ("json", "md", "text")
_WIDEST = 200  # characters of a column


@dataclass(frozen=True)
class Table:
    """Header and cells, as plain text: what is special in a format is escaped here.

    notes      what has to be said below: how to read it, what is missing and why
    words      so many columns come first that hold words; the others hold figures
    sentences  headings of columns too long for figures to stand beside them in a terminal: there
               they end the line as one, but for the last, which stands below it
    narrow     a word of a heading a line, in a terminal
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    title: str = ""
    words: int = 2
    sentences: Sequence[str] = ()
    narrow: bool = True


@dataclass(frozen=True)
class View:
    """Tables, the same as numbers, which is JSON's content, and what is said below all tables."""

    tables: Sequence[Table]
    content: object = None
    notes: Sequence[str] = ()


def render(view: View, form: str) -> str:
    """The view in one of FORMATS."""
    if form == "json":
        return json.dumps(view.content, indent=2)
    if form == "md":
        return "\n\n".join([*map(_markdown, view.tables), *_paragraph(view.notes)])
    return "\n\n".join([*map(_text, view.tables), *_lines(view.notes)])


# --- For a terminal ------------------------------------------------------------------------------


def _text(table: Table) -> str:
    """As wide as it needs to be."""
    header, *rows = ([one_line(cell) for cell in row] for row in (table.header, *table.rows))
    beside = [n for n, name in enumerate(header) if name not in table.sentences]
    apart = [n for n, name in enumerate(header) if name in table.sentences]
    headings = [header[n].split()[::-1] if table.narrow else [header[n]] for n in beside]
    above = list(zip_longest(*headings, fillvalue=""))[::-1]
    lines = columns([*above, *([row[n] for n in beside] for row in rows)], table.words)
    drawn = lines[: len(above)]
    if apart:
        drawn[-1] += "  " + ": ".join(header[n] for n in apart[:-1])
    # In ASCII: a terminal that cannot show a line's character would show none of it.
    drawn.append("-" * max(map(cell_len, drawn)))
    for line, row in zip(lines[len(above) :], rows, strict=True):
        drawn += _with_sentences(line, [row[n] for n in apart])
    title = [one_line(table.title), ""] if table.title else []
    return "\n".join([*title, *map(str.rstrip, drawn), *map(one_line, table.notes)])


def _with_sentences(line: str, sentences: Sequence[str]) -> list[str]:
    if not sentences:
        return [line]
    *ending, below = sentences
    shown = f"{line}  {': '.join(filter(None, ending))}"
    return [shown, f"{' ' * cell_len(line)}    {below}"] if below else [shown]


def columns(rows: Sequence[Sequence[str]], words: int) -> list[str]:
    """A line for each row: the first columns are words, to the left, the others figures, to the
    right. A cell beyond the widest sticks out: it must not widen all the others."""
    widths = [min(max(map(cell_len, c)), _WIDEST) for c in zip(*rows, strict=True)]

    def padded(number: int, cell: str) -> str:
        space = " " * (widths[number] - cell_len(cell))
        return cell + space if number < words else space + cell

    return ["  ".join(padded(*place) for place in enumerate(row)) for row in rows]


def _lines(notes: Sequence[str]) -> list[str]:
    return ["\n".join(map(one_line, notes))] if notes else []


# --- For a document ------------------------------------------------------------------------------


def _markdown(table: Table) -> str:
    left = [n < table.words or name in table.sentences for n, name in enumerate(table.header)]
    header, *rows = [list(map(escaped, row)) for row in (table.header, *table.rows)]
    rule = ["---" if words else "---:" for words in left]
    drawn = "\n".join(f"| {' | '.join(row)} |" for row in (header, rule, *rows))
    title = [f"**{escaped(table.title)}**"] if table.title else []
    return "\n\n".join([*title, drawn, *_paragraph(table.notes)])


def _paragraph(notes: Sequence[str]) -> list[str]:
    return ["  \n".join(map(escaped, notes))] if notes else []
