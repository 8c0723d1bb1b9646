"""What the sdist and the wheel hold, and lower bounds that say the same wherever they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import lowest
from tests.checkout import ROOT, Checkout, packed

EXTRAS = ("test", "fuzz", "release", "peers", "magika", "train")


def git_files(*options: str) -> set[str]:
    command = ["git", "-C", str(ROOT), "ls-files", "-z", *options]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {name for name in listed.split("\0") if (ROOT / name).is_file()}


def below(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return packed(tmp_path_factory.mktemp("packed"))


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this is no git repository")
def test_the_sdist_is_every_file_under_version_control(folder: Path) -> None:
    (listed,) = folder.glob("*.egg-info/SOURCES.txt")
    files = set(listed.read_text(encoding="utf-8").splitlines())
    made = {name for name in files if ".egg-info/" in name}
    assert git_files() - files == set()
    assert files - made - git_files("--cached", "--others", "--exclude-standard") == set()


def test_a_wheel_has_what_runs_and_no_source_of_modules(folder: Path) -> None:
    python = [p for room in ("bench/**", "engine", "kernels_?*") for p in ROOT.glob(f"{room}/*.py")]
    runs = [*python, *ROOT.glob("engine/models/*"), *ROOT.glob("bench/views/report/templates/*")]
    named = {path.relative_to(ROOT).as_posix() for path in runs}
    benchmarks = [ROOT / "conftest.py", *ROOT.glob("test_bench_*.py")]
    named |= {f"bench/benchmarks/{path.name}" for path in benchmarks}
    assert below(folder / "wheel") == named


def test_an_sdist_is_the_same_bytes_whatever_the_moment_and_the_umask(tmp_path: Path) -> None:
    made = []
    for mask, moment in ((0o022, 1_000_000_000), (0o077, 1_600_000_000)):
        checkout = Checkout(tmp_path / str(moment), with_modules=False)
        for path in checkout.folder.rglob("*"):
            os.utime(path, (moment, moment))
            path.chmod(path.stat().st_mode & ~mask)
        code = (
            f"import os, runpy, sys; os.umask({mask}); sys.argv = ['setup.py', '-q', 'sdist']\n"
            "runpy.run_path('setup.py', run_name='__main__')"
        )
        answer = checkout.python("-c", code)
        assert answer.returncode == 0, answer.stderr
        (archive,) = checkout.folder.glob("dist/*.tar.gz")
        made.append(archive.read_bytes())
    assert made[0] == made[1]


def test_the_version_stands_in_one_place() -> None:
    version = lowest.pyproject()["project"]["version"]
    sources = [p for room in ("bench", "engine", "kernels_c") for p in (ROOT / room).rglob("*.py")]
    sources += [ROOT / "setup.py", ROOT / "build_ffi.py"]
    assert [p for p in sources if f'"{version}"' in p.read_text(encoding="utf-8")] == []


def test_a_package_has_one_lower_bound() -> None:
    bounds: dict[str, set[str]] = {}
    for requirement in lowest.requirements(EXTRAS):
        name, bound = re.fullmatch(r"([a-z0-9-]+)([=><.,0-9]+)", requirement).groups()  # type: ignore[union-attr]
        bounds.setdefault(name, set()).add(bound)
    assert {name: found for name, found in bounds.items() if len(found) != 1} == {}
    minimum = lowest.pyproject()["tool"]["pytest"]["ini_options"]["minversion"]
    assert bounds["pytest"] == {f">={minimum}"}


def test_every_requirement_has_a_version_that_is_lowest() -> None:
    for requirement in lowest.requirements(EXTRAS):
        assert re.fullmatch(r"[a-z0-9-]+==\d+(\.\d+)*", lowest.lowest(requirement)), requirement


def test_the_oldest_python_is_the_same_everywhere() -> None:
    content = lowest.pyproject()
    oldest = content["project"]["requires-python"].removeprefix(">=")
    packed_tag = "cp" + oldest.replace(".", "")
    assert f'"py_limited_api": "{packed_tag}"' in (ROOT / "setup.py").read_text(encoding="utf-8")
    assert content["tool"]["mypy"]["python_version"] == oldest
    assert content["tool"]["ruff"]["target-version"] == "py" + oldest.replace(".", "")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert f"sys.version_info < ({oldest.replace('.', ', ')})" in makefile
    assert f"Python {oldest} or newer" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_lowest_versions_are_printed_for_an_installer() -> None:
    command = [sys.executable, "-m", "tests.lowest"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    lines = answer.stdout.splitlines()
    assert all("==" in line for line in lines)
    assert {"cffi", "pytest", "setuptools", "hypothesis"} <= {x.partition("==")[0] for x in lines}


@pytest.mark.parametrize(
    ("extra", "file"),
    [("test", ""), ("fuzz", "-fuzz"), ("release", "-release")],
)
def test_what_ci_installs_is_pinned_by_hashes(extra: str, file: str) -> None:
    """`make lock` renews it."""
    text = (ROOT / f".ci/requirements{file}.txt").read_text(encoding="utf-8")
    locked = re.findall(r"^([a-z0-9-]+)==(\S+)(.*(?:\n    .*)+)", text, re.MULTILINE)
    assert all("--hash=sha256:" in hashes for _, _, hashes in locked)
    assert len(locked) == len([line for line in text.splitlines() if line[:1].isalnum()])
    assert "//" not in text  # no index is named
    versions: dict[str, list[tuple[int, ...]]] = {}
    for name, version, _ in locked:
        numbers = tuple(map(int, re.findall(r"\d+", version)))
        versions.setdefault(name, []).append(numbers)
    content = lowest.pyproject()["project"]
    for requirement in [*content["dependencies"], *content["optional-dependencies"][extra]]:
        name, bound = lowest.lowest(requirement).split("==")
        least = tuple(map(int, bound.split(".")))
        assert all(version >= least for version in versions[name]), requirement
        assert "==" not in requirement or versions[name] == [least]
