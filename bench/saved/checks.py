"""Reading files that somebody else may have written: what is wrong is said in one line."""

from __future__ import annotations

import json
import os
import re
import stat
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

_LARGEST = 1e30  # what a believable figure lies below
# A saved run of 50,000 benchmarks has some 100 MB; with every round of a long one a few times that.
LARGEST_FILE = 2**29
_SHORTEST, _LONGEST = 1e-12, 1e9  # seconds a call, likewise
_PART = 1 << 20
_MOST_SAID = 2000  # characters of a line that may quote what a file calls itself

# Exit codes. 3 is also a gate's that is inconclusive.
OK, SLOWER, BAD_INPUT, NOT_COMPARABLE = 0, 1, 2, 3


class Refusal(Exception):
    """What was asked for cannot be done; the message says why, in one line, and what is right."""

    exit_code = BAD_INPUT

    def __str__(self) -> str:
        reason = one_line(super().__str__())
        return reason if len(reason) <= _MOST_SAID else f"{reason[:_MOST_SAID]}..."


class BadRun(Refusal):
    """A run that cannot be used; the message names the file, what is wrong and where."""


class NotComparable(Refusal):
    """Runs whose times say nothing together; the message names them and why."""

    exit_code = NOT_COMPARABLE


def one_line(text: object) -> str:
    """Whatever a file holds or is called, fit for a message: control characters and lone surrogates
    are spelled out."""
    plain = str(text)
    if plain.isprintable():
        return plain
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in plain
    )


def read_text(path: Path, needs: str) -> str:
    """A regular file's text, without the mark that some editors put at its beginning. Raises
    BadRun; `needs` names what it should have been.

    Nothing else is opened for reading: a pipe would keep us waiting for whoever writes into it, and
    a device has no end.
    """
    name = one_line(path)
    try:
        with open(path, "rb", opener=_open_without_waiting) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise BadRun(f"{name}: is no regular file, needs {needs}")
            # What the system makes up as it is read (/proc) has no size.
            # Not in one go: that much memory would be taken for the smallest of files.
            content, large = bytearray(), status.st_size > LARGEST_FILE
            while not large and (part := file.read(_PART)):
                content += part
                large = len(content) > LARGEST_FILE
        if large:
            raise BadRun(f"{name}: is larger than {LARGEST_FILE >> 20} MB, needs {needs}")
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadRun(f"{name}: not a text file, needs {needs}") from None
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        reason = getattr(error, "strerror", None) or error
        raise BadRun(f"{name}: cannot be read ({reason})") from None


def _open_without_waiting(path: str, flags: int) -> int:
    """Opening a pipe would wait for its other end, before one could see that it is a pipe."""
    return os.open(path, flags | os.O_NONBLOCK)


def read_json(path: Path, needs: str) -> Any:
    """The file, parsed. Raises BadRun; `needs` names what it should have been."""
    return parse_json(read_text(path, needs), one_line(path), needs)


