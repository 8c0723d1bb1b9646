"""A copy of this project that a test may break."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
# Bytecode comes along: Python starts sooner with it.
_LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv*", ".benchmarks", ".peers", ".*_cache", "build", "*.egg-info", "report"
)


class Checkout:
    """The copy, and commands that run inside it with this interpreter."""

    def __init__(self, folder: Path, with_modules: bool = True) -> None:
        self.folder = folder / "checkout"
        shutil.copytree(ROOT, self.folder, ignore=_LEFT_OUT)
        # The report's source folder has the name of the folder that reports are written to.
        source = ROOT / "bench/views/report"
        shutil.copytree(source, self.folder / "bench/views/report", dirs_exist_ok=True)
        if not with_modules:
            for module in (self.folder / "kernels_c").glob("*.so"):
                module.unlink()

    def replace(self, file: str, old: str, new: str) -> None:
        path = self.folder / file
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{file} has {text.count(old)} times {old!r}"
        path.write_text(text.replace(old, new), encoding="utf-8")

    def python(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """python ARGUMENTS, in the copy and on the copy's modules only."""
        env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "COV_"))}
        env.update(PYTHONPATH=str(self.folder), PYTHONDONTWRITEBYTECODE="1", **environment)
        # Its end of every session takes a second, and no test in the copy is of its kind.
        env.setdefault("PYTEST_ADDOPTS", "-p no:hypothesispytest")
        command = [sys.executable, *arguments]
        return subprocess.run(
            command, cwd=self.folder, env=env, capture_output=True, text=True, check=False
        )

    def build(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.python("build_ffi.py", *arguments, **environment)

    def pytest(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.python("-m", "pytest", "-p", "no:cacheprovider", *arguments)

    def json(self, name: str) -> Any:
        return json.loads((self.folder / name).read_text(encoding="utf-8"))


def packed(folder: Path) -> Path:
    """Into FOLDER/wheel what a wheel holds, native modules left out, and into
    FOLDER/*.egg-info/SOURCES.txt the names of what the sdist does."""
    lists = ["egg_info", "--egg-base", str(folder)]
    files = ["build_py", "--build-lib", str(folder / "wheel")]
    command = [sys.executable, "setup.py", "--quiet", *lists, *files]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return folder
