"""The two sides of a gate from temporary repositories: what is copied, refused and left alone."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from bench.gate.checkouts import sides
from bench.gate.checkouts.sides import Side, build, prepare_base, prepare_head, reuse_modules
from bench.gate.verdicts.errors import GateError

IDENTITY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "t"), ("EMAIL", "t@localhost"), ("DATE", "2026-01-02T00:00:00Z"))
}


def git(folder: Path, *arguments: str) -> str:
    answer = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        env={**os.environ, **IDENTITY, "GIT_CONFIG_GLOBAL": os.devnull},
        capture_output=True,
        text=True,
        check=True,
    )
    return answer.stdout.strip()


def commit(folder: Path) -> str:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "-m", "c")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """One commit of a.txt, sub/b.txt and .gitignore."""
    folder = tmp_path / "repository"
    (folder / "sub").mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch", "main")
    (folder / "a.txt").write_text("one\n")
    (folder / "sub/b.txt").write_text("b\n")
    (folder / ".gitignore").write_text("*.so\nignored/\n")
    commit(folder)
    return folder


def content(folder: Path) -> dict[str, bytes]:
    """Every file below, with what it holds; of a link, where it points."""
    return {
        str(p.relative_to(folder)): os.readlink(p).encode() if p.is_symlink() else p.read_bytes()
        for p in folder.rglob("*")
        if p.is_symlink() or p.is_file()
    }


def state(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """The same and with modes and times, .git and folders included."""
    return {
        str(p.relative_to(folder)): (
            p.lstat().st_mode,
            p.lstat().st_mtime_ns,
            p.read_bytes() if p.is_file() and not p.is_symlink() else b"",
        )
        for p in [folder, *folder.rglob("*")]
    }


def head_of(root: Path, tmp_path: Path) -> dict[str, bytes]:
    (tmp_path / "copies").mkdir(exist_ok=True)
    side = prepare_head(root, tmp_path / "copies/head")
    return content(side.root)


def base_of(root: Path, tmp_path: Path, reference: str) -> tuple[Side, dict[str, bytes]]:
    (tmp_path / "copies").mkdir(exist_ok=True)
    side = prepare_base(root, reference, tmp_path / "copies/base")
    return side, content(side.root)


# --- The head ------------------------------------------------------------------------------------


def test_the_head_is_the_working_tree_as_it_is(repository: Path, tmp_path: Path) -> None:
    names = ("with space", "new\nline", "-dash", "--all", "\u00e9\u4e2d", 'quote"', "tab\t", "*")
    (repository / "a.txt").write_text("changed\n")
    (repository / "sub/b.txt").unlink()
    (repository / "staged.txt").write_text("staged\n")
    git(repository, "add", "staged.txt")
    git(repository, "mv", "staged.txt", "renamed.txt")
    (repository / "deep/er").mkdir(parents=True)
    for name in names:
        (repository / name).write_text(name)
        (repository / "deep/er" / name).write_text(name)
    (repository / b"latin-\xe9".decode("utf-8", "surrogateescape")).write_text("x")
    (repository / "script").write_text("#!/bin/sh\n")
    (repository / "script").chmod(0o755)
    (repository / "link").symlink_to("a.txt")
    (repository / "folder-link").symlink_to("deep")
    (repository / "dangling").symlink_to("nowhere")
    (repository / "built.so").write_text("x")
    (repository / "ignored").mkdir()
    (repository / "ignored/c.txt").write_text("x")

    before = state(repository)
    copy = head_of(repository, tmp_path)
    assert state(repository) == before

    assert copy["a.txt"] == b"changed\n"
    assert copy["renamed.txt"] == b"staged\n"
    assert not {"sub/b.txt", "staged.txt", "built.so", "ignored/c.txt"} & set(copy)
    for name in names:
        assert copy[name] == copy[f"deep/er/{name}"] == name.encode()
    assert b"latin-\xe9".decode("utf-8", "surrogateescape") in copy
    assert copy["link"] == b"a.txt"
    assert copy["dangling"] == b"nowhere"
    assert copy["folder-link"] == b"deep"
    assert os.access(tmp_path / "copies/head/script", os.X_OK)
    assert not os.access(tmp_path / "copies/head/a.txt", os.X_OK)
    assert not any(name.startswith(".git/") for name in copy)


def test_a_folder_that_became_a_link_is_a_link(repository: Path, tmp_path: Path) -> None:
    """Copying what the index still has below it would write through the link."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "b.txt").write_text("not to be touched")
    (repository / "sub/b.txt").unlink()
    (repository / "sub").rmdir()
    (repository / "sub").symlink_to(outside)
    copy = head_of(repository, tmp_path)
    assert copy["sub"] == str(outside).encode()
    assert (outside / "b.txt").read_text() == "not to be touched"


