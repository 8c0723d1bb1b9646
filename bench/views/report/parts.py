"""What a page is made of: sections, each with words, figures and tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from bench.views.tables import Table

# What a page has room for: charts of one kind, rows and variants of a chart, and benchmarks of
# others in one. The whole matrix has the rest.
MOST_CHARTS, MOST_ROWS, MOST_VARIANTS, MOST_OTHERS = 24, 32, 24, 10


@dataclass(frozen=True)
class Figure:
    """A chart: what it shows in a sentence, for those who do not see it, and its data.

    name  of its file, without the ending; made unique and safe later
    wide  it may take the whole width of a page
    """

    name: str
    drawn: Element
    words: str
    table: Table
    wide: bool = False


@dataclass(frozen=True)
class Section:
    """name: its anchor. words: what was found, then how to read it. folded: what opens on demand.
    content: the same for report.json."""

    name: str
    title: str
    words: Sequence[str] = ()
    figures: Sequence[Figure] = ()
    tables: Sequence[Table] = ()
    folded: Sequence[Folded] = ()
    content: object = None

    @property
    def every_figure(self) -> list[Figure]:
        return [*self.figures, *(f for fold in self.folded for f in fold.figures)]


@dataclass(frozen=True)
class Folded:
    summary: str
    figures: Sequence[Figure] = ()
    tables: Sequence[Table] = ()


def unique_names(wanted: Iterable[str]) -> list[str]:
    """Names fit for a file and an anchor, whatever a kernel is called."""
    names: list[str] = []
    taken: set[str] = set()  # some file systems know no case
    for text in wanted:
        base = re.sub("[^A-Za-z0-9_]+", "-", text)[:60].strip("-") or "chart"
        name, number = base, 1
        while name.lower() in taken:
            number += 1
            name = f"{base}-{number}"
        taken.add(name.lower())
        names.append(name)
    return names


def first(found: Sequence[str], most: int = 3) -> str:
    """ "a, b, c and 4 more", for a sentence."""
    shown = list(found[:most])
    if len(found) > most:
        return f"{', '.join(shown)} and {len(found) - most} more"
    return " and ".join(filter(None, [", ".join(shown[:-1]), *shown[-1:]]))


def plural(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' * (count != 1)}"
