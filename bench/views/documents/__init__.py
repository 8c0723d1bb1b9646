"""Figures in Markdown documents are rendered from saved runs, never typed.

A document says where:

    <!-- render: matrix results/reference.json -->
    ...whatever stands here is replaced...
    <!-- end -->

The path is relative to the document; some tables want to know more: a kernel, its size. A single
figure stands within a sentence; figures.py has the forms:

    <!-- figure: results/reference.json ratio matmul_f32 500 py-loop c-avx2 -->...<!-- end -->
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from inspect import signature
from pathlib import Path
from typing import Any

from bench.analysis.interpreters import load
from bench.saved import alignment as saved_alignment
from bench.saved import contention as saved_contention
from bench.saved import ledger, runs
from bench.saved import peers as peer_runs
from bench.saved.runs import BadRun, Refusal, Run, read_text
from bench.saved.writing import write_atomic
from bench.views import (
    alignment,
    contention,
    interpreters,
    limits,
    matrix,
    peers,
    selfcheck,
    summary,
    tables,
)
from bench.views.documents import claims, figures
from bench.views.explain import cost, ladder, overhead, scaling, split
from bench.views.tables import View


def _run(path: Path) -> Run:
    """What is published is of whole runs."""
    return runs.undamaged(runs.load(path))


def _runs(folder: Path) -> list[Run]:
    return [runs.undamaged(run) for run in load(folder)]


def _ledger(path: Path) -> list[ledger.Entry]:
    gates = ledger.load(path)  # a file that is not there yet holds none
    if not gates:
        raise BadRun(f"{runs.one_line(path)}: holds no gate, needs a ledger of the gate")
    return gates


def _ladder(run: Run, kernel: str, size: str | None = None) -> View:
    return ladder.view([run], kernel, size)


# By name: what reads the file, and what is made of that and of the words after its path.
RENDERERS: dict[str, tuple[Callable[[Path], Any], Callable[..., View]]] = {
    "matrix": (_run, matrix.view),
    "summary": (_run, summary.view),
    "claims": (_run, claims.view),
    "ladder": (_run, _ladder),
    "cost": (_run, cost.view),
    "cost-by-interpreter": (_runs, cost.by_interpreter),
    "split": (_run, split.view),
    "scaling": (_run, scaling.view),
    "machine": (_run, lambda run: View([], notes=[matrix.machine_line(run)])),
    "limits": (_run, lambda run: limits.view(run.limits)),
    "shares": (_run, limits.shares),
    "peers": (peer_runs.load, peers.view),
    "alignment": (saved_alignment.load, alignment.view),
    "contention": (saved_contention.load, contention.view),
    "overhead": (_run, overhead.calls),
    "break-even": (_run, overhead.break_even),
    "interpreters": (_runs, interpreters.view),
    "ledger": (_ledger, selfcheck.view),
}
_RENAMED = {
    "account": "cost",
    "account-by-interpreter": "cost-by-interpreter",
    "growth": "scaling",
    "crossings": "overhead",
}

_FIGURE = re.compile(r"(<!-- figure: (\S+) ([^>]*?) -->)([^<]*)(<!-- end -->)")
_BLOCK = re.compile(r"(<!-- render: (\S+) (\S+)((?: [\w-]+)*) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


class BadDocument(Refusal):
    """A document whose render blocks cannot be followed; the message says which and why."""


def render(path: Path, check: bool = False) -> bool:
    """Bring the blocks of a document up to date; with `check` only look. True if it was stale."""
    text = read_text(path, "Markdown")
    fresh = rendered(text, path)
    if fresh == text:
        return False
    if not check:
        write_atomic(path, fresh)
    return True


def rendered(text: str, path: Path) -> str:
    """The document with every block replaced by what its run says now."""
    for opening, pattern in (("<!-- render: ", _BLOCK), ("<!-- figure: ", _FIGURE)):
        opened, found = text.count(opening), len(pattern.findall(text))
        if opened != found or (pattern is _BLOCK and not found):
            form = "NAME RUN --> ..." if pattern is _BLOCK else "RUN WORDS -->..."
            raise BadDocument(
                f"{path}: {opened} blocks {opening.strip()} opened, {found} complete; each needs "
                f"the form {opening}{form} <!-- end -->"
            )

    def block(match: re.Match[str]) -> str:
        opening, name, run, words, _, closing = match.groups()
        name = _RENAMED.get(name, name)
        if name not in RENDERERS:
            raise BadDocument(f"{path}: got render: {name}, needs one of {', '.join(RENDERERS)}")
        read, view = RENDERERS[name]
        try:
            signature(view).bind(run, *words.split())
        except TypeError as error:
            raise BadDocument(f"{path}: got render: {name}{words}: {error}") from None
        drawn = tables.render(view(read(path.parent / run), *words.split()), "md")
        return f"{opening}{drawn}\n{closing}"

    def single(match: re.Match[str]) -> str:
        opening, run, words, _, closing = match.groups()
        return f"{opening}{figures.figure(loaded(path.parent / run), words)}{closing}"

    loaded = cache(_run)
    return _FIGURE.sub(single, _BLOCK.sub(block, text))
