"""The HTML report as a reader has it: on a telephone, on paper, in the dark, without scripts, with
the keyboard alone, and with names that would be more than text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests import page_checks, report_pages
from tests.browser import Visit, browser_or_skip, visit
from tests.page_library import ask

WIDTHS, SCHEMES, STATES = (360, 768, 1440), ("light", "dark"), ("folded", "open")
PAPER, MARGIN = (210, 297), 10  # A4, mm
PRINTED = round((PAPER[0] - 2 * MARGIN) / 25.4 * 96)  # CSS px
LOOKS = (("folded", "light"), ("open", "light"), ("open", "dark"))  # what is open shows all colours
LEAST_FONT = 9  # CSS px, of charts: on a telephone they are narrowest
MOST_SAID = 40  # of a test's offenders


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    yield from browser_or_skip()


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A page of tests/report_pages.py, made once."""
    return cache(lambda name: getattr(report_pages, name)(tmp_path_factory.mktemp(name)))


@pytest.fixture(scope="module", params=report_pages.PAGES)
def path(request: pytest.FixtureRequest, built: Callable[[str], Path]) -> Path:
    return built(request.param)


@pytest.fixture(scope="module")
def seen(browser: Browser, path: Path) -> Iterator[Visit]:
    """The page, opened once for all tests that leave it whole; each says how it is to be shown."""
    with visit(browser, path) as found:
        yield found


@pytest.fixture(scope="module")
def unscripted(browser: Browser, path: Path) -> Iterator[Visit]:
    with visit(browser, path, scripts=False) as found:
        yield found


def show(
    page: Page,
    width: int = 1440,
    scheme: Any = "light",
    media: Any = "screen",
    folded: bool = False,
) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(media=media, color_scheme=scheme)
    page_checks.fold(page, folded)


def assert_nothing_in(wrong: dict[str, list[str]]) -> None:
    lines = [f"{where}: {line}" for where, found in wrong.items() for line in found]
    if lines:
        pytest.fail("\n".join([f"{len(lines)} offenders", *lines[:MOST_SAID]]), pytrace=False)


# --- Quiet ---------------------------------------------------------------------------------------


def test_it_loads_nothing_and_says_nothing(seen: Visit, unscripted: Visit) -> None:
    for found in (seen, unscripted):
        show(found.page)
        found.page.mouse.wheel(0, 100_000)
        found.page.wait_for_load_state()
        assert found.noticed == []


# --- Layout --------------------------------------------------------------------------------------


def test_nothing_is_cut_or_covered_or_too_small(seen: Visit) -> None:
    page, wrong = seen.page, {}
    for width in WIDTHS:
        show(page, width, folded=True)
        wrong[f"{width} px, folded, too wide"] = page_checks.too_wide(page)
        show(page, width)
        wrong[f"{width} px, open, too wide"] = page_checks.too_wide(page)
        wrong[f"{width} px, cut"] = page_checks.cut_texts(page)
        wrong[f"{width} px, overlapping"] = page_checks.overlapping_texts(page)
        wrong[f"{width} px, small"] = page_checks.small_texts(page, LEAST_FONT)
    assert_nothing_in(wrong)


def test_paper_has_all_of_it(seen: Visit) -> None:
    """What is wider than the paper makes the browser shrink every page, and beyond 1.5 times that
    width it is cut."""
    page, wrong = seen.page, {}
    for state in STATES:
        show(page, PRINTED, media="print", folded=state == "folded")
        wrong[f"{state}, clipped"] = page_checks.clipped(page)
        wrong[f"{state}, too wide"] = page_checks.too_wide(page)
    pdf = page.pdf(format="A4", margin=dict.fromkeys(("left", "right"), f"{MARGIN}mm"))
    assert_nothing_in(wrong)
    assert pdf.startswith(b"%PDF-") and re.search(rb"/Type\s*/Page\b", pdf)
    assert seen.noticed == []  # nor of what is only loaded once it is seen


# --- Colours and access --------------------------------------------------------------------------


def test_light_and_dark_are_legible(seen: Visit) -> None:
    page, wrong, paper = seen.page, {}, {}
    for scheme in SCHEMES:
        show(page, scheme=scheme)
        wrong[f"{scheme}, texts"] = page_checks.faint_texts(page)
        wrong[f"{scheme}, marks"] = page_checks.faint_marks(page)
        paper[scheme] = ask(page, "return $.luminance($.background(document.body));")
    assert page_checks.outline(page)["charts"]
    assert_nothing_in(wrong)
    assert paper["light"] > 0.8 and paper["dark"] < 0.1


