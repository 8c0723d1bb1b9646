"""Makes calls where callgrind counts them: what counted_calls.py runs under valgrind.

    python -m bench.measure.evidence.counted_child WANTED ANSWERS

WANTED is a file with a JSON list of ["case", kernel, variant, size] and ["call", module, function,
arguments]. ANSWERS is written: why an item was not counted, as a JSON list of texts and nulls. An
item's label is its number.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import kernels_c
from bench.measure.calls import call_of
from bench.measure.cases import buffers
from bench.measure.cases.case import Called, Case
from bench.measure.cases.make import make_case
from bench.measure.evidence.counting import WARM_CALLS, counted
from bench.suite import registry

# Native code does not change as it runs: once to map its pages, once to find its caches and memory.
_NATIVE_WARM_CALLS = 2


class Unsupported(Exception):
    """The project, or valgrind's processor, lacks what is called; the message is the reason."""


@cache
def case_at(kernel_name: str, size: str) -> Case:
    """Made once: variants share their input."""
    kernel = registry.kernel(kernel_name)
    return make_case(kernel, kernel.shape_named(size))


def answer(wanted: str, answers: str, called: Callable[[Any], tuple[Called, bool]]) -> None:
    """Have every item of the file `wanted` counted. `called` gives, for an item, the call and
    whether it is native; or raises Unsupported."""
    # Fewer distinct values than are timed: drawing a quarter of a million takes seconds under
    # valgrind, and counts depend on the values only where a kernel branches.
    buffers.BLOCK = 4093
    why_not: list[str | None] = []
    for number, item in enumerate(json.loads(Path(wanted).read_text(encoding="utf-8"))):
        try:
            (function, args), native = called(item)
        except Unsupported as reason:
            why_not.append(str(reason))
            continue
        counted(function, args, str(number), _NATIVE_WARM_CALLS if native else WARM_CALLS)
        why_not.append(None)
    Path(answers).write_text(json.dumps(why_not), encoding="utf-8")


def main(wanted: str, answers: str) -> None:
    def called(item: list[Any]) -> tuple[Called, bool]:
        kind, *what = item
        if kind == "call":
            module, function, args = what
            return (getattr(importlib.import_module(module), function), tuple(args)), False
        kernel, variant, size = what
        try:
            call = call_of(case_at(kernel, size), variant)
        except kernels_c.TierUnavailable as reason:
            raise Unsupported(str(reason)) from None
        return (call.function, call.args), call.implementation != "python"

    answer(wanted, answers, called)


if __name__ == "__main__":
    main(*sys.argv[1:])
