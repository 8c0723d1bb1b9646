"""The one drawer: a view says what its tables hold, this is how they look as text, Markdown, JSON.

print(render(matrix.view(run), "text"))
"""

from __future__ import annotations

import html
import json
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

from rich.cells import cell_len, chop_cells

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
               two end the line as one, and a third stands below it
    narrow     a word of a heading a line, in a terminal
    folded     a line that is enough for most: a terminal has no more, in a document it opens
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    title: str = ""
    words: int = 2
    sentences: Sequence[str] = ()
    narrow: bool = True
    folded: str = ""

    def without_empty(self, *names: str) -> Table:
        """Without those of these columns in which no row has anything."""
        kept = [
            n
            for n, name in enumerate(self.header)
            if name not in names or any(row[n] for row in self.rows)
        ]
        header, *rows = ([row[n] for n in kept] for row in (self.header, *self.rows))
        return replace(self, header=header, rows=rows)


@dataclass(frozen=True)
class View:
    """Tables, the same as numbers, which is JSON's content, and what is said below all tables.

    title  what is said above them
    width  of a terminal, where what is longer goes on in the next line; 0: lines have no end
    """

    tables: Sequence[Table]
    content: object = None
    notes: Sequence[str] = ()
    title: str = ""
    width: int = 0


def render(view: View, form: str) -> str:
    """The view in one of FORMATS."""
    if form == "json":
        return json.dumps(view.content, indent=2, allow_nan=False)
    if form == "md":
        title = view.title and f"### {escaped(view.title)}"
        return _paragraphs(title, *map(_markdown, view.tables), _lines_of_markdown(view.notes))
    longest = view.width * 2 // 5 or sys.maxsize  # the rest of a line is for figures
    drawn = [_text(table, longest) for table in view.tables]
    text = _paragraphs(one_line(view.title), *drawn, "\n".join(map(one_line, view.notes)))
    return _wrapped(text, view.width) if view.width else text


def _paragraphs(*parts: str) -> str:
    """Those that are not empty, a line between them."""
    return "\n\n".join(filter(None, parts))


# --- For a terminal ------------------------------------------------------------------------------


def _text(table: Table, longest: int) -> str:
    """As wide as it needs to be, but for the first column."""
    if table.folded:
        return one_line(table.folded)
    header, *rows = ([one_line(cell) for cell in row] for row in (table.header, *table.rows))
    beside = [n for n, name in enumerate(header) if name not in table.sentences]
    apart = [n for n, name in enumerate(header) if name in table.sentences]
    names = [chop_cells(row[0], longest) or [""] for row in rows]
    headings = [header[n].split()[::-1] if table.narrow else [header[n]] for n in beside]
    above = list(zip_longest(*headings, fillvalue=""))[::-1]
    cells = [
        [name, *(row[n] for n in beside[1:])] for (*_, name), row in zip(names, rows, strict=True)
    ]
    lines = columns([*above, *cells], table.words)
    drawn = lines[: len(above)]
    if apart:
        drawn[-1] += "  " + ": ".join(header[n] for n in apart[:2])
    # In ASCII: a terminal that cannot show a line's character would show none of it.
    drawn.append("-" * max(map(cell_len, drawn)))
    for line, (*before, _), row in zip(lines[len(above) :], names, rows, strict=True):
        drawn += [*before, *_with_sentences(line, [row[n] for n in apart])]
    lines_below = map(one_line, table.notes)
    return _paragraphs(one_line(table.title), "\n".join([*map(str.rstrip, drawn), *lines_below]))


def _with_sentences(line: str, sentences: Sequence[str]) -> list[str]:
    if not sentences:
        return [line]
    shown = f"{line}  {': '.join(filter(None, sentences[:2]))}"
    below = filter(None, sentences[2:])
    return [shown, *(f"{' ' * cell_len(line)}    {sentence}" for sentence in below)]


def columns(rows: Sequence[Sequence[str]], words: int) -> list[str]:
    """A line for each row: the first columns are words, to the left, the others figures, to the
    right. A cell beyond the widest sticks out: it must not widen all the others."""
    widths = [min(max(map(cell_len, c)), _WIDEST) for c in zip(*rows, strict=True)]

    def padded(number: int, cell: str) -> str:
        space = " " * (widths[number] - cell_len(cell))
        return cell + space if number < words else space + cell

    return ["  ".join(padded(*place) for place in enumerate(row)) for row in rows]


def _wrapped(text: str, width: int) -> str:
    lines = (textwrap.wrap(line, width, subsequent_indent="  ") for line in text.split("\n"))
    return "\n".join("\n".join(parts) for parts in lines)


# --- For a document ------------------------------------------------------------------------------


def _markdown(table: Table) -> str:
    left = [n < table.words or name in table.sentences for n, name in enumerate(table.header)]
    header, *rows = [list(map(escaped, row)) for row in (table.header, *table.rows)]
    rule = ["---" if words else "---:" for words in left]
    drawn = "\n".join(f"| {' | '.join(row)} |" for row in (header, rule, *rows))
    if table.folded:
        summary = html.escape(one_line(table.folded))
        drawn = f"<details><summary>{summary}</summary>\n\n{drawn}\n\n</details>"
    title = table.title and f"**{escaped(table.title)}**"
    return _paragraphs(title, drawn, _lines_of_markdown(table.notes))


def _lines_of_markdown(notes: Sequence[str]) -> str:
    return "  \n".join(map(escaped, notes))
