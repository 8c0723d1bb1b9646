"""Instruction counts of many calls, each made by a child process under valgrind.

The child is counted_child.py, or the gate's counts/child.py, which loads what it calls from
elsewhere.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.measure.evidence import callgrind
from bench.measure.evidence.callgrind import Counted, CountingFailed

# What native blocking and streaming are chosen by; valgrind's processor describes its own caches.
_CACHES = {"BAREMETAL_CACHES": "32768,1048576,33554432"}


def count_in_child(
    child: Sequence[str],
    wanted: Sequence[Any],
    scratch: Path,
    harness: Path,
    *,
    environment: Mapping[str, str] | None = None,
    cache: bool = False,
    seconds: float | None = None,
) -> list[Counted | str]:
    """What each of `wanted` took, or why it was not counted.

    child        a module with its arguments; two more follow: a file with `wanted` as JSON, and the
                 file that it has to write, which counted_child.answer does
    harness      where modules are imported from. It runs there: a folder's name may have a colon,
                 which PYTHONPATH takes for the next one
    environment, cache, seconds   see callgrind.count

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
        seconds=seconds,
    )
    try:
        reasons = json.loads(answers.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise CountingFailed("the counted process left no answers") from None
    by_number = {int(c.label): c for c in counts}
    return [
        by_number[number] if reason is None else str(reason)
        for number, (_, reason) in enumerate(zip(wanted, reasons, strict=True))
    ]
