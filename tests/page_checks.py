"""What is wrong with an HTML page and its charts as a browser has laid them out. Each check is one
function of an open page and returns the offenders, one line each; none is what a test wants."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

from tests.page_library import ask


def fold(page: Page, folded: bool) -> None:
    """Every <details> closed, or opened."""
    page.evaluate(
        "open => document.querySelectorAll('details').forEach(e => e.open = open)", not folded
    )


# --- Layout --------------------------------------------------------------------------------------


def too_wide(page: Page) -> list[str]:
    """The page, where it scrolls sideways; charts and tables beyond it, unless in a box within it
    that scrolls by itself."""
    return list(
        ask(
            page,
            """
            const root = document.scrollingElement, width = root.clientWidth;
            const inside = e => {
              const {left, right} = e.getBoundingClientRect();
              return left + root.scrollLeft >= -1 && right + root.scrollLeft <= width + 1;
            };
            const scrolls = e => e !== root && e !== document.body
              && /auto|scroll/.test(getComputedStyle(e).overflowX);
            const tables = [...document.querySelectorAll("table")].filter($.shown);
            const found = [...$.charts(), ...tables]
              .filter(e => !inside(e) && !$.lineage(e).some(box => scrolls(box) && inside(box)))
              .map(e => `<${e.localName}> ${$.name(e)}: ${e.getBoundingClientRect().width} px`);
            if (root.scrollWidth > width) found.push(`the page: ${root.scrollWidth} px`);
            return found;
            """,
        )
    )


def clipped(page: Page) -> list[str]:
    """Boxes that hold more than they show: what is lost on paper, where nothing scrolls."""
    return list(
        ask(
            page,
            """
            return [...document.body.querySelectorAll("*")].filter(e => {
              const style = getComputedStyle(e), hides = o => o !== "visible";
              if (e.closest("svg") || !$.shown(e) || e.clientWidth <= 1) return false;
              return hides(style.overflowX) && e.scrollWidth > e.clientWidth + 1
                || hides(style.overflowY) && e.scrollHeight > e.clientHeight + 1;
            }).map(e => `<${e.localName} class="${e.className}"> ${e.scrollWidth} of `
              + `${e.clientWidth} px wide, ${e.scrollHeight} of ${e.clientHeight} px high: `
              + $.said(e));
            """,
        )
    )


# --- Charts --------------------------------------------------------------------------------------


def _of_charts(page: Page, body: str, argument: Any = None) -> list[str]:
    """`body` adds to `found` what is wrong with `svg`."""
    loop = f"""
        const found = [];
        for (const svg of $.charts()) {{
          const add = line => found.push(`${{$.name(svg)}}: ${{line}}`);
          {body}
        }}
        return found;
    """
    return list(ask(page, loop, argument))


def cut_texts(page: Page, tolerance: float = 1.0) -> list[str]:
    """Texts that reach beyond their chart."""
    return _of_charts(
        page,
        """
        const box = svg.getBoundingClientRect();
        for (const text of $.texts(svg)) {
          const beyond = Math.max(...$.quad(text).flatMap(p =>
            [box.left - p.x, p.x - box.right, box.top - p.y, p.y - box.bottom]));
          if (beyond > argument) add(`${$.said(text)} by ${beyond.toFixed(1)} px`);
        }
        """,
        tolerance,
    )


def small_texts(page: Page, least: float = 9.0) -> list[str]:
    """Texts whose font is smaller than `least` px once the chart has its width."""
    return _of_charts(
        page,
        """
        for (const text of $.texts(svg)) {
          const size = parseFloat(getComputedStyle(text).fontSize) * $.scale(text);
          if (size < argument - 0.01) add(`${$.said(text)} ${size.toFixed(1)} px`);
        }
        """,
        least,
    )


def overlapping_texts(page: Page, tolerance: float = 1.5) -> list[str]:
    """Pairs of texts of one chart whose ink overlaps by more than that many px whichever way one
    would move them apart."""
    return _of_charts(
        page,
        """
        const all = $.texts(svg).map(text => [text, $.quad(text)]);
        all.forEach(([text, quad], i) => all.slice(0, i).forEach(([other, under]) => {
          const depth = $.depth(quad, under);
          if (depth > argument) add(`${$.said(text)} on ${$.said(other)}, ${depth.toFixed(1)} px`);
        }));
        """,
        tolerance,
    )


def faint_texts(page: Page, least: float = 4.5) -> list[str]:
    """Texts of charts with less contrast than that to what is behind them (WCAG 2.1, 1.4.3)."""
    return _of_charts(
        page,
        """
        for (const [text, contrast] of $.textContrasts(svg)) {
          if (contrast < argument) add(`${$.said(text)} ${contrast.toFixed(2)}:1`);
        }
        """,
        least,
    )


def faint_marks(page: Page, least: float = 3.0) -> list[str]:
    """Marks with less contrast than that to what is behind all marks (WCAG 2.1, 1.4.11), and charts
    without any."""
    return _of_charts(
        page,
        """
        const marks = $.markContrasts(svg);
        if (!marks.length) add("no mark");
        for (const [mark, contrast] of marks) {
          const title = mark.closest(":has(> title):not(svg)")?.querySelector("title");
          const what = title ? $.said(title) : mark.closest("[class]").getAttribute("class");
          if (contrast < argument) add(`${mark.localName} ${what} ${contrast.toFixed(2)}:1`);
        }
        """,
        least,
    )


# --- Accessibility -------------------------------------------------------------------------------

# What makes axe slow and tells it nothing: rows that are built alike, of which two stay, and the
# inside of charts, whose "background color could not be determined"; faint_texts() has that.
_THIN = """() => {
  const seen = {};
  for (const row of document.querySelectorAll("tbody tr")) {
    const built = [row.closest("table"), row, ...row.querySelectorAll("*")]
      .map(e => e.localName + "." + e.className).join();
    seen[built] = (seen[built] ?? 0) + 1;
    if (seen[built] > 2) row.remove();
  }
  for (const chart of document.querySelectorAll("svg[role=img]:not(:has(a, [tabindex]))")) {
    chart.replaceChildren(...chart.querySelectorAll(":scope > title, :scope > desc"));
  }
}"""
# Contrasts are asked of one text of each look: alike in its own style and all that is behind it.
_AXE = """async () => {
  const options = {resultTypes: ["violations"], preload: false}, contrast = "color-contrast";
  const rest = await axe.run(document, {...options, rules: {[contrast]: {enabled: false}}});
  const looks = new Map();
  for (const e of document.body.querySelectorAll("*")) {
    if (![...e.childNodes].some(n => n.nodeType === Node.TEXT_NODE && n.data.trim())) continue;
    const {color, fontSize, fontWeight} = getComputedStyle(e), look = [color, fontSize, fontWeight];
    for (let box = e; box; box = box.parentElement) {
      const {backgroundColor, opacity, visibility} = getComputedStyle(box);
      look.push(backgroundColor, opacity, visibility);
    }
    if (!e.closest("svg") && e.checkVisibility()) looks.set(look.join(), e);
  }
  const only = {...options, runOnly: {type: "rule", values: [contrast]}};
  const colors = await axe.run({include: [...looks.values()]}, only);
  return [...rest.violations, ...colors.violations].flatMap(v => v.nodes.map(n => [v.impact,
    `${v.id} (${v.impact}): ${n.target}: ${n.html.slice(0, 120)}: `
      + (n.any[0] ?? n.all[0] ?? n.none[0])?.message]));
}"""


def inaccessible(page: Page, impacts: tuple[str, ...] = ("serious", "critical")) -> list[str]:
    """What axe-core finds. Takes tables and charts apart: no other check may come after it."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(_THIN)
        page.evaluate(AXE_SCRIPT)
    return [line for impact, line in page.evaluate(_AXE) if impact in impacts]


# --- What there is -------------------------------------------------------------------------------


def outline(page: Page) -> dict[str, list[Any]]:
    """The page's visible headings, tables (their cells) and charts (their names)."""
    return dict(
        ask(
            page,
            """
            const visible = what => [...document.querySelectorAll(what)].filter($.shown);
            const text = e => e.textContent.replace(/\\s+/g, " ").trim();
            return {
              headings: visible("h1, h2, h3, h4, h5, h6").map(text),
              tables: visible("table").map(e => [...e.rows].map(r => [...r.cells].map(text))),
              charts: $.charts().map($.name),
            };
            """,
        )
    )


def hidden(page: Page) -> list[str]:
    """Headings, tables and charts that are in the page and do not show."""
    return list(
        ask(
            page,
            """
            return [...document.querySelectorAll("h1, h2, h3, h4, h5, h6, table, svg")]
              .filter(e => !$.shown(e)).map(e => `<${e.localName}> ${$.said(e)}`);
            """,
        )
    )
