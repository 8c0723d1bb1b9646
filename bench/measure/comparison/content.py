"""What every saved table says besides its cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from bench.measure.machine import metadata
from bench.saved.kinds import Kind


def saved_content(
    kind: Kind, cells: Sequence[Mapping[str, Any]], warnings: Sequence[str] = (), **more: Any
) -> dict[str, Any]:
    """The JSON of a table: what was measured, on what and when."""
    return {
        "format": kind.format,
        "version": kind.version,
        "datetime": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine_info": {
            "cpu": {"brand_raw": metadata.cpu_name()},
            "usable_cores": metadata.usable_cores(),
            "tiers": metadata.tiers(),
        },
        "warnings": list(warnings),
        **more,
        "cells": list(cells),
    }
