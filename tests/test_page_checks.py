"""The checks of tests/page_checks.py and the notes of tests/browser.py find what they are for, and
nothing in a page that is in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests import page_checks
from tests.browser import browser_or_skip, visit
from tests.page_checks import (
    clipped,
    cut_texts,
    faint_marks,
    faint_texts,
    hidden,
    inaccessible,
    overlapping_texts,
    small_texts,
    too_wide,
)

PAGE = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>a page</title>
<meta name="viewport" content="width=device-width"><style>
:root { color-scheme: light dark } body { margin: 0 }
svg { display: block; max-width: 100%; height: auto; font-size: 12px }
</style></head><body><main><h1>A page</h1><!-- here --></main></body></html>"""
BLUE, INK = "fill: light-dark(#0b57b5, #7ab6ff)", "fill: light-dark(#1f2328, #e6eaee)"
BAR = f'<g><title>a bar</title><rect x="10" y="40" width="90" height="20" style="{BLUE}"/></g>'
LABELS = f"""<g style="{INK}"><text x="9" y="16">one</text><text x="9" y="29">two lines</text>
<text x="150" y="80" transform="rotate(45 150 80)">turned</text>
<text x="178" y="80" transform="rotate(45 178 80)">beside it</text></g>
<text x="20" y="54" style="fill: Canvas">inside</text>
<g class="axis"><path d="M0 90H400" stroke="#e5e5e5"/></g>"""


def chart(content: str, bar: str = BAR) -> str:
    return (
        f'<svg role="img" aria-label="a chart" viewBox="0 0 400 120" width="400">'
        f"{bar}{content}</svg>"
    )


def table(style: str = "") -> str:
    return f"""<div style="{style}"><table><tr><th scope="col" style="min-width: 2000px">wide</th>
      </tr><tr><td>1</td></tr></table></div>"""


def text(content: str, x: int, y: int, more: str = f'style="{INK}"') -> str:
    return chart(f'<text x="{x}" y="{y}" {more}>{content}</text>')


SCROLLS = '<div style="overflow-x: auto" tabindex="0" role="region" aria-label="a table">'
IN_ORDER = chart(LABELS) + f"{SCROLLS}{table()}</div>"
PLANTED: list[tuple[Callable[[Any], list[str]], str, str]] = [
    (too_wide, table(), "the page: 20"),
    (too_wide, table("overflow: hidden"), "<table>"),
    (too_wide, f'<div style="width: 900px; overflow: auto">{table()}</div>', "the page: 900 px"),
    (too_wide, '<svg style="max-width: none" width="800" aria-label="a chart"></svg>', "<svg>"),
    (clipped, table("overflow: auto"), " of 600 px wide"),
    (clipped, '<p style="overflow: hidden; height: 1em">one<br>two<br>three</p>', "high"),
    (cut_texts, text("beyond", 380, 30), '"beyond" by'),
    (cut_texts, text("Above", 10, 3), '"Above" by'),
    (cut_texts, text("turned", 390, 30, 'transform="rotate(60 390 30)"'), '"turned" by'),
    (cut_texts, text('<tspan x="10">one</tspan><tspan x="390">two</tspan>', 0, 30), '"two" by'),
    (small_texts, text("small", 10, 20, 'font-size="8"'), '"small" 8.0 px'),
    (small_texts, f'<div style="width: 240px">{text("shrunk", 10, 20)}</div>', '"shrunk" 7.2 px'),
    (overlapping_texts, chart(LABELS + '<text x="20" y="19">x</text>'), '"x" on "one"'),
    (
        overlapping_texts,
        chart(LABELS + '<text x="155" y="85" transform="rotate(45 150 80)">x</text>'),
        '"x" on "turned"',
    ),
    (faint_texts, text("grey", 10, 20, 'fill="#999"'), '"grey" 2.8'),
    (faint_texts, text("thin", 10, 20, 'fill-opacity="0.5"'), '"thin" 3.9'),
    (faint_texts, text("on the bar", 20, 55), '"on the bar" 2.'),
    (faint_texts, text("half on it", 80, 55), '"half on it" 2.'),
    (faint_texts, f'<div style="background: #555">{text("on a box", 10, 20)}</div>', "on a box"),
    (faint_marks, chart("", bar=BAR.replace(BLUE, "fill: #bbb")), 'rect "a bar" 1.9'),
    (faint_marks, chart("", bar=f'<g opacity="0.4">{BAR}</g>'), 'rect "a bar" 1.9'),
    (faint_marks, chart('<path class="tone-1" d="M0 9H90" stroke="#ccc"/>'), "path"),
    (faint_marks, chart('<g class="series"><circle r="4" fill="#ddd"/></g>'), "circle"),
    (faint_marks, chart("", bar=""), "no mark"),
    (hidden, '<h2 style="display: none">gone</h2>', '<h2> "gone"'),
    (hidden, f"<details><summary>more</summary>{chart('')}</details>", "<svg>"),
    (inaccessible, '<p style="color: #bbb; background: #fff">faint</p>', "color-contrast"),
    (inaccessible, '<svg role="img"></svg>', "svg-img-alt"),
    (inaccessible, '<input type="search">', "label (critical)"),
    (inaccessible, table("overflow: auto; height: 20px"), "scrollable-region-focusable"),
]  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    yield from browser_or_skip()


