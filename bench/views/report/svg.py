"""From what pygal draws to a clean SVG, for a page or as a file of its own.

What pygal writes by default cannot be published as it is: it carries a script, a random id, the
date of the day, tooltips that need the network, and a stylesheet of its own. All of that is taken
out, so that the same runs give the same bytes, and a page has one stylesheet for all its charts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from bench.views.report import palette
from bench.views.report.axes import LABEL, LETTER, TITLE, WIDTH, clipped

TEMPLATES = Path(__file__).parent / "templates"
FONTS = 'system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif'
# Of a page and of what stands on it, in the light and in the dark.
PAGE = {
    "paper": ("#ffffff", "#14171a"),
    "ink": ("#1f2328", "#e6eaee"),
    "faint": ("#59636e", "#9ba5b0"),
    "guide": ("#d1d9e0", "#353b42"),
}
_MARGIN, _KEY, _KEY_LINE = 8, 12, 18  # of a legend: beside it, its boxes, its lines
_BESIDE = 7  # from a point to its label
# Of pygal's classes those that its scripts and stylesheets need.
_UNUSED = {"reactive", "tooltip-trigger", "nofill", "dots", "rect", "major", "guides"}


class Mark(NamedTuple):
    """A series as it is drawn. name: in the legend; "" for none."""

    name: str
    tone: str
    look: str


def cleaned(drawn: Any, title: str, marks: Sequence[Mark], beside_bars: bool) -> Element:
    """A chart of pygal's as an SVG for the page; `marks`, of its series, in their order."""
    drawn.uuid = "x"
    root = ElementTree.fromstring(drawn.render(is_unicode=True))
    for node in root.iter():  # names without a namespace are easier to find
        node.tag = node.tag.rpartition("}")[2]
    for parent in list(root.iter()):
        for child in list(parent):
            unused = child.tag in ("defs", "title")  # titles repeat the labels of axes
            if unused or child.get("class") == "plot tooltip-overlay":
                parent.remove(child)
    groups = {group: group.get("class", "") for group in root.iter("g")}
    for group, kind in groups.items():
        if found := re.match(r"series serie-(\d+)", kind):
            mark = marks[int(found[1])]
            group.set("class", f"{_class(mark.tone)} {mark.look}".strip())
            _name_marks(group)
    plot = next(group for group, kind in groups.items() if kind == "plot")
    width = float(plot[0].get("width", WIDTH))
    for text in root.iter("text"):
        if text.get("class") == "label":
            _place_label(text, width, beside_bars)
    for node in root.iter():
        _tidy(node)
    height = drawn.config.height + _add_legend(root, marks, drawn.config.height)
    view = f"0 0 {WIDTH} {height}"
    root.attrib = {"class": "chart", "viewBox": view, "role": "img", "aria-label": clipped(title)}
    return root


def _class(tone: str) -> str:
    return palette.css_class(tone) if tone in palette.TONES else f"tone-{tone}"


def _name_marks(group: Element) -> None:
    """Each bar and dot says what it is when pointed at: <title>, which needs no script, in place of
    the <desc> elements that pygal's script would read."""
    for mark in group.iter("g"):
        described = {desc.get("class", "").strip(): desc for desc in mark.findall("desc")}
        for desc in described.values():
            mark.remove(desc)
        if "value" in described and described["value"].text:
            title = Element("title")
            title.text = clipped(described["value"].text)
            mark.insert(0, title)


def _place_label(text: Element, plot: float, beside_bar: bool) -> None:
    """Beside its point, or the end of its bar; pygal's stands below a point, to the right."""
    x, y = float(text.get("x", 0)), float(text.get("y", 0))
    if beside_bar:
        x += 4 - LABEL / 2
    else:
        x, y = x - LABEL, y - LABEL
        width = len(text.text or "") * LETTER * LABEL
        if x + _BESIDE + width > plot + 2 * _BESIDE:
            text.set("text-anchor", "end")
            x -= _BESIDE
        else:
            x += _BESIDE
    text.set("x", str(x))
    text.set("y", str(y))


def _tidy(node: Element) -> None:
    """A tenth of a pixel is enough, and of the classes those that are in the stylesheet."""
    for name, value in list(node.attrib.items()):
        shorter = re.sub(r"\d+\.\d+", _tenths, value)
        if name == "class":
            shorter = " ".join(part for part in value.split() if part not in _UNUSED)
        node.set(name, shorter)
        if name == "id" or not shorter:
            del node.attrib[name]


def _tenths(found: re.Match[str]) -> str:
    return f"{float(found[0]):.1f}".removesuffix(".0")


def _add_legend(root: Element, marks: Sequence[Mark], top: int) -> int:
    """Keys one after the other, in as many lines as they need; how high that is. pygal's own stand
    in columns of one width, and are cut off."""
    x, y = _MARGIN, top
    named = [mark for mark in marks if mark.name]
    for mark in named:
        width = round(_KEY + 19 + len(mark.name) * LETTER * LABEL)
        if x > _MARGIN and x + width > WIDTH:
            x, y = _MARGIN, y + _KEY_LINE
        key = SubElement(root, "g", {"transform": f"translate({x}, {y})"})
        SubElement(
            key, "rect", {"width": f"{_KEY}", "height": f"{_KEY}", "class": _class(mark.tone)}
        )
        SubElement(key, "text", {"x": f"{_KEY + 5}", "y": f"{_KEY - 2}"}).text = mark.name
        x += width
    return y - top + _KEY_LINE + _MARGIN if named else 0


# --- What is published ---------------------------------------------------------------------------


def inline(root: Element) -> Markup:
    """For a page, whose stylesheet it follows."""
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def document(root: Element, theme: str = "auto") -> str:
    """A file of its own. theme: light, dark, or auto, which is the reader's."""
    _, _, width, height = map(int, root.get("viewBox", "").split())
    whole = Element("svg", {"xmlns": "http://www.w3.org/2000/svg", **root.attrib})
    whole.set("width", str(2 * width))
    whole.set("height", str(2 * height))
    SubElement(whole, "title").text = root.get("aria-label")
    SubElement(whole, "style").text = stylesheet(".chart", theme)
    whole.extend(root)
    return ElementTree.tostring(whole, encoding="unicode") + "\n"


@lru_cache
def stylesheet(root: str, theme: str = "auto") -> Markup:
    """Of charts; `root` selects what the colours are declared on."""
    return Markup(
        template("chart.css.j2").render(
            root=root,
            theme=theme,
            tones=list(palette.TONES.values()),
            page=PAGE,
            fonts=Markup(FONTS),
            label=LABEL,
            title=TITLE,
        )
    )


@lru_cache
def template(name: str) -> Template:
    """One of templates/. What it is given is text: on one line, no markup, and not too long."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        finalize=lambda value: value if isinstance(value, Markup) else clipped(value),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(name)