def test_a_file_in_the_place_of_a_folder_and_the_other_way_round(
    repository: Path, tmp_path: Path
) -> None:
    (repository / "sub/b.txt").unlink()
    (repository / "sub").rmdir()
    (repository / "sub").write_text("a file now")
    (repository / "a.txt").unlink()
    (repository / "a.txt").mkdir()
    (repository / "a.txt/c").write_text("a folder now")
    copy = head_of(repository, tmp_path)
    assert copy["sub"] == b"a file now"
    assert copy["a.txt/c"] == b"a folder now"


def test_other_repositories_inside_are_not_copied(repository: Path, tmp_path: Path) -> None:
    inner = repository / "inner"
    inner.mkdir()
    git(inner, "init", "--quiet")
    (inner / "x").write_text("x")
    assert not any(name.startswith("inner") for name in head_of(repository, tmp_path))


def test_copies_inside_the_project_are_not_copied_again(repository: Path, tmp_path: Path) -> None:
    """TMPDIR may be a folder of the checkout."""
    folder = repository / "tmp/gate"
    folder.mkdir(parents=True)
    prepare_base(repository, "main", folder / "base")
    head = prepare_head(repository, folder / "head")
    assert set(content(head.root)) == {".gitignore", "a.txt", "sub/b.txt"}


def test_the_head_says_whether_it_has_changes(repository: Path, tmp_path: Path) -> None:
    short = git(repository, "rev-parse", "--short=7", "HEAD")
    assert prepare_head(repository, tmp_path / "1").name == f"working tree ({short})"
    (repository / "new").write_text("x")
    assert prepare_head(repository, tmp_path / "2").name == f"working tree ({short}+)"


# --- The base ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "hidden",
    ["config status.showUntrackedFiles no", "update-index --assume-unchanged a.txt"],
)
def test_no_setting_hides_that_the_head_has_changes(
    hidden: str, repository: Path, tmp_path: Path
) -> None:
    git(repository, *hidden.split())
    (repository / ("new" if "Untracked" in hidden else "a.txt")).write_text("changed\n")
    (tmp_path / "copies").mkdir()
    assert prepare_head(repository, tmp_path / "copies/head").name.endswith("+)")


def test_what_a_sparse_checkout_leaves_out_is_not_removed(repository: Path, tmp_path: Path) -> None:
    (repository / "other").mkdir()
    (repository / "other/c.txt").write_text("c\n")
    commit(repository)
    git(repository, "sparse-checkout", "set", "other")
    assert not (repository / "sub").exists()
    assert head_of(repository, tmp_path) == base_of(repository, tmp_path, "HEAD")[1]


def test_the_base_is_the_commit_and_nothing_of_the_working_tree(
    repository: Path, tmp_path: Path
) -> None:
    (repository / "script").write_text("#!/bin/sh\n")
    (repository / "script").chmod(0o755)
    (repository / "link").symlink_to("a.txt")
    (repository / "-n").write_text("dash")
    (repository / "a b\n\u00e9").write_text("odd")
    commit(repository)
    (repository / "a.txt").write_text("changed\n")
    (repository / "sub/b.txt").unlink()
    (repository / "new.txt").write_text("new\n")
    git(repository, "add", "new.txt")
    before = state(repository)
    side, copy = base_of(repository, tmp_path, "HEAD")
    assert state(repository) == before
    assert copy["a.txt"] == b"one\n"
    assert {"sub/b.txt", "-n", "a b\n\u00e9", "link"} <= set(copy)
    assert "new.txt" not in copy
    assert (side.root / "link").is_symlink()
    assert os.access(side.root / "script", os.X_OK)
    assert not list((tmp_path / "copies").glob("*.index"))


def test_a_checkout_with_stale_times_is_not_written_to(repository: Path, tmp_path: Path) -> None:
    """`git status` would refresh the index."""
    for options in ([], ["core.splitIndex"], ["core.untrackedCache"]):
        for option in options:
            git(repository, "config", option, "true")
        os.utime(repository / "a.txt", (1, 1))
        before = state(repository)
        name = "".join(options) or "plain"
        prepare_base(repository, "HEAD", tmp_path / f"{name}-base")
        prepare_head(repository, tmp_path / f"{name}-head")
        assert state(repository) == before


