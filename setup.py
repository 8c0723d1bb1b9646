"""Has setuptools build the native modules by build_ffi, and the same bytes each time; everything
else is in pyproject.toml."""

import gzip
import os
import shutil
import sys
import tarfile
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

sys.path.insert(0, str(Path(__file__).resolve().parent))
import build_ffi

# Of every file in sdist and wheel: the earliest that a wheel, which is a zip file, can say.
EPOCH = os.environ.setdefault("SOURCE_DATE_EPOCH", "315532800")


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


class PackBenchmarks(build_py):
    """A wheel has the benchmarks, too: `baremetal-ml` runs them without a checkout."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        folder = Path(self.build_lib, "bench/benchmarks")
        folder.mkdir(parents=True, exist_ok=True)
        for path in [build_ffi.ROOT / "conftest.py", *build_ffi.ROOT.glob("test_bench_*.py")]:
            shutil.copyfile(path, folder / path.name)
            (folder / path.name).chmod(0o644)  # a wheel says it, too: not what a umask leaves


class SameBytes(sdist):
    """The archive without moments, names of users and an order of a folder's own."""

    def make_archive(self, base_name: str, *_: object, base_dir: str = "", **__: object) -> str:
        def plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
            entry.mtime, entry.uid, entry.gid = int(EPOCH), 0, 0
            entry.uname, entry.gname = "", ""
            entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
            return entry

        name = f"{base_name}.tar.gz"
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        with (
            open(name, "wb") as file,
            gzip.GzipFile("", "wb", fileobj=file, mtime=int(EPOCH)) as zipped,
            tarfile.open(mode="w", fileobj=zipped) as archive,
        ):
            for path in sorted(Path(base_dir).rglob("*")):
                archive.add(path, recursive=False, filter=plain)
        return name


try:
    tiers = build_ffi.buildable_tiers()
except build_ffi.BuildError as error:
    sys.exit(f"build_ffi: {error}")

# Modules of the stable ABI make one wheel for every CPython from the oldest that is supported on.
stable_abi = build_ffi.limited_api()

setup(
    ext_modules=[Extension(f"kernels_c._{tier}", [], py_limited_api=stable_abi) for tier in tiers],
    cmdclass={"build_ext": BuildTiers, "build_py": PackBenchmarks, "sdist": SameBytes},
    options={"bdist_wheel": {"py_limited_api": "cp310"}} if stable_abi else {},
)
