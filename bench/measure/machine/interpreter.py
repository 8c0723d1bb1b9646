"""Which interpreter this is: goes into every run, and is asked of others before they are measured.

Standard library only, and no import of ours: bench/interpreters runs this file by its path, in
interpreters in which nothing is installed.
"""

from __future__ import annotations

import os
import platform
import re
import shlex
import sys
import sysconfig
from typing import Any

# Options of CPython's configure that change how fast its bytecode runs.
_TELLING = (
    "--enable-optimizations",
    "--with-lto",
    "--enable-shared",
    "--with-computed-gotos",
    "--without-computed-gotos",
    "--with-tail-call-interp",
    "--enable-experimental-jit",
    "--with-pydebug",
    "--disable-gil",
)


def describe() -> dict[str, Any]:
    """The interpreter that runs this, as its state is now.

    label          CPython 3.12.1, CPython 3.14.0t, ... : see label()
    free_threaded  a build that can do without the global interpreter lock
    gil            whether that lock is in use
    jit            whether the JIT compiler is in use; None: a build without one
    debug          a build with CPython's own assertions
    compiler       that it was built with, as platform has it
    configured     what of configure's options bears on speed; distributions may optimise unsaid
    """
    said: dict[str, Any] = {
        "implementation": platform.python_implementation(),
        "version": platform.python_version(),
        "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
        "gil": bool(getattr(sys, "_is_gil_enabled", lambda: True)()),
        "jit": _jit(),
        "debug": hasattr(sys, "gettotalrefcount"),
        "compiler": platform.python_compiler(),
        "configured": [option for option in _configured() if option.partition("=")[0] in _TELLING],
    }
    return {"label": label(said), **said}


def label(said: dict[str, Any]) -> str:
    """ "CPython 3.12.1"; "CPython 3.14.0t", free-threaded, and " GIL" where it has the lock all the
    same; " JIT" or " JIT off" for a build that has one; " debug"."""
    text = f"{said['implementation']} {said['version']}"
    if said["free_threaded"]:
        text += "t GIL" if said["gil"] else "t"
    if said["jit"] is not None:
        text += " JIT" if said["jit"] else " JIT off"
    return text + (" debug" if said["debug"] else "")


def _configured() -> list[str]:
    text = sysconfig.get_config_var("CONFIG_ARGS") or ""
    try:
        return shlex.split(text)
    except ValueError:  # a quote that is not closed
        return text.split()


def _jit() -> bool | None:
    """3.14 says; before, what configure was given and PYTHON_JIT, as CPython 3.13's pylifecycle.c
    reads them."""
    told = getattr(sys, "_jit", None)
    if told is not None:
        return bool(told.is_enabled()) if told.is_available() else None
    for option in _configured():
        match = re.fullmatch(r"--enable-experimental-jit(?:=(yes|yes-off))?", option)
        if match:
            asked = os.environ.get("PYTHON_JIT", "")
            return asked != "0" if match[1] != "yes-off" else asked not in ("", "0")
    return None
