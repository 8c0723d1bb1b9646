"""A side's code in this process, beside the other side's: loaded anew, elsewhere in memory.

Two copies of one library, or of one module, may differ by where they lie: by how their code and
data fall into caches and predictors. So every block draws new places.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import mmap
import random
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import kernels_c

_MOST_PAGES = 64  # of padding between two libraries
_held: list[Any] = []  # padding stays where it is until the process ends


def load_tier_copy(module: Path, name: str, scratch: Path, draw: random.Random) -> kernels_c.Tier:
    """The tier built as `module`, from a fresh copy under a fresh path, a random number of pages
    further on. Whether this CPU can run it was asked before."""
    _held.append(mmap.mmap(-1, mmap.PAGESIZE * draw.randint(1, _MOST_PAGES)))
    folder = scratch / f"{len(_held)}-{draw.getrandbits(64):x}"
    folder.mkdir()
    copy = folder / module.name
    shutil.copyfile(module, copy)
    full_name = f"kernels_c._{name}"
    loader = importlib.machinery.ExtensionFileLoader(full_name, str(copy))
    spec = importlib.util.spec_from_file_location(full_name, copy, loader=loader)
    assert spec is not None
    loaded = importlib.util.module_from_spec(spec)
    loader.exec_module(loaded)
    shutil.rmtree(folder)  # mapped, so it lives on without its name
    return kernels_c.Tier(name, loaded)


def load_python_copy(root: Path, module: str, draw: random.Random) -> ModuleType:
    """kernels_py.MODULE of the checkout at `root`, executed anew together with whatever of the
    package it imports."""
    _held.append([object() for _ in range(draw.randrange(4000))])
    with _package_of(root, "kernels_py"):
        return importlib.import_module(f"kernels_py.{module}")


@contextmanager
def _package_of(root: Path, package: str) -> Iterator[None]:
    """Inside, imports of the package come from `root`, and none is known yet; afterwards everything
    is as before."""

    def take_out() -> dict[str, ModuleType]:
        ours = [n for n in sys.modules if n == package or n.startswith(f"{package}.")]
        return {name: sys.modules.pop(name) for name in ours}

    before = take_out()
    sys.path.insert(0, str(root))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(root))
        take_out()
        sys.modules.update(before)
