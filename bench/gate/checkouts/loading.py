"""A side's code in this process, beside the other side's: loaded anew, elsewhere in memory.

Two copies of one library, or of one module, may differ by where they lie: by how their code and
data fall into caches and predictors. So every sample draws new places.
"""

from __future__ import annotations

import importlib
import importlib.util
import mmap
import os
import random
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import bench
import kernels_c
from bench.gate.verdicts.errors import GateError
from kernels_c.module_file import why_damaged

_HARNESS = Path(bench.__file__).resolve().parent.parent
_MOST_PAGES = 64  # of padding between two libraries
_held: list[Any] = []  # padding stays where it is until the process ends


def load_tier_copy(module: Path, name: str, scratch: Path, draw: random.Random) -> kernels_c.Tier:
    """The tier built as `module`, from a fresh copy under a fresh path, a random number of pages
    further on. Whether this CPU can run it was asked before. Raises GateError: it is damaged."""
    damage = why_damaged(module)
    if damage:
        raise GateError(f"tier {name} is damaged: {damage} in {module.parent}")
    _held.append(mmap.mmap(-1, mmap.PAGESIZE * draw.randint(1, _MOST_PAGES)))
    folder = scratch / f"{len(_held)}-{draw.getrandbits(64):x}"
    folder.mkdir()
    copy = folder / module.name
    shutil.copyfile(module, copy)
    full_name = f"kernels_c._{name}"
    spec = importlib.util.spec_from_file_location(full_name, copy)
    assert spec is not None and spec.loader is not None
    with _without(lambda: {full_name} & sys.modules.keys()):  # where such an extension puts itself
        loaded = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(loaded)
    shutil.rmtree(folder)  # mapped, so it lives on without its name
    return kernels_c.Tier(name, loaded)


def load_python_copy(root: Path, module: str, draw: random.Random) -> ModuleType:
    """kernels_py.MODULE of the checkout at `root`, executed anew together with whatever of the
    package it imports."""
    _held.append([object() for _ in range(draw.randrange(4000))])
    with _imports_from(root):
        loaded = importlib.import_module(f"kernels_py.{module}")
        for name in _kernel_modules():
            file = sys.modules[name].__file__ or ""
            if not file.startswith(f"{root}{os.sep}"):  # an editable install answers for it
                raise ImportError(f"there is no {name} in its folder, but one in {file}")
        return loaded


def _is_of_kernels(module: str) -> bool:
    return module.partition(".")[0] == "kernels_py"


def _kernel_modules() -> set[str]:
    return set(filter(_is_of_kernels, sys.modules))


def _beside_the_harness(root: Path) -> set[str]:
    """Modules of the side at `root`, or of the one whose harness this is, that are not part of the
    harness: a helper of the kernels at the top of the project, for one."""
    folders = (f"{root}{os.sep}", f"{_HARNESS}{os.sep}")
    return {
        name
        for name, module in sys.modules.items()
        if (getattr(module, "__file__", None) or "").startswith(folders)
        and name.partition(".")[0] not in ("bench", "kernels_c", "build_ffi", "__main__")
    }


@contextmanager
def _without(known: Callable[[], set[str]]) -> Iterator[None]:
    """Inside, the modules that `known` finds are not loaded; afterwards they are, as before, and
    none that it finds then."""
    before = {name: sys.modules.pop(name) for name in sorted(known())}
    try:
        yield
    finally:
        for name in known():
            del sys.modules[name]
        sys.modules.update(before)


@contextmanager
def _imports_from(root: Path) -> Iterator[None]:
    """Inside, imports of kernels_py, and of whatever else of the side it uses, come from `root`,
    and none is known yet; afterwards everything is as before."""
    with _without(lambda: _kernel_modules() | _beside_the_harness(root)):
        sys.path.insert(0, str(root))
        importlib.invalidate_caches()
        try:
            yield
        finally:
            sys.path.remove(str(root))


class _RefusesKernels:
    """Stands first among the finders of modules."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        if _is_of_kernels(name):
            raise GateError(
                f"imports {name} while it is called: both sides are in one process, and it would "
                "get the other side's; import it at the top of the module"
            )


@contextmanager
def no_late_imports() -> Iterator[None]:
    """Inside, which is where a side's functions are called, none of them can import kernels_py: by
    then its name may stand for the other side's."""
    refuses: Any = _RefusesKernels
    with _without(_kernel_modules):
        sys.meta_path.insert(0, refuses)
        try:
            yield
        finally:
            sys.meta_path.remove(refuses)
