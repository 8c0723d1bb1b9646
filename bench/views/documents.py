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

from bench.saved import ledger, runs
from bench.saved import peers as peer_runs
from bench.saved.peers import PeerRun
from bench.saved.runs import BadRun, Refusal, Run, read_text
from bench.saved.writing import write_atomic
from bench.views import (
    claims,
    figures,
    interpreters,
    limits,
    matrix,
    peers,
    selfcheck,
    summary,
    units,
)
from bench.views.explain import cost, cost_by, ladder, overhead, scaling


def _run(path: Path) -> Run:
    """What is published is of whole runs."""
    return runs.undamaged(runs.load(path))


def _runs(folder: Path) -> list[Run]:
    return [runs.undamaged(run) for run in interpreters.load(folder)]


def _of_run(view: Callable[[Run], str]) -> Callable[[Path], str]:
    return lambda path: view(_run(path))


def _of_peers(view: Callable[[PeerRun], str]) -> Callable[[Path], str]:
    return lambda path: view(peer_runs.load(path))


def _ladder(path: Path, kernel: str, size: str | None = None) -> str:
    run = _run(path)
    return ladder.as_markdown([(run, one) for one in ladder.ladders(run, kernel, size)])


def _account(path: Path, *kernels: str) -> str:
    run = _run(path)
    chosen = [one for kernel in kernels or (None,) for one in cost.accounts(run, kernel)]
    return cost.as_markdown(run, chosen)


def _ledger(path: Path) -> str:
    gates = ledger.load(path)  # a file that is not there yet holds none
    if not gates:
        raise BadRun(f"{runs.one_line(path)}: holds no gate, needs a ledger of the gate")
    return selfcheck.as_markdown(gates)


# By name: what is made of a file, and of the words after it.
RENDERERS: dict[str, Callable[..., str]] = {
    "matrix": _of_run(matrix.as_markdown),
    "summary": _of_run(summary.as_markdown),
    "claims": _of_run(claims.as_markdown),
    "ladder": _ladder,
    "account": _account,
    "account-by-interpreter": lambda path: cost_by.as_markdown(_runs(path)),
    "growth": lambda path, *kernels: scaling.as_markdown(_run(path), kernels),
    "machine": _of_run(lambda run: units.escaped(matrix.machine_line(run))),
    "limits": _of_run(lambda run: limits.as_markdown(run.limits)),
    "shares": _of_run(limits.shares_as_markdown),
    "peers": _of_peers(peers.as_markdown),
    "crossings": _of_run(overhead.crossings_as_markdown),
    "break-even": _of_run(overhead.break_even_as_markdown),
    "interpreters": lambda path: interpreters.as_markdown(_runs(path)),
    "ledger": _ledger,
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
        if name not in RENDERERS:
            raise BadDocument(f"{path}: got render: {name}, needs one of {', '.join(RENDERERS)}")
        renderer, arguments = RENDERERS[name], (path.parent / run, *words.split())
        try:
            signature(renderer).bind(*arguments)
        except TypeError as error:
            raise BadDocument(f"{path}: got render: {name}{words}: {error}") from None
        return f"{opening}{renderer(*arguments)}\n{closing}"

    def single(match: re.Match[str]) -> str:
        opening, run, words, _, closing = match.groups()
        return f"{opening}{figures.figure(loaded(path.parent / run), words)}{closing}"

    loaded = cache(_run)
    return _FIGURE.sub(single, _BLOCK.sub(block, text))