def test_hooks_do_not_run(repository: Path, tmp_path: Path) -> None:
    for hook in ("post-index-change", "post-checkout", "fsmonitor-watchman"):
        path = repository / ".git/hooks" / hook
        path.write_text(f"#!/bin/sh\necho ran >> {tmp_path}/ran\n")
        path.chmod(0o755)
    git(repository, "config", "core.fsmonitor", ".git/hooks/fsmonitor-watchman")
    base_of(repository, tmp_path, "HEAD")
    head_of(repository, tmp_path)
    assert not (tmp_path / "ran").exists()


def test_every_way_to_name_a_commit(repository: Path, tmp_path: Path) -> None:
    first = git(repository, "rev-parse", "HEAD")
    git(repository, "tag", "light")
    git(repository, "tag", "-a", "heavy", "-m", "annotated")
    git(repository, "branch", "topic/x")
    git(repository, "branch", "\u00e9")
    (repository / "a.txt").write_text("two\n")
    commit(repository)
    short = first[:7]
    ways = {
        "light": f"light ({short})", "heavy": f"heavy ({short})", "topic/x": f"topic/x ({short})",
        "HEAD~1": f"HEAD~1 ({short})", "main^": f"main^ ({short})", first: short, first[:9]: short,
        "\u00e9": f"\u00e9 ({short})", "@{upstream}": "", "HEAD^{/c}": None,
    }  # fmt: skip
    for number, (reference, name) in enumerate(ways.items()):
        if name == "":  # there is none
            with pytest.raises(GateError, match="no such commit"):
                prepare_base(repository, reference, tmp_path / str(number))
            continue
        side = prepare_base(repository, reference, tmp_path / str(number))
        if name is not None:
            assert side.name == name
            assert content(side.root)["a.txt"] == b"one\n"


@pytest.mark.parametrize(
    "reference",
    ["nonsense", "", " ", "--all", "-h", "--git-dir", "HEAD~99", "0" * 40, "a b", "HEAD:a.txt",
     "HEAD..main", "^HEAD", "x\ny", "\x01", "main^{tree}", "deadbeef"],
)  # fmt: skip
def test_what_names_no_commit_is_refused_in_one_line(
    reference: str, repository: Path, tmp_path: Path
) -> None:
    before = state(repository)
    with pytest.raises(GateError) as error:
        prepare_base(repository, reference, tmp_path / "base")
    assert str(error.value).startswith("--base ")
    assert "needs a branch, a tag or a commit" in str(error.value)
    assert str(error.value).isprintable()
    assert state(repository) == before
    assert not (tmp_path / "base").exists()


def test_a_project_in_a_folder_of_its_repository(repository: Path, tmp_path: Path) -> None:
    (repository / "sub/.gitignore").write_text("*.log\n")
    commit(repository)
    (repository / "sub/new").write_text("new")
    (repository / "sub/x.log").write_text("ignored")
    (repository / "sub/y.so").write_text("ignored above")
    _, base = base_of(repository / "sub", tmp_path, "HEAD")
    assert set(base) == {"b.txt", ".gitignore"}
    assert set(head_of(repository / "sub", tmp_path)) == {"b.txt", ".gitignore", "new"}
    (repository / "other").mkdir()
    with pytest.raises(GateError, match="has no folder 'other/'"):
        prepare_base(repository / "other", "HEAD", tmp_path / "x")


def test_a_worktree_and_odd_folders(repository: Path, tmp_path: Path) -> None:
    tree = tmp_path / "a tree\u00e9 "
    git(repository, "worktree", "add", "--quiet", "-b", "other", str(tree))
    (tree / "a.txt").write_text("there\n")
    before = state(repository)
    side, base = base_of(tree, tmp_path, "main")
    assert base["a.txt"] == b"one\n"
    assert head_of(tree, tmp_path)["a.txt"] == b"there\n"
    assert state(repository) == before
    assert side.name.startswith("main (")


def test_a_shallow_clone(repository: Path, tmp_path: Path) -> None:
    (repository / "a.txt").write_text("two\n")
    commit(repository)
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--depth", "1", f"file://{repository}", str(clone))
    assert base_of(clone, tmp_path, "HEAD")[1]["a.txt"] == b"two\n"
    with pytest.raises(GateError, match="git fetch --unshallow"):
        prepare_base(clone, "HEAD~1", tmp_path / "x")


