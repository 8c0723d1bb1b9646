"""The readers of files, on what somebody else may have written. make fuzz has a fuzzer choose."""

from __future__ import annotations

import random

import pytest

from bench.saved.checks import BadRun
from tests import hostile


@pytest.mark.parametrize("number", range(len(hostile.readers())))
def test_an_altered_file_is_read_or_refused_in_one_line(number: int) -> None:
    drawn = random.Random(number)
    for _ in range(250):
        data = drawn.randbytes(40)
        hostile.try_one(number.to_bytes(2, "big") + data)


def test_the_files_that_are_altered_are_good() -> None:
    for read, _, good in hostile.readers():
        read(good)


def test_a_refusal_quotes_no_more_of_a_file_than_a_line_holds() -> None:
    assert len(str(BadRun("x" * 5000))) < 2010


def test_a_reader_that_fails_in_another_way_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(content: bytes) -> None:
        raise KeyError(content[:3])

    good = hostile.readers()[0]
    monkeypatch.setattr(hostile, "readers", lambda: [(fails, *good[1:])])
    with pytest.raises(KeyError):
        hostile.try_one(b"")
