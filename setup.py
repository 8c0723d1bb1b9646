"""Hands build_ffi's builders to setuptools; everything else is in pyproject.toml."""

import sys
from pathlib import Path

from setuptools import setup

sys.path.insert(0, str(Path(__file__).resolve().parent))
import build_ffi

try:
    tiers = build_ffi.buildable_tiers()
except build_ffi.BuildError as error:
    sys.exit(f"build_ffi: {error}")

# Modules of the stable ABI make one wheel for every CPython from the oldest that is supported on.
confirmed = {"bdist_wheel": {"py_limited_api": "cp310"}} if build_ffi.limited_api() else {}

setup(
    cffi_modules=[f"build_ffi.py:{tier}" for tier in tiers],
    cmdclass={"build_ext": build_ffi.BuildTiers},
    options=confirmed,
)