@pytest.fixture(scope="module")
def page(browser: Browser) -> Page:
    return browser.new_page(viewport={"width": 600, "height": 800})


def page_of(content: str, folder: Path) -> Path:
    path = folder / "page.html"
    path.write_text(PAGE.replace("<!-- here -->", content), encoding="utf-8")
    return path


@pytest.mark.parametrize(("check", "content", "said"), PLANTED)
def test_what_is_planted_is_found(
    check: Callable[[Any], list[str]], content: str, said: str, page: Page, tmp_path: Path
) -> None:
    page.goto(page_of(content, tmp_path).as_uri())
    lines = check(page)
    assert [line for line in lines if said in line], lines
    assert len(lines) == 1 or (check is too_wide and len(lines) == 2), lines


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_page_in_order_has_nothing(dark: bool, browser: Browser, tmp_path: Path) -> None:
    checks = (
        too_wide, cut_texts, small_texts, overlapping_texts, faint_texts, faint_marks, hidden,
        inaccessible,
    )  # fmt: skip
    with visit(browser, page_of(IN_ORDER, tmp_path), width=600, dark=dark) as found:
        assert {check.__name__: check(found.page) for check in checks} == {
            check.__name__: [] for check in checks
        }
        assert found.noticed == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('<img src="http://nowhere.invalid/a.png" alt="">', "asks for http://nowhere.invalid/"),
        ('<link rel="stylesheet" href="other.css">', "other.css"),
        ("<script>new WebSocket('ws://nowhere.invalid/')</script>", "asks for ws://"),
        ("<script>console.warn('careful')</script>", "console warning: careful"),
        ("<script>undefined_function()</script>", "raises undefined_function"),
        ("<script>alert('hello')</script>", "alert: hello"),
    ],
)
def test_what_a_page_does_is_noticed(
    content: str, said: str, browser: Browser, tmp_path: Path
) -> None:
    with visit(browser, page_of(content, tmp_path)) as found:
        found.page.evaluate("new Promise(done => setTimeout(done, 50))")
        assert any(said in line for line in found.noticed), found.noticed


def test_the_outline_is_what_shows(browser: Browser, tmp_path: Path) -> None:
    content = f"<h2>Here</h2><h2 hidden>Gone</h2>{table()}{chart('')}"
    for scripts in (True, False):
        with visit(browser, page_of(content, tmp_path), scripts=scripts) as found:
            assert page_checks.outline(found.page) == {
                "headings": ["A page", "Here"],
                "tables": [[["wide"], ["1"]]],
                "charts": ["a chart"],
            }
