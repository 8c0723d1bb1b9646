"""A wheel's content, away from any checkout: kernels load, commands answer or say in one line that
they need a checkout.

INSTALLED=PYTHON takes that interpreter and what is installed there, as `make package` does with a
wheel; otherwise what a wheel would hold is laid out beside the native modules of this checkout.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

import kernels_c
from bench.cli import checkout
from tests.checkout import ROOT, packed

SAVED = ROOT / "results/reference.json"


@dataclass(frozen=True)
class Installed:
    """An interpreter that has the package, and an empty folder that it runs in."""

    python: str
    path: str
    folder: Path

    def run(self, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        env = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        env.update({"PYTHONPATH": self.path} if self.path else {}, PYTHONDONTWRITEBYTECODE="1")
        command = [self.python, *arguments]
        return subprocess.run(
            command, cwd=cwd or self.folder, env=env, capture_output=True, text=True, check=False
        )

    def bench(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run("-m", "bench", *arguments)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    if os.environ.get("INSTALLED"):
        return Installed(os.path.abspath(os.environ["INSTALLED"]), "", elsewhere)
    wheel = packed(tmp_path_factory.mktemp("packed")) / "wheel"
    for module in (ROOT / "kernels_c").glob("_*.so"):
        shutil.copy2(module, wheel / "kernels_c")
    return Installed(sys.executable, str(wheel), elsewhere)


def test_every_tier_of_the_checkout_loads_from_anywhere(installed: Installed) -> None:
    """Also where the current folder is a checkout, other than the one that was installed."""
    script = installed.folder / "script.py"
    script.write_text(
        "import json, kernels_c\n"
        "tiers = {name: kernels_c.why_unavailable(name) for name in kernels_c.TIERS}\n"
        "print(json.dumps([kernels_c.__file__, tiers]))\n"
    )
    for cwd in (installed.folder, Path("/"), ROOT):
        answer = installed.run(str(script), cwd=cwd)
        assert answer.returncode == 0, answer.stderr
        file, tiers = json.loads(answer.stdout)
        assert not Path(file).is_relative_to(ROOT)
        assert tiers == {name: kernels_c.why_unavailable(name) for name in kernels_c.TIERS}


@pytest.mark.parametrize(
    "command",
    [
        ["matrix", str(SAVED)],
        ["ladder", str(ROOT / "results/reference.json")],
        ["cost", str(ROOT / "results/reference.json")],
        ["scaling", str(ROOT / "results/reference.json")],
        ["scaling", str(SAVED), "--kernel", "relu_f32", "--svg", "relu.svg"],
        ["overhead", str(SAVED)],
        ["matrix", "--by", "interpreter", str(ROOT / "results/interpreters")],
        ["report", str(SAVED)],
        ["peers", "--from", str(ROOT / "results/peers.json")],
        ["render", "--check", str(ROOT / "README.md")],
        ["interpreters", "--list"],
    ],
    ids=lambda command: " ".join(command[:2]).replace(str(ROOT), ""),
)
def test_what_needs_no_checkout_works(installed: Installed, command: list[str]) -> None:
    answer = installed.bench(*command)
    assert (answer.returncode, answer.stderr) == (0, "")


def test_saved_runs_are_compared_and_shown_again(installed: Installed) -> None:
    content = json.loads(SAVED.read_text(encoding="utf-8"))
    content["datetime"] = "2100-01-01T00:00:00+00:00"  # the same run would be refused
    (installed.folder / "later.json").write_text(json.dumps(content))
    compared = installed.bench("gate", "compare", str(SAVED), "later.json", "-o", "gate.json")
    assert (compared.returncode, compared.stderr) == (0, "")
    assert installed.bench("gate", "show", "gate.json").stdout == compared.stdout


@pytest.mark.parametrize(
    "command",
    [
        ["gate", "run", "--base", "main"],
        ["gate", "run", "--base", "main", "--instructions"],
        ["gate", "selfcheck"],
        ["interpreters"],
    ],
    ids=" ".join,
)
def test_what_needs_a_checkout_says_so_in_one_line(
    installed: Installed, command: list[str]
) -> None:
    before = sorted(installed.folder.iterdir())
    answer = installed.bench(*command)
    assert answer.returncode == 2
    assert answer.stdout == ""
    line = answer.stderr.removesuffix("\n")
    assert line.startswith(f"bench: {' '.join(command[:2])}: needs a checkout of the project")
    assert "\n" not in line
    assert sorted(installed.folder.iterdir()) == before


def test_a_checkout_is_found_from_any_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Installed with -e: python -m bench gate ended in a ModuleNotFoundError elsewhere."""
    monkeypatch.setattr(sys, "path", [p for p in sys.path if Path(p).resolve() != ROOT])
    monkeypatch.setattr(kernels_c, "checkout", lambda: ROOT)
    monkeypatch.delitem(sys.modules, "build_ffi", raising=False)
    checkout.needed_by("gate run")
    assert find_spec("build_ffi") is not None