def test_no_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(GateError, match="not in a git repository"):
        prepare_base(tmp_path, "HEAD", tmp_path / "base")
    git(tmp_path, "init", "--quiet", "--bare", "bare")
    with pytest.raises(GateError, match="not in a git repository"):
        prepare_base(tmp_path / "bare", "HEAD", tmp_path / "base")
    git(tmp_path, "init", "--quiet", "empty")
    with pytest.raises(GateError, match="no such commit"):
        prepare_base(tmp_path / "empty", "HEAD", tmp_path / "base")


def test_no_git(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GateError, match=r"git was not found; install it"):
        prepare_base(repository, "HEAD", tmp_path / "base")


@pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="needs to give files away")
def test_a_repository_of_somebody_else_says_what_git_says(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("HOME", str(tmp_path))
    for path in (repository, repository / ".git"):
        os.chown(path, 12345, 12345)
    with pytest.raises(GateError, match=r"dubious ownership .* safe\.directory"):
        prepare_base(repository, "HEAD", tmp_path / "base")
    (tmp_path / "settings").write_text("[safe]\ndirectory = *\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "settings"))  # git itself now works
    assert prepare_base(repository, "HEAD", tmp_path / "base").label == "base"


def test_variables_of_git_do_not_lead_elsewhere(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gate that is started from a hook has them."""
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    assert base_of(repository, tmp_path, "HEAD")[1]["a.txt"] == b"one\n"
    assert head_of(repository, tmp_path)["a.txt"] == b"one\n"


def test_modules_of_other_pythons_are_not_lent(tmp_path: Path) -> None:
    native = tmp_path / "root/kernels_c"
    native.mkdir(parents=True)
    ours = f"_scalar{sides.build_ffi.module_suffix()}"
    for name in (ours, "_scalar.cpython-399-x86_64-linux-gnu.so"):
        (native / name).write_text(name)
    side = Side("head", "x", tmp_path / "side")
    (side.root / "kernels_c").mkdir(parents=True)
    reuse_modules(tmp_path / "root", [side])
    assert [p.name for p in (side.root / "kernels_c").iterdir()] == [ours]
    assert side.module("scalar") == side.root / "kernels_c" / ours
    assert side.module("avx2") is None


def test_a_damaged_module_is_not_lent(tmp_path: Path) -> None:
    """A base's own build_ffi.py may go by the hash in it alone, and the base would be loaded."""
    whole = sides.build_ffi.module_path("scalar")
    native = tmp_path / "root/kernels_c"
    native.mkdir(parents=True)
    shutil.copy(whole, native)
    (native / whole.name.replace("scalar", "debug")).write_bytes(whole.read_bytes()[:-1])
    side = Side("base", "x", tmp_path / "side")
    (side.root / "kernels_c").mkdir(parents=True)
    reuse_modules(tmp_path / "root", [side])
    assert [p.name for p in (side.root / "kernels_c").iterdir()] == [whole.name]


# --- Building ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("raise SystemExit('x.cpp:3:1: error: expected')", "does not build: x.cpp:3:1: error: exp"),
        ("import sys; print('warning: x'); sys.exit(2)", "does not build: warning: x"),
        ("import os; os._exit(7)", "does not build: no output"),
        ("1 / 0", "does not build: ZeroDivisionError: division by zero"),
        ("def", "does not build: SyntaxError: invalid syntax"),
    ],
)
def test_a_side_that_does_not_build_says_why(script: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "build_ffi.py").write_text(script)
    with pytest.raises(GateError) as error:
        build(Side("base", "main (1a2b3c4)", tmp_path))
    assert str(error.value).startswith(f"base main (1a2b3c4): {reason}")
    assert str(error.value).isprintable()


def test_a_side_without_a_build_says_so(tmp_path: Path) -> None:
    with pytest.raises(GateError, match=r"head x: has no build_ffi\.py"):
        build(Side("head", "x", tmp_path))


def test_a_side_builds_in_its_own_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PYTHONPATH", "PYTEST_ADDOPTS", "GIT_DIR", "COV_CORE_SOURCE"):
        monkeypatch.setenv(name, "/nonsense")
    monkeypatch.setenv("CXXFLAGS", "-DX")
    (tmp_path / "build_ffi.py").write_text(
        "import os, sys\n"
        "steering = {'PYTHONPATH', 'PYTEST_ADDOPTS', 'GIT_DIR', 'COV_CORE_SOURCE'}\n"
        "assert not steering & set(os.environ)\n"
        "assert os.environ['CXXFLAGS'] == '-DX'\n"
        "assert os.getcwd() == os.path.dirname(os.path.abspath(__file__))\n"
    )
    build(Side("head", "x", tmp_path))
