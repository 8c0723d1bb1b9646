"""What the sides of a gate hold: what is stored, whatever a checkout makes of it; and it stays."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from bench.gate.checkouts.sides import Side, left_alone, prepare_base
from bench.gate.checkouts.unchanged import unchanged
from bench.gate.rounds.samples import Sample
from bench.gate.rounds.sampling import Sampler
from bench.gate.verdicts.errors import GateError
from bench.gate.verdicts.pairs import Pair
from tests.test_gate_sides import base_of, commit, git, head_of, repository, state

__all__ = ["repository"]

# --- As they are stored --------------------------------------------------------------------------

STORED = b"one\ntwo $Id$\n"


def attributes(text: str) -> Callable[[Path], None]:
    return lambda root: (root / ".gitattributes").write_bytes(text.encode())


def setting(name: str, value: str) -> Callable[[Path], None]:
    return lambda root: git(root, "config", name, value) and None


def everywhere(text: str) -> Callable[[Path], None]:
    return lambda root: (root / ".git/info/attributes").write_bytes(text.encode())


def filtered(root: Path) -> None:
    """As git-crypt does it: one content in the working tree, another one stored."""
    git(root, "config", "filter.x.smudge", "sed s/one/ONE/")
    git(root, "config", "filter.x.clean", "sed s/ONE/one/")
    attributes("*.py filter=x\n")(root)


SHAPES: dict[str, Callable[[Path], None]] = {
    "line ends": attributes("* text eol=crlf\n"),
    "line ends by a setting": setting("core.autocrlf", "true"),
    "line ends of this clone": everywhere("* text eol=crlf\n"),
    "ident": attributes("*.py ident\n"),
    "encoding": attributes("*.py working-tree-encoding=UTF-16\n"),
    "filter": filtered,
    "export": attributes("*.py export-ignore export-subst\n"),
}


@pytest.fixture
def python(repository: Path) -> Path:
    """The repository with a.py, with the bytes STORED."""
    (repository / "a.py").write_bytes(STORED)
    (repository / "other.py").write_bytes(b"one\n")
    commit(repository)
    return repository


def check_out_anew(root: Path) -> None:
    for name in ("a.py", "other.py"):
        (root / name).unlink()
    git(root, "checkout", "--", "a.py", "other.py")


@pytest.mark.parametrize("anew", [False, True], ids=["", "checked out"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_both_sides_hold_what_is_stored(
    shape: Callable[[Path], None], anew: bool, python: Path, tmp_path: Path
) -> None:
    shape(python)
    if anew:
        check_out_anew(python)
    before = state(python)
    _, base = base_of(python, tmp_path, "HEAD")
    head = head_of(python, tmp_path)
    assert state(python) == before
    assert base["a.py"] == STORED
    assert {name: head[name] for name in base} == base  # what the control of equal code rests on


def test_a_checkout_that_shapes_files_does_shape_them(python: Path) -> None:
    """That the test above tests something."""
    for shape in (SHAPES["line ends"], SHAPES["ident"], SHAPES["filter"]):
        shape(python)
        check_out_anew(python)
        assert (python / "a.py").read_bytes() != STORED


def test_what_is_modified_is_as_it_is_in_the_working_tree(python: Path, tmp_path: Path) -> None:
    SHAPES["line ends"](python)
    check_out_anew(python)
    (python / "a.py").write_bytes(b"three\r\n")
    head = head_of(python, tmp_path)
    assert head["a.py"] == b"three\r\n"
    assert head["other.py"] == b"one\n"


def test_a_file_that_git_was_told_to_think_unmodified_is_modified(
    python: Path, tmp_path: Path
) -> None:
    git(python, "update-index", "--assume-unchanged", "a.py")
    git(python, "update-index", "--skip-worktree", "other.py")
    for name in ("a.py", "other.py"):
        (python / name).write_bytes(b"changed\n")
    head = head_of(python, tmp_path)
    assert (head["a.py"], head["other.py"]) == (b"changed\n", b"changed\n")


def test_permissions_of_the_working_tree(python: Path, tmp_path: Path) -> None:
    (python / "a.py").chmod(0o755)
    head_of(python, tmp_path)
    assert os.access(tmp_path / "copies/head/a.py", os.X_OK)
    assert not os.access(tmp_path / "copies/head/other.py", os.X_OK)


def test_a_commit_is_what_its_id_says(python: Path, tmp_path: Path) -> None:
    """`git replace` would have every command see another content."""
    blob = git(python, "rev-parse", "HEAD:a.py")
    git(python, "replace", blob, git(python, "rev-parse", "HEAD:other.py"))
    assert base_of(python, tmp_path, "HEAD")[1]["a.py"] == STORED


def test_large_empty_and_binary_files(python: Path, tmp_path: Path) -> None:
    contents = {"large": os.urandom(3 << 20), "empty": b"", "binary": b"\0\r\n\xff", "end": b"x"}
    for name, data in contents.items():
        (python / name).write_bytes(data)
    commit(python)
    _, base = base_of(python, tmp_path, "HEAD")
    head = head_of(python, tmp_path)
    assert {name: base[name] for name in contents} == contents
    assert head == base


def test_a_repository_of_longer_ids(tmp_path: Path) -> None:
    root = tmp_path / "repository"
    root.mkdir()
    git(root, "init", "--quiet", "--object-format=sha256")
    (root / "a.py").write_bytes(STORED)
    commit(root)
    assert base_of(root, tmp_path, "HEAD")[1] == head_of(root, tmp_path) == {"a.py": STORED}


@pytest.mark.parametrize("damage", ["missing", "another"])
def test_a_damaged_repository_says_so(damage: str, python: Path, tmp_path: Path) -> None:
    def stored_at(name: str) -> Path:
        blob = git(python, "rev-parse", f"HEAD:{name}")
        return python / ".git/objects" / blob[:2] / blob[2:]

    stored_at("a.py").unlink()
    if damage == "another":
        shutil.copyfile(stored_at("other.py"), stored_at("a.py"))
    with pytest.raises(GateError, match=r"^a\.py: git lacks what it holds, [0-9a-f]{40}: git fsck"):
        base_of(python, tmp_path, "HEAD")


def test_a_commit_that_names_files_outside_writes_none(python: Path, tmp_path: Path) -> None:
    blob = git(python, "rev-parse", "HEAD:a.py")
    for name in ("..", ".git"):
        entries = f"100644 blob {blob}\t{name}\n"
        command = ["git", "-C", str(python), "mktree"]
        tree = subprocess.run(command, input=entries, capture_output=True, text=True, check=True)
        bad = git(python, "commit-tree", "-m", "bad", tree.stdout.strip())
        with pytest.raises(GateError, match=rf"git read-tree failed: .*'{name}'"):
            prepare_base(python, bad, tmp_path / f"base-{name}")


def test_a_submodule_is_left_out(python: Path, tmp_path: Path) -> None:
    commit_id = git(python, "rev-parse", "HEAD")
    git(python, "update-index", "--add", "--cacheinfo", f"160000,{commit_id},module")
    git(python, "commit", "--quiet", "-m", "module")
    assert "module" not in base_of(python, tmp_path, "HEAD")[1]
    assert "module" not in head_of(python, tmp_path)


# --- What git says -------------------------------------------------------------------------------


def test_gits_reason_and_its_help_are_both_told(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In English, as it is read: whatever language the user's git speaks."""
    script = tmp_path / "bin/git"
    script.parent.mkdir()
    script.write_text(
        "#!/bin/sh\necho warning: of something >&2\n"
        'echo "fatal: detected dubious ownership in $LC_ALL" >&2\n'
        "printf 'To add an exception, call:\\n\\n\\tgit config x\\n' >&2\nexit 128\n"
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(script.parent), prepend=os.pathsep)
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    with pytest.raises(GateError) as error:
        prepare_base(repository, "HEAD", tmp_path / "base")
    assert str(error.value) == (
        "git rev-parse failed: fatal: detected dubious ownership in C To add an exception, call: "
        "git config x"
    )


