"""What a run says of its machine. machine_info is whatever a file holds: what has another form than
expected counts as not there, and breaks no view."""

from __future__ import annotations

from typing import Any

from bench.saved.runs import Run, one_line


def section(run: Run, name: str) -> dict[str, Any]:
    """An object in machine_info; empty where there is none."""
    found = run.machine.get(name)
    return found if isinstance(found, dict) else {}


def parts(run: Run, name: str) -> dict[str, dict[str, Any]]:
    """Of a section of objects, such as "tiers" and "peers"."""
    return {part: info for part, info in section(run, name).items() if isinstance(info, dict)}


def unavailable(run: Run, name: str) -> dict[str, str]:
    """Of such a section the parts that are missing, and why."""
    found = parts(run, name).items()
    return {part: str(info["unavailable"]) for part, info in found if "unavailable" in info}


def compilers(run: Run) -> list[str]:
    """Of the native tiers."""
    found = (info.get("compiler") for info in parts(run, "tiers").values())
    return list(dict.fromkeys(str(name) for name in found if name))


def cpu(run: Run) -> str:
    said = section(run, "cpu")
    # py-cpuinfo called it "brand" before its version 6.
    return one_line(said.get("brand_raw") or said.get("brand") or "unknown CPU")
