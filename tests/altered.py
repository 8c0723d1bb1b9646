"""A copy of some JSON with one value replaced or removed."""

from __future__ import annotations

import copy
from typing import Any


def altered(content: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The value at `path`, names and indices in dots, replaced; removed if value is `...`."""
    changed = copy.deepcopy(content)
    *parents, last = path.split(".")
    holder: Any = changed
    for part in parents:
        holder = holder[int(part)] if part.isdigit() else holder[part]
    place = int(last) if isinstance(holder, list) else last
    if value is ...:
        del holder[place]
    else:
        holder[place] = value
    return changed