def test_a_reference_that_is_damaged_is_not_only_missing(repository: Path, tmp_path: Path) -> None:
    (repository / ".git/packed-refs").write_text("nonsense\n")
    with pytest.raises(GateError, match=r"unexpected line in .*packed-refs"):
        prepare_base(repository, "nonsense", tmp_path / "base")


# --- Unchanged -----------------------------------------------------------------------------------


@pytest.fixture
def side(tmp_path: Path) -> Side:
    found = Side("base", "main (1a2b3c4)", tmp_path / "base")
    for name in ("kernels_py/relu.py", "kernels_c/_scalar.abi3.so", "kernels_c/kernels.h", "data"):
        (found.root / name).parent.mkdir(parents=True, exist_ok=True)
        (found.root / name).write_text(name)
    (found.root / "link").symlink_to("kernels_py")
    (found.objects / "scalar").mkdir(parents=True)
    (found.objects / "scalar/0-relu.o").write_text("x")
    return found


def write(name: str) -> Callable[[Side], None]:
    def do(side: Side) -> None:
        (side.root / name).parent.mkdir(parents=True, exist_ok=True)
        (side.root / name).write_text("written")

    return do


def relink(side: Side) -> None:
    (side.root / "link").unlink()
    (side.root / "link").symlink_to("kernels_c")


