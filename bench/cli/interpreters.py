"""python -m bench interpreters: lists what was found, measures on each, shows them together."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.status import Status
from rich.text import Text

from bench.cli import checkout
from bench.cli.arguments import add_command
from bench.cli.exits import interruptible
from bench.interpreters import running
from bench.interpreters.discovery import Setting, Skipped, find
from bench.saved import runs
from bench.saved.checks import OK, Refusal
from bench.saved.writing import require_writable, write_measured
from bench.views import interpreters
from bench.views.tables import render

WORK = Path(".venv-interpreters")
# Not pytest-benchmark's storage, whose newest run is what others are compared with.
STORAGE = Path(".interpreters")


def add_commands(commands: Any) -> None:
    about = "the Python variants on every CPython found here"
    command = add_command(commands, run, "interpreters", about)
    command.add_argument("--list", action="store_true", help="say what was found, measure nothing")
    command.add_argument(
        "--only",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME",
        help="3.12, 3.14t, cpython-3.12.1, ... as --list names them; default: all",
    )
    command.add_argument("--quick", action="store_true", help="the sizes of a quick run")
    command.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FOLDER",
        default=STORAGE,
        help=f"save there, as NAME.json; default: {STORAGE}",
    )


def run(options: argparse.Namespace) -> int:
    """0: at least one interpreter was measured, or listed. Raises Refusal."""
    found, skipped = find()
    chosen = settings = [setting for interpreter in found for setting in interpreter.settings]
    if options.only:
        chosen = [s for s in settings if any(_is_named(name, s) for name in options.only)]
    for name in options.only:
        if not any(_is_named(name, setting) for setting in settings):
            names = ", ".join(setting.name for setting in settings) or "none"
            raise Refusal(f"--only: there is no interpreter {name!r}; found: {names}")
    if options.list:
        print("\n".join(map(runs.one_line, listing(chosen, [] if options.only else skipped))))
        return OK
    checkout.needed_by("interpreters")
    if not chosen:
        raise Refusal("no CPython 3.10 or newer was found; name one in INTERPRETERS")
    # Found out now, not after minutes.
    require_writable(_file(options.output, chosen[0]))
    saved: list[Path] = []
    try:
        with interruptible():
            saved.extend(_measured(chosen, options))  # one by one: what is there stays
    except KeyboardInterrupt:
        raise Refusal(f"interrupted; {len(saved)} of {len(chosen)} runs were saved") from None
    if not saved:
        raise Refusal("no interpreter could be measured; the lines above say why")
    print(render(interpreters.view([runs.load(path) for path in saved]), "text"))
    return OK


def listing(chosen: Sequence[Setting], skipped: Sequence[Skipped]) -> list[str]:
    """A line for each, what is skipped last."""
    lines = []
    for setting in chosen:
        interpreter = setting.interpreter
        built = [str(interpreter.info.get("compiler")), *interpreter.info.get("configured", ())]
        where = f"{interpreter.executable} ({', '.join(built)})"
        lines.append(f"{setting.name}: {setting.label}, {where}")
    return lines + [f"skipped: {one.what}: {one.reason}" for one in skipped]


def _is_named(name: str, setting: Setting) -> bool:
    """By its name in the list, its path, or its version or the start of it."""
    if name in (setting.name, setting.label, str(setting.interpreter.executable)):
        return True
    version = setting.interpreter.label.split()[1]
    free, asked = version.endswith("t"), name.removesuffix("t")
    same = f"{version.rstrip('t')}.".startswith(f"{asked}.")
    return bool(asked) and same and free == name.endswith("t")


def _file(folder: Path, setting: Setting) -> Path:
    return folder / f"{setting.name}.json"


def _measured(chosen: Sequence[Setting], options: argparse.Namespace) -> Iterator[Path]:
    """Where each run is saved; a failure is said, and the others go on."""
    console = Console(stderr=True, highlight=False)
    prepared: dict[str, running.Environment | None] = {}
    for number, setting in enumerate(chosen, 1):
        interpreter = setting.interpreter
        what = f"{setting.label} ({number} of {len(chosen)})"
        with console.status(_text(what)) as status:
            say = _speaker(console, status, what)
            try:
                if interpreter.name not in prepared:
                    prepared[interpreter.name] = None
                    environment = running.Environment(interpreter, WORK)
                    environment.prepare(say)
                    prepared[interpreter.name] = environment
                ready = prepared[interpreter.name]
                if ready is None:  # said already
                    continue
                content = ready.measure(setting, options.quick, say)
            except running.MeasurementFailed as reason:
                console.print(_text(f"{setting.label}: {reason}"), soft_wrap=True)
                continue
        path = _file(options.output, setting)
        # On one line, which makes a third of the size.
        write_measured(path, json.dumps(content, separators=(",", ":")) + "\n")
        console.print(_text(f"{setting.label}: saved {path}"), soft_wrap=True)
        yield path


def _text(what: str) -> Text:
    """As it is: rich would read a plain string's brackets and colons."""
    return Text(runs.one_line(what))


def _speaker(console: Console, status: Status, what: str) -> running.Say:
    """Progress: on a terminal one line that changes, else a line for each step."""

    def say(text: str) -> None:
        if text and console.is_terminal:
            status.update(_text(f"{what}: {text}"))
        elif text and " % " not in text:
            console.print(_text(f"{what}: {text}"), soft_wrap=True)

    return say
