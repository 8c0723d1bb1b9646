"""JavaScript that the checks of an open page share: what shows, where ink is, what contrasts.

Geometry is in CSS pixels as rendered. Of a text counts its ink, on its baseline: line boxes overlap
where no letter does. Colours are the computed ones.
"""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page

_SHAPES = "rect, circle, ellipse, path, line, polyline, polygon"
# A mark is what a chart is drawn for: a shape that says what it is in a <title>, or whose class
# says what it stands for. Axes and their grid are none.
_MARKED = ":has(> title):not(svg), .series, [class*=tone-]"

_LIBRARY = """
(() => {
const SHAPES = "(shapes)", MARKED = "(marked)";
const shown = e => e.checkVisibility({opacityProperty: true, visibilityProperty: true});
const charts = () => [...document.querySelectorAll("svg:not([aria-hidden=true])")]
  .filter(e => !e.parentElement?.closest("svg") && shown(e));
const name = e => e.getAttribute("aria-label") || e.querySelector("title")?.textContent
  || e.closest("[aria-label]")?.getAttribute("aria-label") || e.id;
const said = e => JSON.stringify((e.innerText ?? e.textContent).trim().slice(0, 60));

// The parts of a <text> that are in one piece: itself, or its innermost <tspan>s.
const parts = e => {
  const own = [...e.childNodes].some(n => n.nodeType === Node.TEXT_NODE && n.data.trim());
  return own || !e.children.length ? [e] : [...e.children].flatMap(parts);
};
const texts = svg => [...svg.querySelectorAll("text")].flatMap(parts)
  .filter(e => e.textContent.trim() && shown(e));

const context = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
const scale = e => {
  const {a, b, c, d} = e.getScreenCTM();
  return Math.sqrt(Math.abs(a * d - b * c));
};
const quad = e => {  // the four corners of its ink, turned as the text is
  const style = getComputedStyle(e), points = [];
  context.font = `${style.fontStyle} ${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
  const ink = context.measureText(e.textContent.trim());
  for (let i = 0; i < e.getNumberOfChars(); i++) {
    points.push(e.getStartPositionOfChar(i), e.getEndPositionOfChar(i));
  }
  const xs = points.map(p => p.x), ys = points.map(p => p.y);
  const [left, right] = [Math.min(...xs), Math.max(...xs)];
  const top = Math.min(...ys) - ink.actualBoundingBoxAscent;
  const bottom = Math.max(...ys) + ink.actualBoundingBoxDescent;
  return [[left, top], [right, top], [right, bottom], [left, bottom]]
    .map(([x, y]) => new DOMPoint(x, y).matrixTransform(e.getScreenCTM()));
};
const depth = (one, two) => {  // how far two quads reach into each other, by separating axes
  let least = Infinity;
  for (const corners of [one, two]) for (const i of [0, 1]) {
    const [dx, dy] = [corners[i + 1].x - corners[i].x, corners[i + 1].y - corners[i].y];
    const along = q => q.map(p => (p.x * dx + p.y * dy) / (Math.hypot(dx, dy) || 1));
    const [a, b] = [along(one), along(two)];
    least = Math.min(least, Math.max(...a) - Math.min(...b), Math.max(...b) - Math.min(...a));
  }
  return least;
};

// Colours are red, green, blue and alpha. Contrast: https://www.w3.org/TR/WCAG21/#dfn-contrast-ratio
const colors = new Map();
const rgba = color => {
  if (!color || color === "none" || color.startsWith("url(")) return null;
  if (!colors.has(color)) {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = color;
    context.fillRect(0, 0, 1, 1);
    colors.set(color, [...context.getImageData(0, 0, 1, 1).data]);
  }
  const [r, g, b, a] = colors.get(color);
  return a ? [r, g, b, a / 255] : null;
};
const over = (front, back) =>
  [0, 1, 2].map(i => front[i] * front[3] + back[i] * (1 - front[3])).concat(1);
const luminance = color => {
  const [r, g, b] = color.map(c => c / 255)
    .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const contrast = (one, two) => {
  const [low, high] = [luminance(one), luminance(two)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
};
const lineage = e => e ? [...lineage(e.parentElement), e] : [];
let opacities;  // of one chart, in one state of the page
const opacity = e => {
  if (!e) return 1;
  if (!opacities.has(e)) {
    opacities.set(e, getComputedStyle(e).opacity * opacity(e.parentElement));
  }
  return opacities.get(e);
};
const paint = (e, what) => {
  const style = getComputedStyle(e), color = rgba(style[what]);
  if (color) color[3] *= style[`${what}Opacity`] * opacity(e);
  return color;
};
const background = e => {  // what HTML and CSS paint behind it
  opacities = new WeakMap();
  const probe = document.body.appendChild(document.createElement("i"));
  probe.style.background = "Canvas";
  let color = rgba(getComputedStyle(probe).backgroundColor);
  probe.remove();
  for (const parent of lineage(e)) {
    const own = rgba(getComputedStyle(parent).backgroundColor);
    if (own) color = over(own.with(3, own[3] * opacity(parent)), color);
  }
  return color;
};
// What a chart is painted with, first to last, above its background.
const painted = svg => [...svg.querySelectorAll(SHAPES)]
  .filter(shape => shown(shape) && !shape.closest("defs, clipPath, mask"))
  .map(shape => ({shape, fill: paint(shape, "fill"), toShape: shape.getScreenCTM().inverse()}))
  .filter(({fill}) => fill);
const behind = (e, point, base, before) => {
  let color = base;
  for (const {shape, fill, toShape} of before) {
    if (!(shape.compareDocumentPosition(e) & Node.DOCUMENT_POSITION_FOLLOWING)) break;
    if (shape.isPointInFill(point.matrixTransform(toShape))) color = over(fill, color);
  }
  return color;
};
const textContrasts = svg => {
  const base = background(svg), before = painted(svg);
  return texts(svg).map(e => {
    const style = getComputedStyle(e), [a, b, c, d] = quad(e);
    const color = paint(e, "fill"), outline = paint(e, "stroke");
    const wide = parseFloat(style.strokeWidth) >= 2 && style.paintOrder.startsWith("stroke");
    if (!color) return [e, 0];
    const places = [0.05, 0.5, 0.95].map(part => new DOMPoint(
      (a.x + d.x) / 2 * (1 - part) + (b.x + c.x) / 2 * part,
      (a.y + d.y) / 2 * (1 - part) + (b.y + c.y) / 2 * part));
    return [e, Math.min(...places.map(place => {
      const under = behind(e, place, base, before);
      const back = wide && outline ? over(outline, under) : under;
      return contrast(over(color, back), back);
    }))];
  });
};
const markContrasts = svg => {
  const base = background(svg);
  const marks = [...svg.querySelectorAll(SHAPES)]
    .filter(e => e.closest(MARKED) && !e.closest(".axis") && shown(e))
    .map(e => ({e, box: e.getBBox(), fill: paint(e, "fill"), stroke: paint(e, "stroke")}))
    .map(mark => mark.box.width * mark.box.height ? mark : {...mark, fill: null})
    .filter(({box, fill, stroke}) => fill || stroke && box.width + box.height);
  const own = new Set(marks.map(({e}) => e));
  const before = painted(svg).filter(({shape}) => !own.has(shape));
  return marks.map(({e, box, fill, stroke}) => {
    const middle = fill ? new DOMPoint(box.x + box.width / 2, box.y + box.height / 2)
      : e.getPointAtLength(e.getTotalLength() / 2);
    const back = behind(e, middle.matrixTransform(e.getScreenCTM()), base, before);
    return [e, Math.max(...[fill, stroke].filter(Boolean).map(c => contrast(over(c, back), back)))];
  });
};
window.checks = {shown, charts, name, said, lineage, texts, scale, quad, depth, background,
  luminance, textContrasts, markContrasts};
})()
"""


def ask(page: Page, body: str, argument: Any = None) -> Any:
    """What the body of a JavaScript function returns that has `argument`, and $: the functions
    above. Works where the page's scripts are off, too."""
    if not page.evaluate("'checks' in window"):
        page.evaluate(_LIBRARY.replace("(shapes)", _SHAPES).replace("(marked)", _MARKED))
    return page.evaluate(f"argument => {{ const $ = window.checks; {body} }}", argument)
