"""The lowest versions that pyproject.toml allows, as requirements of exactly those.

    python -m tests.lowest > lowest.txt     what `make package` builds with and runs tests on

A bound that is no version, or that another package's bound excludes, does not install: so it is
not true, and is raised.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def pyproject() -> dict[str, Any]:
    # Python 3.10 has no tomllib; pytest brings tomli along for it.
    toml = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    content: dict[str, Any] = toml.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return content


def requirements(extras: tuple[str, ...] = ("test",)) -> Iterator[str]:
    """Of the build, the project and those extras, as pyproject.toml has them."""
    content = pyproject()
    yield from content["build-system"]["requires"]
    yield from content["project"]["dependencies"]
    for extra in extras:
        yield from content["project"]["optional-dependencies"][extra]


def lowest(requirement: str) -> str:
    """name>=1.2,<3 -> name==1.2"""
    return requirement.partition(",")[0].replace(">=", "==")


if __name__ == "__main__":
    print("\n".join(map(lowest, requirements(("test", *sys.argv[1:])))))
