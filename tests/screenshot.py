"""A picture of a page, or of a part of it, as a browser draws it.

python -m tests.screenshot report/index.html -o page.png --width 1440 --full
python -m tests.screenshot report/index.html -o matrix.png --width 360 --dark --section matrix
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import Error as BrowserError

from tests.browser import NoBrowser, launched, visit
from tests.page_checks import fold

# What an anchor stands for: itself, or the section that a heading opens; unfolded.
SECTION = """e => {
  for (let box = e; box; box = box.parentElement) if (box.localName === "details") box.open = true;
  return e.matches("h1, h2, h3, h4, h5, h6") ? e.closest("section, article") ?? e : e;
}"""


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="python -m tests.screenshot", description=__doc__)
    options.formatter_class = argparse.RawDescriptionHelpFormatter
    options.add_argument("page", type=Path, metavar="PAGE.html")
    options.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.png")
    options.add_argument("--width", type=int, default=1440, metavar="PX", help="default: 1440")
    part = options.add_mutually_exclusive_group()
    part.add_argument("--height", type=int, default=900, metavar="PX", help="default: 900")
    part.add_argument("--full", action="store_true", help="the whole page, however high")
    options.add_argument("--section", metavar="ID", help="what has this id, alone")
    options.add_argument("--dark", action="store_true")
    options.add_argument("--open", action="store_true", help="every <details>")
    return options


def take(options: argparse.Namespace) -> None:
    """Raises NoBrowser, OSError, BrowserError, LookupError where the page has no such id."""
    options.page.open().close()
    size = {"width": options.width, "height": options.height}
    with launched() as browser, visit(browser, options.page, dark=options.dark, **size) as found:
        page, file = found.page, str(options.output)
        if options.open:
            fold(page, False)
        if options.section is None:
            page.screenshot(path=file, full_page=options.full, animations="disabled")
            return
        part = page.query_selector(f'[id="{options.section}"]')
        element = part and part.evaluate_handle(SECTION).as_element()
        if element is None:
            raise LookupError(f"{options.page}: nothing has the id {options.section!r}")
        element.screenshot(path=file, animations="disabled")


def main(arguments: Sequence[str] | None = None) -> int:
    try:
        take(parser().parse_args(arguments))
    except (NoBrowser, OSError, BrowserError, LookupError) as reason:
        print(f"screenshot: {str(reason).splitlines()[0]}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
