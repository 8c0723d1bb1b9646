// Tables that can be sorted and filtered. Without scripts they are tables all the same.
"use strict";
const UNITS = {ns: 1e-9, us: 1e-6, ms: 1e-3, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, k: 1e3, M: 1e6, G: 1e9};
const FIGURE = /^[~<]?([-+]?[0-9]+[0-9.]*(?:e[-+]?[0-9]+)?) ?(ns|us|ms|s|%|x|[KMG]iB|[kMG])?(?![\w.-])/;
function value(text) {
  const found = text.replace(/,/g, "").match(FIGURE);
  return found ? parseFloat(found[1]) * (UNITS[found[2]] || 1) : null;
}
function compare(a, b) {
  const x = value(a), y = value(b);
  if (x !== null && y !== null) return x - y;
  if (x !== null || y !== null) return x !== null ? -1 : 1;
  return a === "" || b === "" ? (a === "") - (b === "") : a.localeCompare(b, "en", {numeric: true});
}
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach(other => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const text = row => row.cells[column].textContent.trim();
      const empty = row => text(row) === "";
      const rows = [...body.rows].sort((a, b) =>
        empty(a) - empty(b) || (down ? -1 : 1) * compare(text(a), text(b)));
      body.append(...rows);
    });
  });
  const label = document.createElement("label"), field = document.createElement("input");
  const status = document.createElement("span");
  field.type = "search";
  label.className = "filter";
  label.append("Filter rows ", field, " ", status);
  status.setAttribute("aria-live", "polite");
  field.addEventListener("input", () => {
    const wanted = field.value.toLowerCase().split(/\s+/);
    let shown = 0;
    for (const row of body.rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !wanted.every(word => text.includes(word));
      shown += !row.hidden;
    }
    status.textContent = `${shown} of ${body.rows.length} rows`;
  });
  table.closest(".scrolls").before(label);
}
