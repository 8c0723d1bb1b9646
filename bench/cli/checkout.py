"""What needs the project's sources, and what to say where they are not: in an installed wheel."""

from __future__ import annotations

import sys
from pathlib import Path

import kernels_c
from bench.saved.checks import Refusal


def needed_by(command: str) -> Path:
    """The checkout's folder. Raises Refusal."""
    root = kernels_c.checkout()
    if root is None:
        installed = Path(kernels_c.__file__).parent.parent
        raise Refusal(
            f"{command}: needs a checkout of the project, and is run in its folder; this is the "
            f"package installed in {installed}"
        )
    sys.path.append(str(root))  # for build_ffi, wherever the command is called
    return root