def test_everybody_has_access(browser: Browser, path: Path) -> None:
    wrong = {}
    with visit(browser, path) as found:
        for width, (state, scheme) in product((min(WIDTHS), max(WIDTHS)), LOOKS):
            show(found.page, width, scheme, folded=state == "folded")
            wrong[f"{width} px, {scheme}, {state}"] = page_checks.inaccessible(found.page)
    assert_nothing_in(wrong)


def test_without_scripts_it_is_the_same_page(seen: Visit, unscripted: Visit) -> None:
    page = unscripted.page
    show(seen.page)
    show(page, folded=True)
    folded = page.locator("details:not([open]) > summary")
    if count := folded.count():
        folded.first.click()
        assert folded.count() == count - 1
        folded.evaluate_all("all => all.forEach(e => e.click())")
    assert folded.count() == 0
    assert page_checks.hidden(page) == []
    outline = page_checks.outline(page)
    assert outline == page_checks.outline(seen.page)
    assert outline["headings"] and outline["tables"]
    # Nothing offers what only a script does.
    assert [e for e in page.locator("button, input, select").all() if e.is_visible()] == []


# --- Scripts -------------------------------------------------------------------------------------

# "~1.2ms", "1,234x", "93% compute", "0.117 GB/s"
FIGURE = re.compile(r"~?([+-]?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?) ?([A-Za-zµ%]+)?[!<]*(?: .*)?")
TIMES = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0}
UNITS = {**TIMES, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "k": 1e3, "M": 1e6, "G": 1e9}


def value(cell: str) -> float | None:
    found = FIGURE.fullmatch(cell)
    return float(found[1].replace(",", "")) * UNITS.get(found[2], 1.0) if found else None


CELLS = """table => [...table.tBodies].flatMap(body => [...body.rows])
  .filter(row => row.checkVisibility())
  .map(row => [...row.cells].map(cell => cell.textContent.trim()))"""
SORTS = "table => [...table.tHead.rows[0].cells].map(e => e.getAttribute('aria-sort') ?? 'none')"
PRESS = "(table, column) => table.tHead.rows[0].cells[column].querySelector('button').click()"


def cells(table: Any) -> list[list[str]]:
    """Of the rows that show, top to bottom."""
    rows: list[list[str]] = table.evaluate(CELLS)
    return rows


def sorted_by(table: Any, column: int) -> str:
    """Presses the heading's button; the order that the table then tells of."""
    table.evaluate(PRESS, column)
    said = table.evaluate(SORTS)
    order = said.pop(column)
    assert order in ("ascending", "descending") and set(said) <= {"none"}
    return str(order)


def apart(rows: list[list[str]], column: int) -> tuple[list[float], list[str]]:
    """The column's figures, and its words, once each; empty cells are neither."""
    found = [(cell, value(cell)) for cell in (row[column] for row in rows) if cell]
    words = dict.fromkeys(cell for cell, figure in found if figure is None)
    return [figure for _, figure in found if figure is not None], list(words)


def test_a_heading_sorts_by_value(browser: Browser, built: Callable[[str], Path]) -> None:
    units: set[str] = set()
    with visit(browser, built("committed")) as found:
        page_checks.fold(found.page, False)
        tables = found.page.locator("table.sortable").element_handles()
        assert tables
        for table in tables:
            rows = cells(table)
            for column in range(len(table.evaluate(SORTS))):
                first = sorted_by(table, column)
                once = cells(table)
                assert sorted_by(table, column) != first
                again = cells(table)
                assert Counter(map(tuple, rows)) == Counter(map(tuple, once))
                assert Counter(map(tuple, rows)) == Counter(map(tuple, again))
                figures, words = apart(once, column)
                assert figures == sorted(figures, reverse=first == "descending"), once
                # Of words, whose order is a matter of taste, alike ones stand together.
                assert apart(again, column) == (figures[::-1], words[::-1])
                units |= {row[column].lstrip("~0123456789.") for row in rows}
        order = tables[0].evaluate(SORTS)[-1]
        found.page.locator("table.sortable").first.locator("th button").last.press("Enter")
        assert tables[0].evaluate(SORTS)[-1] != order
        assert found.noticed == []
    assert len(units & TIMES.keys()) > 1  # or it would have been enough to sort by digits


