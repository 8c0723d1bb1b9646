"""Reading files that somebody else may have written: what is wrong is said in one line, and files
are written whole or not at all."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

_LARGEST = 1e30  # what a believable figure lies below


class BadRun(Exception):
    """A run that cannot be used; the message names the file, what is wrong and where."""


class NotComparable(Exception):
    """Runs whose times say nothing together; the message names them and why, in one line."""


def one_line(text: object) -> str:
    """Whatever a file holds or is called, fit for a message: control characters and lone surrogates
    are spelled out."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in str(text)
    )


def read_json(path: Path, needs: str) -> Any:
    """The file, parsed. Raises BadRun; `needs` names what it should have been."""
    name = one_line(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadRun(f"{name}: cannot be read ({error.strerror or error})") from None
    except UnicodeDecodeError:
        raise BadRun(f"{name}: not a text file, needs {needs}") from None
    try:
        return json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        what = "is empty" if not text.strip() else f"is not JSON (line {error.lineno}: {error.msg})"
        raise BadRun(f"{name}: {what}, needs {needs}") from None
    except ValueError as error:  # a name twice; an integer of more digits than Python will read
        raise BadRun(f"{name}: is not JSON ({one_line(error)}), needs {needs}") from None
    except RecursionError:
        raise BadRun(f"{name}: is nested too deeply for {needs}") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object, whose names must differ: json would keep the last one and drop the others."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice[:60]!r} appears twice in one object")
    return found


def write_whole(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        draft.write_text(text, encoding="utf-8")
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


@dataclass(frozen=True)
class Checker:
    """Turns a value into the type it must have, or says where it stands and what it should be."""

    source: str

    def bad(self, where: str, value: Any, needs: str) -> BadRun:
        try:
            shown = "nothing" if value is None else json.dumps(value, default=str)[:60]
        except ValueError:  # an integer of more digits than Python will print
            shown = "a huge number"
        return BadRun(f"{self.source}: {where} is {shown}, needs {needs}")

    def mapping(self, value: Any, where: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self.bad(where, value, "an object")
        return value

    def optional_mapping(self, value: Any, where: str) -> dict[str, Any]:
        return {} if value is None else self.mapping(value, where)

    def sequence(self, value: Any, where: str) -> list[Any]:
        if not isinstance(value, list):
            raise self.bad(where, value, "a list")
        return value

    def text(self, value: Any, where: str) -> str:
        if not isinstance(value, str) or not value:
            raise self.bad(where, value, "text")
        if not value.isprintable():  # control characters, lone surrogates
            raise self.bad(where, value, "printable text")
        return value

    def number(self, value: Any, where: str, least: float = 0.0, most: float = _LARGEST) -> float:
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_number or not least <= value <= most:  # NaN is not in between either
            raise self.bad(where, value, f"a number from {least:g} to {most:g}")
        return float(value)

    def whole(self, value: Any, where: str, least: int = 0) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= _LARGEST:
            raise self.bad(where, value, f"a whole number from {least} to {_LARGEST:g}")
        return value


def when(check: Checker, value: Any) -> datetime | None:
    """The moment that a file's "datetime" says; None where it says none."""
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(check.text(value, "datetime"))
    except ValueError:
        moment = None
    if moment is None or not 1970 <= moment.year < 9999:
        raise check.bad("datetime", value, "an ISO 8601 date from 1970 on")
    return moment
