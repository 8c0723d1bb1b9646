"""Instruction counts of many calls: what asks for them, and the process that makes the calls.

    python -m bench.measure.evidence.counted_calls WANTED ANSWERS

is what runs under valgrind, unless it is the gate's counts/child.py, which loads what it calls from
elsewhere. WANTED is a file with a JSON list of ["case", kernel, variant, size] and ["call", module,
function, arguments]. ANSWERS is written: why an item was not counted, as a JSON list of texts and
nulls. An item's label is its number.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import kernels_c
from bench.measure.calls import call_of
from bench.measure.cases import buffers
from bench.measure.cases.case import Called, Case
from bench.measure.cases.make import make_case
from bench.measure.evidence import callgrind
from bench.measure.evidence.callgrind import Counted, CountingFailed
from bench.measure.evidence.counting import PARENT, WARM_CALLS, counted
from bench.measure.timing.child import die_with_parent
from bench.suite import registry

# What native blocking and streaming are chosen by; valgrind's processor describes its own caches.
_CACHES = {"BAREMETAL_CACHES": "32768,1048576,33554432"}
# Far beyond what counting takes: a kernel that hangs must hang nothing else.
_TIMEOUT = 900.0
# Native code does not change as it runs: once to map its pages, once to find its caches and memory.
_NATIVE_WARM_CALLS = 2


def count_in_child(
    child: Sequence[str],
    wanted: Sequence[Any],
    scratch: Path,
    harness: Path,
    *,
    environment: Mapping[str, str] | None = None,
    cache: bool = False,
) -> list[Counted | str]:
    """What each of `wanted` took, or why it was not counted.

    child        a module with its arguments; WANTED and ANSWERS follow
    harness      where modules are imported from. It runs there: a folder's name may have a colon,
                 which PYTHONPATH takes for the next one
    environment, cache   see callgrind.count

    Raises CountingFailed.
    """
    questions, answers = scratch / "wanted.json", scratch / "answers.json"
    questions.write_text(json.dumps(wanted), encoding="utf-8")
    counts = callgrind.count(
        [sys.executable, "-m", *child, str(questions), str(answers)],
        scratch,
        cwd=harness,
        environment={**_CACHES, **(environment or {})},
        cache=cache,
        seconds=_TIMEOUT,
    )
    by_number = {c.label: c for c in counts}
    try:
        reasons = json.loads(answers.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # what was called has ended the process
        raise CountingFailed("the counted process left no answers") from None
    return [by_number.get(str(number), reason) for number, reason in enumerate(reasons)]


# --- In the child --------------------------------------------------------------------------------


class Unsupported(Exception):
    """The project, or valgrind's processor, lacks what is called; the message is the reason."""


@cache
def case_at(kernel_name: str, size: str) -> Case:
    """Made once: variants share their input."""
    kernel = registry.kernel(kernel_name)
    return make_case(kernel, kernel.shape_named(size))


def answer(wanted: str, answers: str, called: Callable[[Any], tuple[Called, bool]]) -> None:
    """Have every item of the file `wanted` counted. `called` gives, for an item, the call and
    whether it is native; or raises Unsupported, kernels_c.TierUnavailable."""
    if PARENT in os.environ:
        die_with_parent(int(os.environ[PARENT]))
    # Fewer distinct values than are timed: drawing a quarter of a million takes seconds under
    # valgrind, and counts depend on the values only where a kernel branches.
    buffers.BLOCK = 4093
    why_not: list[str | None] = []
    for number, item in enumerate(json.loads(Path(wanted).read_text(encoding="utf-8"))):
        try:
            (function, args), native = called(item)
        except (Unsupported, kernels_c.TierUnavailable) as reason:
            why_not.append(str(reason))
            continue
        counted(function, args, str(number), _NATIVE_WARM_CALLS if native else WARM_CALLS)
        why_not.append(None)
    Path(answers).write_text(json.dumps(why_not), encoding="utf-8")


def _called(item: Sequence[Any]) -> tuple[Called, bool]:
    kind, *what = item
    if kind == "call":
        module, function, args = what
        return (getattr(importlib.import_module(module), function), tuple(args)), False
    kernel, variant, size = what
    call = call_of(case_at(kernel, size), variant)
    return (call.function, call.args), call.implementation != "python"


if __name__ == "__main__":
    answer(sys.argv[1], sys.argv[2], _called)
