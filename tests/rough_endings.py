"""Ends commands at every moment at which they change something on disk or start a process:

    python -m tests.rough_endings [STEP]     every moment, or every STEP-th; minutes

A moment is an audit event of Python (PEP 578): a file that is opened for writing, made, renamed or
removed, or a process that is started. At the first, the second, ... of them the command is killed
(SIGKILL), or is told that the disk is full. Then earlier files must be what they were, every other
file whole, no process left, and the next command must do all it should. Exit codes: 0 all of that
held, 1 something did not.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from bench.saved.checks import BAD_INPUT
from tests.checkout import ROOT

# In a folder of its own on PYTHONPATH, for the first process alone.
SITE = """
import os, signal, sys
at, how = int(os.environ.pop("ROUGH_AT", 0)), os.environ.pop("ROUGH_HOW", "")
seen = 0
def watch(event, arguments):
    global seen
    if event == "open":
        path, mode, flags = arguments
        writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR)
        if not writes or "/dev/" in str(path):
            return
    elif event not in ("os.rename", "os.mkdir", "os.remove", "os.rmdir", "subprocess.Popen"):
        return
    seen += 1
    if seen != at:
        return
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if event not in ("os.remove", "os.rmdir"):  # these take no room
        raise OSError(28, "No space left on device", str(arguments[0]))
if at:
    sys.addaudithook(watch)
"""
PATIENCE = 30.0  # seconds that processes get to end with their parent


@dataclass(frozen=True)
class Command:
    """`arguments` of python; `made` is what they leave behind in the folder when all is well."""

    arguments: tuple[str, ...]
    made: tuple[str, ...]
    accepted: tuple[int, ...] = (0,)


_TIMED = ("--benchmark-only", "--benchmark-max-time=0.01", "-p", "no:cacheprovider", "-q")
COMMANDS = {
    "report": Command(("-m", "bench", "report", "old", "-o", "page"), ("page/index.html",)),
    "compare": Command(
        ("-m", "bench", "gate", "compare", "old/a.json", "old/b.json", "-o", "gate.json",
         "--baseline", "next.json"),
        ("gate.json", "next.json"),
    ),
    "picture": Command(
        ("-m", "bench", "picture", str(ROOT / "results/reference.json"), "-o", "x.svg"),
        ("x.svg",),
    ),
    "render": Command(("-m", "bench", "render", "page.md"), ("page.md",)),
    "run": Command(
        ("-m", "pytest", f"--rootdir={ROOT}", *_TIMED, "--benchmark-storage=file://runs",
         "--benchmark-autosave", "-k", "100] and c-scalar", str(ROOT / "test_bench_relu.py")),
        ("runs",),
    ),
}  # fmt: skip


class Folder:
    """Two saved runs and a page, and what a command does to them."""

    def __init__(self, path: Path) -> None:
        self.path, self.site = path, path / "site"
        self.site.mkdir(parents=True)
        (self.site / "sitecustomize.py").write_text(SITE)
        (path / "old").mkdir()
        saved = (ROOT / "tests/data/pytest-benchmark-5.json").read_text()
        (path / "old/a.json").write_text(saved)
        (path / "old/b.json").write_text(saved.replace('"datetime": "20', '"datetime": "21'))
        block = "<!-- render: machine old/a.json -->\nx\n<!-- end -->\n"
        (path / "page.md").write_text(f"before\n\n{block}\nafter\n")
        self.earlier = {name: (path / name).read_bytes() for name in ("old/a.json", "old/b.json")}
        self.mark = uuid.uuid4().hex

    def run(self, command: Command, at: int = 0, how: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *command.arguments],
            cwd=self.path,
            env={
                **{k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "COV_"))},
                "PYTHONPATH": f"{self.site}:{ROOT}",
                "PYTHONDONTWRITEBYTECODE": "1",
                "TMPDIR": str(self.path / "site"),
                "ROUGH_AT": str(at),
                "ROUGH_HOW": how,
                "ROUGH_MARK": self.mark,
            },
            capture_output=True,
            text=True,
            check=False,
        )

    def require_whole(self) -> None:
        """Earlier files as they were, every other one whole, and no process left."""
        for name, content in self.earlier.items():
            assert (self.path / name).read_bytes() == content, f"{name} has changed"
        page = (self.path / "page.md").read_text()
        assert page.startswith("before\n\n<!-- render:"), page
        assert page.endswith("<!-- end -->\n\nafter\n"), page
        for path in self.path.rglob("*"):
            # Drafts have names that nothing reads: see bench/saved/writing.py.
            if path.is_relative_to(self.site) or path.name.startswith(".") or path.is_dir():
                continue
            text = path.read_text(encoding="utf-8")
            if path.suffix == ".json":
                json.loads(text)
            elif path.suffix in (".svg", ".html"):
                assert text.rstrip().endswith(f"</{path.suffix[1:]}>"), f"{path} is cut off"
        end = time.monotonic() + PATIENCE
        while self.processes():
            assert time.monotonic() < end, f"still there: {self.processes()}"
            time.sleep(0.05)

    def processes(self) -> list[str]:
        found = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            try:
                if self.mark.encode() in path.read_bytes():
                    found.append(path.with_name("cmdline").read_text().replace("\0", " "))
            except OSError:  # noqa: PERF203 - it has ended, or is not ours
                continue
        return found


def moments(name: str, how: str, step: int = 1) -> int:
    """How many moments of a command were tried. Raises AssertionError where a promise broke."""
    command, at = COMMANDS[name], 1
    while True:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Folder(Path(temporary))
            answer = folder.run(command, at, how)
            where = f"{name}, {how} at moment {at}: "
            ended = answer.returncode in command.accepted
            try:
                folder.require_whole()
                if how == "kill":
                    assert ended or answer.returncode == -9, answer.stderr[-500:]
                elif not ended:
                    # pytest-benchmark's own failures to save are pytest's to tell.
                    assert name == "run" or answer.returncode == BAD_INPUT, answer.stderr[-500:]
                    lines = answer.stderr.strip().splitlines()
                    assert name == "run" or "No space left" in lines[-1], answer.stderr[-500:]
                again = folder.run(command)
                assert again.returncode in command.accepted, again.stderr[-500:]
                assert all((folder.path / made).exists() for made in command.made)
                folder.require_whole()
            except AssertionError as error:
                raise AssertionError(where + str(error)) from None
            if ended and (how == "kill" or not _has_moment(command, at)):
                return at
        at += step


def _has_moment(command: Command, at: int) -> bool:
    """Whether the command has so many moments; it may get over a full disk."""
    with tempfile.TemporaryDirectory() as folder:
        return Folder(Path(folder)).run(command, at, "kill").returncode == -9


def main(arguments: list[str]) -> int:
    step = int(arguments[0]) if arguments else 1
    for name in COMMANDS:
        for how in ("kill", "full"):
            try:
                count = moments(name, how, step)
            except AssertionError as error:
                print(f"rough endings: {error}")
                return 1
            print(f"rough endings: {name}, {how}: {count} moments, all promises held", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
