"""Where gates work: a folder of each user's own in the temporary folder, which strangers write to,
too. One gate at a time; nothing of anybody else's is touched."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.gate.checkouts.sides import prepare_base, prepare_head
from bench.gate.prepare import workspace as module
from bench.gate.prepare.workspace import workspace
from bench.gate.verdicts.errors import GateError
from tests.test_gate_sides import content, repository

__all__ = ["repository"]

ROOT = Path(__file__).resolve().parent.parent
USER = os.getuid()
NAME = f"baremetal-gate-{USER}"
needs_root = pytest.mark.skipif(USER != 0, reason="needs to give files away, or to mount")

# Says when it holds the folder, and does until its input ends.
HOLDER = """
import sys, tempfile
tempfile.tempdir = sys.argv[1]
from bench.gate.prepare.workspace import workspace
with workspace() as folder:
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


@contextlib.contextmanager
def held(temporary: Path, *prefix: str) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """By another process, started by `prefix`."""
    command = [*prefix, sys.executable, "-c", HOLDER, str(temporary)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        try:
            yield process, Path(process.stdout.readline().strip())
        finally:
            process.kill()


def test_nothing_is_left(temporary: Path) -> None:
    with workspace() as folder:
        assert folder.is_relative_to(temporary)
        for private in (folder, folder.parent):
            assert (private.stat().st_mode & 0o777, private.stat().st_uid) == (0o700, USER)
        (folder / "x").write_text("x")
    assert list(temporary.iterdir()) == []
    with pytest.raises(KeyboardInterrupt), workspace():
        raise KeyboardInterrupt
    assert list(temporary.iterdir()) == []


def test_a_second_gate_is_refused_and_leaves_the_first_alone(temporary: Path) -> None:
    with held(temporary) as (first, folder):
        with (
            pytest.raises(GateError, match=rf"^another gate .* \(process {first.pid}\)"),
            workspace(),
        ):
            raise AssertionError
        assert folder.is_dir()
    with workspace():  # which has ended
        assert not folder.exists()
    assert list(temporary.iterdir()) == []


@needs_root
def test_a_gate_of_another_container_is_alive_though_its_process_is_not_seen(
    temporary: Path,
) -> None:
    """Containers may share a temporary folder, and number their processes each for itself."""
    unshare = ("unshare", "--pid", "--fork", "--kill-child")
    if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no process-id namespaces here")
    with held(temporary, *unshare) as (_, folder):
        with pytest.raises(GateError, match=r"^another gate is measuring"), workspace():
            raise AssertionError
        assert folder.is_dir()


def test_however_many_start_at_once_one_measures(temporary: Path, tmp_path: Path) -> None:
    """And however often: the folder comes and goes with each."""
    script = """
import os, sys, tempfile
tempfile.tempdir, mark = sys.argv[1:]
from bench.gate.verdicts.errors import GateError
from bench.gate.prepare.workspace import workspace
done = 0
while done < 60:
    try:
        with workspace() as folder:
            os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
            assert folder.is_dir()
            os.unlink(mark)
            done += 1
    except GateError as error:
        assert "another gate is measuring" in str(error)
"""
    command = [sys.executable, "-c", script, str(temporary), str(tmp_path / "mark")]
    several = [subprocess.Popen(command, stderr=subprocess.PIPE, cwd=ROOT) for _ in range(3)]
    said = [process.communicate(timeout=60)[1].decode() for process in several]
    assert [process.returncode for process in several] == [0, 0, 0], said
    assert list(temporary.iterdir()) == []


def test_what_killed_gates_left_is_removed(temporary: Path, tmp_path: Path) -> None:
    """Links in there are not followed."""
    outside = tmp_path / "outside"
    (outside / "kept").mkdir(parents=True)
    left = temporary / NAME / "left"
    (left / "head").mkdir(parents=True)
    left.parent.chmod(0o700)
    for link in (left / "link", left.parent / "link"):
        link.symlink_to(outside)
    with workspace() as folder:
        assert not left.exists()
        assert folder.parent == left.parent
    assert (outside / "kept").is_dir()


def link(path: Path, victim: Path) -> None:
    path.symlink_to(victim)


def link_to_folder(path: Path, victim: Path) -> None:
    path.symlink_to(victim.parent)


def dangling_link(path: Path, victim: Path) -> None:
    path.symlink_to(victim.with_name("not-there"))


def file(path: Path, victim: Path) -> None:
    path.write_text("x")


def pipe(path: Path, victim: Path) -> None:
    os.mkfifo(path)


def open_to_others(path: Path, victim: Path) -> None:
    path.mkdir()
    path.chmod(0o777)
    (path / "lock").symlink_to(victim)


def of_somebody_else(path: Path, victim: Path) -> None:
    path.mkdir(mode=0o700)
    (path / "lock").symlink_to(victim)
    os.chown(path, 12345, 12345)


STRANGE = [link, link_to_folder, dangling_link, file, pipe, open_to_others]
STRANGE += [of_somebody_else] if USER == 0 else []


@pytest.mark.parametrize("strange", STRANGE)
@pytest.mark.parametrize(
    "name", [NAME, f"{NAME}.lock", f"baremetal-gate-{'9' * 30}-x", "baremetal-gate-4194999-x"]
)
def test_what_others_have_put_there_is_left_alone(
    strange: Callable[[Path, Path], None], name: str, temporary: Path, tmp_path: Path
) -> None:
    (tmp_path / "precious").mkdir()
    victim = tmp_path / "precious/file"
    victim.write_text("precious")
    strange(temporary / name, victim)

    def seen() -> list[object]:
        found = sorted([*temporary.rglob("*"), *tmp_path.rglob("precious/*")])
        return [(p, p.lstat().st_mode, p.lstat().st_uid, p.lstat().st_mtime_ns) for p in found]

    before = seen()
    with workspace() as folder:
        assert folder.stat().st_uid == USER
        assert victim.parent not in folder.resolve().parents
        with pytest.raises(GateError, match="another gate is measuring"), workspace():
            raise AssertionError
    assert seen() == before
    assert victim.read_text() == "precious"


def test_where_every_name_is_taken_one_line_says_what_helps(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PRIVATE_NAMES", 2)
    (temporary / NAME).write_text("x")
    (temporary / f"{NAME}.1").symlink_to(temporary)
    with pytest.raises(GateError) as error, workspace():
        raise AssertionError
    assert str(error.value).startswith(f"{temporary / NAME}: is not this user's alone")
    assert "TMPDIR" in str(error.value)


def test_a_temporary_folder_inside_the_project_by_a_link(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository / "inside").mkdir()
    (tmp_path / "link").symlink_to(repository / "inside")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "link"))
    with workspace() as folder:
        prepare_base(repository, "main", folder / "base")
        head = prepare_head(repository, folder / "head")
        copied = set(content(head.root))
    assert {"a.txt", "sub/b.txt"} <= copied
    assert not any("head" in name or "base" in name for name in copied)


def test_a_file_system_without_permissions_is_not_littered(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There every folder is everybody's; a hundred were left."""
    monkeypatch.setattr(module.stat, "S_IMODE", lambda mode: 0o777)
    with pytest.raises(GateError, match="is not this user's alone"), workspace():
        raise AssertionError
    assert list(temporary.iterdir()) == []


# --- Folders that nothing can be run from --------------------------------------------------------


def test_a_folder_that_lets_no_code_run_is_named(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(module.mmap, "mmap", refused)
    with pytest.raises(GateError) as error, workspace():
        raise AssertionError
    assert str(error.value).startswith(f"{temporary}: native modules cannot be loaded from")
    assert "noexec" in str(error.value) and "TMPDIR" in str(error.value)
    assert list(temporary.iterdir()) == []


@needs_root
def test_a_folder_mounted_noexec_is_named(temporary: Path) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "noexec", "tmpfs", str(temporary)]
    if shutil.which("mount") is None or subprocess.run(mount, check=False).returncode:
        pytest.skip("cannot mount a file system here")
    try:
        with pytest.raises(GateError, match=r"native modules cannot be loaded"), workspace():
            raise AssertionError
    finally:
        subprocess.run(["umount", str(temporary)], check=True)
