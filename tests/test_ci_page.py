"""The workflow of docs/ci.md, its steps run in a project that has nothing to do with this one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.checkout import ROOT

PAGE = (ROOT / "docs/ci.md").read_text(encoding="utf-8")
STEP = re.compile(r"- name: (\w+).*?run: \|\n(.*?)(?=\n      -|\Z)", re.DOTALL)

# `python -m venv FOLDER` without a package index: what pip would install is there already.
PYTHON = """#!/bin/sh
mkdir -p "$3/bin"
printf '#!/bin/sh\\nexec "{python}" "$@"\\n' > "$3/bin/python"
printf '#!/bin/sh\\nexec "{python}" -m bench "$@"\\n' > "$3/bin/baremetal-ml"
printf '#!/bin/sh\\n' > "$3/bin/pip"
chmod +x "$3"/bin/*
"""
TESTS = """
import time

def test_wait(benchmark):
    benchmark.pedantic(time.sleep, (SECONDS,), rounds=5)
"""


class Job:
    """The workflow's folder, with a pull request in head/: it makes a wait `factor` times as
    long."""

    def __init__(self, folder: Path, factor: int) -> None:
        self.folder = folder
        (folder / "bin").mkdir()
        (folder / "bin/python").write_text(PYTHON.format(python=sys.executable))
        (folder / "bin/python").chmod(0o755)
        (folder / "summary.md").touch()
        head = folder / "head"
        head.mkdir()
        git = ["git", "-C", str(head), "-c", "user.name=t", "-c", "user.email=t@localhost"]
        subprocess.run([*git, "init", "--quiet"], check=True)
        for seconds in (0.002, 0.002 * factor):
            (head / "test_speed.py").write_text(TESTS.replace("SECONDS", str(seconds)))
            subprocess.run([*git, "add", "."], check=True)
            subprocess.run([*git, "commit", "--quiet", "--allow-empty", "-m", "c"], check=True)

    def run(self, step: str) -> int:
        """The exit code of the step, as GitHub's runner starts it."""
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "COV_"))},
            "PATH": f"{self.folder}/bin:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary.md"),
        }
        shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step]
        return subprocess.run(shell, cwd=self.folder, env=environment, check=False).returncode


def steps() -> dict[str, str]:
    workflow = PAGE.split("```yaml\n")[1].split("```")[0]
    return {name: textwrap.dedent(step) for name, step in STEP.findall(workflow)}


@pytest.mark.parametrize(("factor", "code"), [(20, 1), (1, 0)])
def test_the_workflow_finds_what_became_slower(tmp_path: Path, factor: int, code: int) -> None:
    job = Job(tmp_path, factor)
    install, measure, compare, draw = steps().values()
    assert job.run(install) == 0
    assert job.run(measure) == 0
    # A wait cannot be shorter than asked for: equal ones agree as minima.
    floor = "" if factor > 1 else " --floor 900"
    assert job.run(compare.rstrip() + floor) == code
    if code == 1:  # what is there to be seen is drawn all the more
        assert job.run(draw) == 0
        assert (tmp_path / "page/index.html").is_file()
    summary = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert ("REGRESSED" in summary) == (code == 1)


def test_its_actions_are_those_of_our_own_workflows() -> None:
    ours = (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    used = re.findall(r"uses: (\S+@[0-9a-f]{40} # \S+)", PAGE)
    assert len(used) == PAGE.count("uses:") == 3
    assert all(action in ours for action in used)
