"""What tools have seen of a benchmark's code, in a few words."""

from __future__ import annotations

from dataclasses import asdict

from bench.runs import Evidence


def short(evidence: Evidence) -> str:
    return ""


def as_object(evidence: Evidence | None) -> dict[str, object] | None:
    return None if evidence is None else asdict(evidence)
