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

from bench.analysis.interpreters import load
from bench.saved import ledger, runs
from bench.saved import peers as peer_runs
from bench.saved.runs import BadRun, Refusal, Run, read_text
from bench.saved.writing import write_atomic
from bench.views import interpreters, limits, matrix, peers, selfcheck, summary, tables
from bench.views.documents import claims, figures
from bench.views.explain import cost, ladder, overhead, scaling
from bench.views.tables import View


def _run(path: Path) -> Run:
    """What is published is of whole runs."""
    return runs.undamaged(runs.load(path))


def _runs(folder: Path) -> list[Run]:
    return [runs.undamaged(run) for run in load(folder)]


def _of_run(view: Callable[[Run], View]) -> Callable[[Path], View]:
    return lambda path: view(_run(path))


def _ladder(path: Path, kernel: str, size: str | None = None) -> View:
    return ladder.view([_run(path)], kernel, size)


def _ledger(path: Path) -> View:
    gates = ledger.load(path)  # a file that is not there yet holds none
    if not gates:
        raise BadRun(f"{runs.one_line(path)}: holds no gate, needs a ledger of the gate")
    return selfcheck.view(gates)


# By name: what is made of a file, and of the words after it.
RENDERERS: dict[str, Callable[..., View | str]] = {
    "matrix": _of_run(matrix.view),
    "summary": _of_run(summary.view),
    "claims": _of_run(claims.view),
    "ladder": _ladder,
    "cost": lambda path, *kernels: cost.view(_run(path), kernels),
    "cost-by-interpreter": lambda path: cost.by_interpreter(_runs(path)),
    "scaling": lambda path, *kernels: scaling.view(_run(path), kernels),
    "machine": _of_run(lambda run: View([], notes=[matrix.machine_line(run)])),
    "limits": _of_run(lambda run: limits.view(run.limits)),
    "shares": _of_run(limits.shares),
    "peers": lambda path: peers.view(peer_runs.load(path)),
    "overhead": _of_run(overhead.calls),
    "break-even": _of_run(overhead.break_even),
    "interpreters": lambda path: interpreters.view(_runs(path)),
    "ledger": _ledger,
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
        renderer = RENDERERS.get(_RENAMED.get(name, name))
        if renderer is None:
            raise BadDocument(f"{path}: got render: {name}, needs one of {', '.join(RENDERERS)}")
        arguments = (path.parent / run, *words.split())
        try:
            signature(renderer).bind(*arguments)
        except TypeError as error:
            raise BadDocument(f"{path}: got render: {name}{words}: {error}") from None
        made = renderer(*arguments)
        drawn = made if isinstance(made, str) else tables.render(made, "md")
        return f"{opening}{drawn}\n{closing}"

    def single(match: re.Match[str]) -> str:
        opening, run, words, _, closing = match.groups()
        return f"{opening}{figures.figure(loaded(path.parent / run), words)}{closing}"

    loaded = cache(_run)
    return _FIGURE.sub(single, _BLOCK.sub(block, text))
