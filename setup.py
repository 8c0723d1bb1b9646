"""Has setuptools build the native modules by build_ffi; everything else is in pyproject.toml."""

import os
import shutil
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

sys.path.insert(0, str(Path(__file__).resolve().parent))
import build_ffi


class BuildTiers(build_ext):
    """Our own compiler command: setuptools would prepend the flags that the interpreter itself was
    built with, and a tier's flags are exactly its row of the table."""

    def finalize_options(self) -> None:
        super().finalize_options()
        self.parallel = os.cpu_count()

    def build_extension(self, ext: Extension) -> None:
        tier = ext.name.rpartition("._")[2]
        target, in_place = Path(self.get_ext_fullpath(ext.name)), build_ffi.module_path(tier)
        if not build_ffi.is_current(tier, in_place):
            build_ffi.compile_module(tier, target)
        elif target.resolve() != in_place:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(in_place, target)


try:
    tiers = build_ffi.buildable_tiers()
except build_ffi.BuildError as error:
    sys.exit(f"build_ffi: {error}")

# Modules of the stable ABI make one wheel for every CPython from the oldest that is supported on.
stable_abi = build_ffi.limited_api()

setup(
    ext_modules=[Extension(f"kernels_c._{tier}", [], py_limited_api=stable_abi) for tier in tiers],
    cmdclass={"build_ext": BuildTiers},
    options={"bdist_wheel": {"py_limited_api": "cp310"}} if stable_abi else {},
)