def parse_json(text: str, name: str, needs: str) -> Any:
    """JSON in which no object has a name twice. Raises BadRun, which begins with `name`."""
    try:
        if hasattr(sys, "get_int_max_str_digits"):  # Python refuses such integers itself, faster
            with suppress(ValueError):  # said below, if it is no such integer
                return json.loads(text, object_pairs_hook=_object)
        return json.loads(text, object_pairs_hook=_object, parse_int=_whole)
    except json.JSONDecodeError as error:
        what = "is empty" if not text.strip() else f"is not JSON (line {error.lineno}: {error.msg})"
        raise BadRun(f"{name}: {what}, needs {needs}") from None
    except ValueError as error:  # a name twice
        raise BadRun(f"{name}: is not JSON ({one_line(error)}), needs {needs}") from None
    except RecursionError:
        raise BadRun(f"{name}: is nested too deeply for {needs}") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object, whose names must differ: json would keep the last one and drop the others."""
    found = dict(pairs)
    if len(found) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = next(name for name, count in counts.items() if count > 1)
        raise ValueError(f"{twice[:60]!r} appears twice in one object")
    return found


def _whole(digits: str) -> float:
    """Python reads no integer of more digits; larger than any figure it is either way."""
    return int(digits) if len(digits) < 4300 else float(digits)


# As isoformat() and other tools write moments; only from 3.11 on fromisoformat() takes them all.
_MOMENT = re.compile(
    r"(\d{4})-?(\d\d)-?(\d\d)[T ](\d\d):?(\d\d):?(\d\d)(?:[.,](\d+))?"
    r" ?(?:([Zz])|([+-]\d\d):?(\d\d)?)?",
    re.ASCII,
)


@dataclass(slots=True)  # frozen ones take a microsecond to make, and a run has thousands
class Fields:
    """An object of a file, read field by field, each as what it must be. Raises BadRun, which says
    where the field stands (`path` goes before its name), what it is and what it should be."""

    content: dict[str, Any]
    source: str
    path: str = ""

    def at(self, path: str) -> Fields:
        """The same fields, called otherwise."""
        return Fields(self.content, self.source, path)

    def require_format(self, name: str, version: int) -> None:
        """That the file was written by us, as it is today."""
        if (self.content.get("format"), self.content.get("version")) != (name, version):
            raise self.bad("format", f"{name!r} of version {version}")

    def bad(self, name: str, needs: str, value: Any = None) -> BadRun:
        value = self.content.get(name) if value is None else value
        try:
            shown = "nothing" if value is None else json.dumps(value, default=str)[:60]
        except (ValueError, RecursionError):  # more digits, or levels, than Python will print
            shown = "a huge value"
        return BadRun(f"{self.source}: {self.path}{name} is {shown}, needs {needs}")

    def optional(self, read: Callable[[str], T], name: str) -> T | None:
        """None where the field is not there, or null: fields.optional(fields.text, "note")."""
        return None if self.content.get(name) is None else read(name)

    def mapping(self, name: str) -> dict[str, Any]:
        value = self.content.get(name)
        if not isinstance(value, dict):
            raise self.bad(name, "an object")
        return value

    def inner(self, name: str) -> Fields:
        """The fields of the object that this field is."""
        return Fields(self.mapping(name), self.source, f"{self.path}{name}.")

    def finite_mapping(self, name: str) -> dict[str, Any]:
        """What a view writes out again: JSON has no NaN and no infinity, however deep they are."""
        try:
            json.dumps(self.content.get(name), allow_nan=False)
        except (ValueError, RecursionError):
            raise self.bad(name, "finite numbers") from None
        return self.mapping(name)

    def items(self, name: str) -> Fields:
        """The items of the list that this field is, as fields called [0], [1], ..."""
        value = self.content.get(name)
        if not isinstance(value, list):
            raise self.bad(name, "a list")
        named = {f"[{number}]": item for number, item in enumerate(value)}
        return Fields(named, self.source, self.path + name)

    def objects(self, name: str) -> list[Fields]:
        """The fields of each object of that list."""
        return self.each(name, Fields.inner)

    def each(self, name: str, read: Callable[[Fields, str], T]) -> list[T]:
        """Every item of that list: fields.each("notes", Fields.text)."""
        items = self.items(name)
        return [read(items, item) for item in items.content]

    def text(self, name: str) -> str:
        """What is odd in it is spelled out, see one_line()."""
        value = self.content.get(name)
        if not isinstance(value, str) or not value:
            raise self.bad(name, "text")
        return value if value.isprintable() else one_line(value)

    def number(self, name: str, least: float = 0.0, most: float = _LARGEST) -> float:
        value: Any = self.content.get(name)
        if type(value) is float and least <= value <= most:  # NaN is not in between
            return value
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_number or not least <= value <= most:
            raise self.bad(name, f"a number from {least:g} to {most:g}")
        return float(value)

    def signed(self, name: str) -> float:
        return self.number(name, least=-_LARGEST)

    def seconds(self, name: str) -> float:
        """A time outside would break what is computed from it."""
        return self.number(name, _SHORTEST, _LONGEST)

    def integer(self, name: str, least: int = 0, most: float = _LARGEST) -> int:
        value = self.content.get(name)
        if type(value) is int and least <= value <= most:
            return value
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise self.bad(name, f"a whole number from {least} to {most:g}")
        return value

    def flag(self, name: str) -> bool:
        return self.content.get(name) is True

    def one_of(self, name: str, known: Sequence[Any], needs: str | None = None) -> Any:
        """True is not 1 here, nor 256.0 256."""
        value = self.content.get(name)
        for one in known:
            if type(value) is type(one) and value == one:
                return value
        raise self.bad(name, needs or " or ".join(known))

    def moment(self, name: str) -> datetime | None:
        """None where there is none."""
        if self.content.get(name) is None:
            return None
        parts = _MOMENT.fullmatch(self.text(name))
        moment = None
        if parts:
            *numbers, fraction, utc, hours, minutes = parts.groups("")
            zone = "+00:00" if utc else f"{hours}:{minutes or '00'}" if hours else ""
            text = "{}-{}-{}T{}:{}:{}".format(*numbers)
            with suppress(ValueError):  # the 31st of June
                moment = datetime.fromisoformat(f"{text}.{fraction:0<6.6}{zone}")
        if moment is None or not 1970 <= moment.year < 9999:
            raise self.bad(name, "an ISO 8601 date from 1970 on")
        return moment


def fields_of(content: Any, source: str, what: str = "the file") -> Fields:
    """Of the outermost object. Raises BadRun."""
    return Fields({what: content}, source).inner(what).at("")


def listed(names: Iterable[str], most: int = 20) -> str:
    """For a message: "a, b, c"; of many the first, and how many more."""
    found = list(names)
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(found[:most]) + more