def test_limits_are_measured(installed: Installed) -> None:
    if not os.environ.get("INSTALLED"):
        pytest.skip("tests/test_limits.py measures them; make package does with a wheel")
    answer = installed.bench("limits")
    assert answer.returncode == 0, answer.stderr
    assert "GB/s" in answer.stdout


def test_a_tier_that_was_not_built_is_not_blamed_on_a_missing_script(
    installed: Installed, tmp_path: Path
) -> None:
    if os.environ.get("INSTALLED"):
        pytest.skip("takes a module away")
    bare = tmp_path / "wheel"
    shutil.copytree(installed.path, bare, ignore=shutil.ignore_patterns("_avx2.*"))
    code = "import kernels_c; print(kernels_c.why_unavailable('avx2'))"
    answer = Installed(installed.python, str(bare), installed.folder).run("-c", code)
    reason = "install the package again, built from its sdist on this machine"
    assert answer.stdout in (
        f"tier avx2 is not built; {reason}\n",
        "tier avx2 needs AVX2, FMA and F16C, which this CPU does not have\n",
    )


def test_a_header_left_from_an_earlier_build_makes_no_checkout(
    installed: Installed, tmp_path: Path
) -> None:
    """setuptools packs what lies in build/, whatever an older version has put there."""
    if os.environ.get("INSTALLED"):
        pytest.skip("adds a file")
    shutil.copytree(installed.path, tmp_path / "wheel")
    shutil.copy2(ROOT / "kernels_c/kernels.h", tmp_path / "wheel/kernels_c")
    code = "import kernels_c; print(kernels_c.why_unavailable('scalar'))"
    polluted = Installed(installed.python, str(tmp_path / "wheel"), installed.folder)
    assert polluted.run("-c", code).stdout == "None\n"


def test_the_engine_writes_from_anywhere(installed: Installed) -> None:
    if not (ROOT / "engine/models/verse.safetensors").is_file():
        pytest.skip("engine/models/verse.safetensors is not there yet")
    answer = installed.run("-m", "engine", "write", "And the king said", "-n", "50")
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith("And the king said")


def test_the_matrix_is_measured_without_a_checkout(installed: Installed, tmp_path: Path) -> None:
    """In the folder of a project that has its own options for pytest, and its own conftest.py."""
    for name, text in (
        ("pytest.ini", "[pytest]\naddopts = --no"),
        ("conftest.py", "raise ValueError"),
    ):
        (tmp_path / name).write_text(text)
    some = "relu and 100 and not 1000 and (py-loop or c-scalar)"
    answer = installed.run("-m", "bench", "quick", "-k", some, "-o", "run.json", cwd=tmp_path)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "competency matrix" in answer.stdout
    assert "relu_f32  100" in answer.stdout
    assert "2 passed" in answer.stdout
    assert {path.name for path in tmp_path.iterdir()} == {"pytest.ini", "conftest.py", "run.json"}
    shown = installed.run("-m", "bench", "matrix", "run.json", cwd=tmp_path)
    assert "relu_f32  100" in shown.stdout


def test_what_cannot_be_measured_is_said_in_a_line(installed: Installed, tmp_path: Path) -> None:
    answer = installed.run("-m", "bench", "quick", "-k", "nothing", cwd=tmp_path)
    assert answer.returncode == 2
    assert answer.stderr.splitlines()[-1].startswith("bench: -k: no benchmark is called 'nothing'")