def put_a_link_in_its_place(side: Side) -> None:
    (side.root / "kernels_py").rename(side.root.parent / "elsewhere")
    (side.root / "kernels_py").symlink_to(side.root.parent / "elsewhere")


def same_size_and_time(side: Side) -> None:
    path = side.root / "kernels_py/relu.py"
    before = path.stat()
    path.write_text("kernels_py/RELU.py")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


TAMPERING: dict[str, tuple[Callable[[Side], None], str]] = {
    "source": (write("kernels_py/relu.py"), "kernels_py/relu.py was changed"),
    "same size and time": (same_size_and_time, "kernels_py/relu.py was changed"),
    "native module": (write("kernels_c/_scalar.abi3.so"), "kernels_c/_scalar.abi3.so was changed"),
    "data": (write("data"), "data was changed"),
    "object": (write("../base.objects/scalar/0-relu.o"), "scalar/0-relu.o was changed"),
    "new object": (write("../base.objects/scalar/1-x.o"), "scalar/1-x.o was added"),
    "new module": (write("kernels_py/numpy.py"), "kernels_py/numpy.py was added"),
    "bytecode": (
        write("kernels_py/__pycache__/relu.cpython-311.pyc"),
        "kernels_py/__pycache__/relu.cpython-311.pyc was added",
    ),
    "new native module": (write("kernels_c/_avx2.abi3.so"), "kernels_c/_avx2.abi3.so was added"),
    "pytest's settings": (write("pytest.ini"), "pytest.ini was added"),
    "removed": (lambda s: (s.root / "data").unlink(), "data was removed"),
    "link": (relink, "link was changed"),
    "new link": (lambda s: (s.root / "kernels_py/relu").symlink_to("x"), "kernels_py/relu was add"),
    "folder": (put_a_link_in_its_place, "kernels_py was added"),
    "all": (lambda s: shutil.rmtree(s.root), "data was removed"),
}


@pytest.mark.parametrize(("tamper", "text"), TAMPERING.values(), ids=TAMPERING)
def test_what_is_written_over_a_side_is_named(
    tamper: Callable[[Side], None], text: str, side: Side
) -> None:
    with pytest.raises(GateError) as error, left_alone([side]):
        tamper(side)
    assert str(error.value).startswith(f"base main (1a2b3c4): {text}")
    assert "no time can be trusted" in str(error.value)


def test_what_a_side_leaves_beside_it_is_its_own_business(side: Side) -> None:
    with left_alone([side]):
        for name in ("out.txt", ".benchmarks/1.json", ".pytest_cache/x", "deep/er/data.bin"):
            write(name)(side)
        os.utime(side.root / "data")
        (side.root / "data").chmod(0o600)
        os.mkfifo(side.root / "pipe")


def test_a_side_that_breaks_because_of_that_is_not_blamed(side: Side) -> None:
    with pytest.raises(GateError, match=r"relu\.py was changed"), left_alone([side]):
        write("kernels_py/relu.py")(side)
        raise GateError("base main (1a2b3c4): relu fails")
    with pytest.raises(GateError, match="relu fails"), left_alone([side]):
        raise GateError("base main (1a2b3c4): relu fails")
    with pytest.raises(KeyboardInterrupt), left_alone([side]):
        write("kernels_py/relu.py")(side)
        raise KeyboardInterrupt


def test_single_files(tmp_path: Path) -> None:
    path = tmp_path / "x.so"
    path.write_text("linked")
    with pytest.raises(GateError, match=r"^head x: x\.so was changed"), unchanged({path: "head x"}):
        path.write_text("another")
    with pytest.raises(GateError, match=r"^head x: x\.so was removed"), unchanged({path: "head x"}):
        path.unlink()


def test_modules_that_are_linked_for_a_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, side: Side
) -> None:
    linked = tmp_path / "layout-0-0-scalar.so"
    linked.write_text("linked")
    sampler = Sampler([side, side], tmp_path, tmp_path, core=None, draw=Random(1))

    def work(*_: object) -> Iterator[Sample]:
        linked.write_text("another")
        yield Sample(1, [1.0], [1.0])

    monkeypatch.setattr(sampler._placements, "draw", lambda *_: {(0, 0, "scalar"): linked})
    monkeypatch.setattr(sampler, "_work", work)
    with pytest.raises(GateError, match=r"^base main \(1a2b3c4\): layout-0-0-scalar\.so was chan"):
        sampler.one_pass([Pair("x", "x", "relu_f32", "c-scalar", "100")])
