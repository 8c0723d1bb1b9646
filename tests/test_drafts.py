"""Drafts of files that are written whole or not at all: beside their place, where others may write
too."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench.saved import writing


def test_nobody_can_foresee_the_name_of_a_draft(tmp_path: Path) -> None:
    path, names = tmp_path / "x.json", set()
    for _ in range(3):
        with writing.draft_of(path) as draft:
            names.add(draft.name)
    assert len(names) == 3
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


@pytest.mark.parametrize("pattern", [".{name}.{pid}.new", ".{name}.new", "{name}.tmp"])
def test_a_link_in_the_place_of_a_draft_is_not_followed(pattern: str, tmp_path: Path) -> None:
    victim, path = tmp_path / "victim", tmp_path / "x.json"
    victim.write_text("precious")
    (tmp_path / pattern.format(name=path.name, pid=os.getpid())).symlink_to(victim)
    writing.write_atomic(path, "text")
    assert (path.read_text(), victim.read_text()) == ("text", "precious")


def test_a_draft_has_the_permissions_of_what_it_replaces(tmp_path: Path) -> None:
    path = tmp_path / "x"
    before = os.umask(0o027)
    try:
        writing.write_atomic(path, "new")
        assert path.stat().st_mode & 0o777 == 0o640
        path.chmod(0o604)
        writing.write_atomic(path, "again\r\n")
        assert path.stat().st_mode & 0o777 == 0o604
    finally:
        os.umask(before)
    assert path.read_bytes() == b"again\r\n"


def test_a_pipe_or_a_link_is_written_to_and_stays(tmp_path: Path) -> None:
    """As a device is: whoever may write in /dev would lose /dev/null to a file."""
    pipe, link, target = tmp_path / "pipe", tmp_path / "link", tmp_path / "target"
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    os.mkfifo(pipe)
    link.symlink_to(target)
    end = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    try:
        writing.write_atomic(pipe, "text")
        assert os.read(end, 99) == b"text"
    finally:
        os.close(end)
    writing.write_atomic(link, "text")
    assert pipe.is_fifo() and link.is_symlink() and target.read_text() == "text"
    writing.write_atomic(loop, "text")  # which open() would refuse: it leads nowhere
    assert loop.read_text() == "text"


def test_a_draft_that_fails_leaves_what_there_was(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("earlier")
    with pytest.raises(ZeroDivisionError), writing.draft_of(path) as draft:
        draft.write("half")
        raise ZeroDivisionError
    assert path.read_text() == "earlier"
    assert [p.name for p in tmp_path.iterdir()] == ["x"]