def test_typing_leaves_the_rows_that_match(browser: Browser, built: Callable[[str], Path]) -> None:
    with visit(browser, built("committed")) as found:
        page = found.page
        page_checks.fold(page, False)
        search = page.locator("input[type=search]").first
        assert search.count()
        # The field is for the table that follows; what it has to say stands in the same box.
        table = search.locator("xpath=following::table[contains(@class, 'sortable')][1]")
        live = "*[@aria-live or @role='status']"
        status = search.locator(f"xpath=ancestor::*[.//{live}][1]//{live}")
        rows = cells(table)
        kernel = re.split(r"[ ,]", rows[-1][0])[0]
        assert 0 < sum(kernel in " ".join(row) for row in rows) < len(rows)
        for typed in (kernel, kernel.upper(), "no such row", ""):
            matching = [row for row in rows if typed.lower() in " ".join(row).lower()]
            search.fill(typed)
            assert_says(status, len(matching))
            assert cells(table) == matching
        search.fill(kernel)
        sorted_by(table, 1)
        assert all(kernel in " ".join(row) for row in cells(table))
        assert found.noticed == []


def assert_says(status: Any, number: int) -> None:
    """Soon enough: a script may wait until typing has come to its end."""
    for _ in range(100):
        said = re.findall(r"[\d,]+", " ".join(status.all_inner_texts()))
        if f"{number:,}" in said or str(number) in said:
            return
        status.page.wait_for_timeout(20)
    raise AssertionError(f"says {said}, not {number}")


# --- Hostile names -------------------------------------------------------------------------------

RECORD = """
window.ran = [];
for (const name of ["alert", "confirm", "prompt", "print", "open"]) {
  window[name] = (...said) => window.ran.push([name, ...said].join(" "));
}
"""
BUILT_OF = """() => {
  const all = [...document.querySelectorAll("*")], given = e => [...e.attributes];
  const scripts = all.filter(e => e.localName === "script" && !/json/.test(e.type));
  const links = all.flatMap(e => ["href", "xlink:href", "src", "action", "formaction", "srcdoc"]
    .filter(name => e.hasAttribute(name)).map(name => e.getAttribute(name)));
  return {
    built: all.flatMap(e => [e.localName, ...given(e).map(a => `${e.localName} ${a.name}`)]),
    handlers: all.flatMap(given).map(a => a.name).filter(name => /^on/i.test(name)),
    scripts: scripts.map(e => e.textContent),
    protocols: links.map(link => new URL(link, document.baseURI).protocol),
    said: document.documentElement.textContent
      + all.flatMap(given).map(a => a.value).join(""),
  };
}"""
TURNS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def built_of(found: Visit) -> dict[str, Any]:
    page_checks.fold(found.page, False)
    assert found.noticed == [] and found.page.evaluate("ran") == []
    return dict(found.page.evaluate(BUILT_OF))


def test_hostile_names_are_text_and_run_nothing(
    browser: Browser, built: Callable[[str], Path]
) -> None:
    with visit(browser, built("harmless"), before=RECORD) as found:
        harmless = built_of(found)
    with visit(browser, built("hostile"), before=RECORD) as found:
        hostile = built_of(found)
        for search in found.page.locator("input[type=search]").all():
            search.fill(report_pages.HOSTILE)
        again = built_of(found)
    assert set(hostile["built"]) <= set(harmless["built"]) and hostile["handlers"] == []
    assert again["handlers"] == [] and set(again["scripts"]) == set(hostile["scripts"])
    assert hostile["scripts"] == harmless["scripts"]
    assert set(hostile["protocols"]) <= set(harmless["protocols"])
    assert "<img src=x onerror=alert(2)>" in hostile["said"]  # or nothing hostile was in it
    assert not TURNS.search(hostile["said"])


def test_files_of_charts_with_hostile_names_run_nothing(
    browser: Browser, built: Callable[[str], Path]
) -> None:
    charts = sorted(built("hostile").parent.rglob("*.svg"))
    assert charts
    with visit(browser, charts[0], before=RECORD) as found:
        for path in charts:
            found.open(path)
            content = built_of(found)
            assert "svg" in content["built"] and "script" not in content["built"]
            assert content["handlers"] == [] and not TURNS.search(content["said"])
