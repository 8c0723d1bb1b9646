"""Every command that README, CONTRIBUTING and docs show is one that exists; the quick ones are run
as they are written."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from bench import __main__ as command_line
from tests.checkout import Checkout

ROOT = Path(__file__).resolve().parent.parent
# docs/add-a-kernel.md has a test of its own that goes through it.
PAGES = sorted(set((ROOT / "docs").glob("*.md")) - {ROOT / "docs/add-a-kernel.md"})
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *PAGES]
REFERENCE = ROOT / "results/reference.json"

# What reads files and is done in seconds.
QUICK = (
    "matrix", "ladder", "cost", "overhead", "scaling", "report", "picture", "render",
    "gate compare", "gate show", "interpreters --list",
)  # fmt: skip
# What a shell does, or what reaches out of the checkout: seen by whoever follows the page.
OURSELVES = ("python", "pytest", "pytest-benchmark", "make", "baremetal-ml")
OTHERS = (".", "cd", "pip", "uvx", "git", "ruff", "clang-format", "pre-commit")


def commands(document: Path) -> list[str]:
    """The lines of its shell blocks, joined where they go on, without comments."""
    text = document.read_text(encoding="utf-8")
    blocks = re.findall(r"^```(?:sh|console|bash)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    bare = (re.sub(r"(^|\s)#.*", "", line).strip().removeprefix("$ ") for line in lines)
    return [part.strip() for line in bare for part in line.split(" && ") if part.strip()]


EVERY = sorted({(d.relative_to(ROOT).as_posix(), c) for d in DOCUMENTS for c in commands(d)})
BENCH = "python -m bench "


def of_bench() -> list[str]:
    return sorted({c.partition(BENCH)[2] for _, c in EVERY if BENCH in c})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout's files that commands read, by the names that the documents give them."""
    place = tmp_path_factory.mktemp("commands")
    saved = place / ".benchmarks/any"
    saved.mkdir(parents=True)
    shutil.copy(REFERENCE, saved / "0001_run.json")
    content = json.loads(REFERENCE.read_text(encoding="utf-8"))
    for day, name in enumerate(("older", "old", "BASE", "HEAD", "new"), start=1):
        content["datetime"] = f"2026-01-0{day}T00:00:00+00:00"  # a copy is not compared
        for benchmark in content["benchmarks"]:
            for figure in ("min", "max", "mean", "median", "q1", "q3", "iqr", "stddev"):
                benchmark["stats"][figure] *= 1.0001
        (place / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    for name in ("README.md", "docs", "results"):
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, place / name)
    return place


def test_there_are_commands_in_the_documents() -> None:
    assert len(EVERY) > 40 and len(of_bench()) > 15
    assert {quick for quick in QUICK if any(c.startswith(quick) for c in of_bench())} >= {
        "matrix", "ladder", "cost", "overhead", "scaling", "report", "gate compare", "gate show",
    }  # fmt: skip


@pytest.mark.parametrize(("document", "command"), EVERY)
def test_it_is_a_command_of_ours_or_the_shells(document: str, command: str) -> None:
    first = shlex.split(command)[0].rpartition("/")[2]
    assert first in OURSELVES + OTHERS, f"{document}: {command}"


@pytest.mark.parametrize("command", of_bench())
def test_the_parser_takes_it(command: str) -> None:
    command_line._parser().parse_args(shlex.split(command))


@pytest.mark.parametrize("command", [c for c in of_bench() if c.startswith(QUICK)])
def test_what_is_quick_runs_as_written(
    command: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    if command.startswith("gate show"):
        compare = ["gate", "compare", "BASE.json", "HEAD.json", "-o", command.split()[2]]
        assert command_line.main(compare) == 0
    assert command_line.main(shlex.split(command)) == 0


@pytest.mark.parametrize(
    "command", sorted({c for _, c in EVERY if c.startswith(("pytest ", "python -m pytest "))})
)
def test_pytest_takes_its_options(command: str, collecting: Checkout) -> None:
    options = shlex.split(command.partition("pytest ")[2])
    place = [] if any(o.startswith("test") for o in options) else ["test_bench_relu.py"]
    done = collecting.pytest(*place, *options, "--collect-only", "-q")
    if "libraries to compare with are not installed" in done.stdout + done.stderr:
        pytest.skip("the libraries to compare with are not installed")
    selected_none = 5  # its -k is for other files
    assert done.returncode in (0, selected_none), done.stdout + done.stderr


@pytest.fixture(scope="module")
def collecting(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return Checkout(tmp_path_factory.mktemp("collecting"))


@pytest.mark.parametrize("command", sorted({c for _, c in EVERY if c.startswith("make ")}))
def test_make_knows_the_target(command: str) -> None:
    dry = subprocess.run(
        ["make", "-n", *shlex.split(command)[1:]], cwd=ROOT, capture_output=True, check=False
    )
    assert dry.returncode == 0, dry.stderr
