"""Whatever text stands in a file, nothing but plain text of one line leaves by any view: no control
character, no mark that turns the reading direction, no markup.

Every text of a run, a gate, a comparison and a ledger is replaced in turn. The reader may refuse
it, in one clean line; what it takes must come out clean in every format.
"""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt  # which rich needs, too

from bench import __main__ as command_line
from bench.analysis.history import archive_of
from bench.saved import gates, ledger, runs
from bench.saved import peers as peer_runs
from bench.views import documents, interpreters, limits, matrix, peers, selfcheck, tables
from bench.views import gate as gate_view
from bench.views.explain import cost, ladder, overhead, scaling
from bench.views.report import page, write_report
from bench.views.units import escaped

ROOT = Path(__file__).resolve().parent.parent
FORGED = "FORGED"
# What a terminal obeys, what turns or hides text, what ends a line, and what no file can hold.
CONTROL = (
    "\x1b[31m\x07\x00\x9b\x7f\u202e\u2066\u200f\u061c\u200b\ufeff\u00ad\U000e0041\u2028\u2029\x85"
    f"\ud800\r\n{FORGED}"
)
# What Markdown, HTML and rich read; @me, #7 and the addresses are links on GitHub.
MARKUP = (
    "[t](u) ![i](u) <b onclick=x>b</b> <https://a.b> `c` **b** _e_ ~~s~~ | &lt; \\ $m$ [red]r[/]"
    " :bomb: @me #7 https://a.b www.a.b a@b.c {{ 7 * 7 }} [/nothing]"
)
_LINK = re.compile(r"(@|&#64;)\w|(?<!&)#\d|\w://|www\.", re.IGNORECASE)
# Objects whose names are anybody's.
OPEN = {"tiers", "ladders", "peers", "refused_peers", "libraries", "bytecodes"}
OURS = {"strong_open", "strong_close", "code_inline", "text", "softbreak", "hardbreak"}


def small_run() -> dict[str, Any]:
    """Of everything that a view reads a little."""
    content = json.loads((ROOT / "results/reference.json").read_text(encoding="utf-8"))
    kept = {"relu_f32": ("100", "10000"), "matmul_i8_i32": ("16",), "matmul_f32": ("16",)}
    content["benchmarks"] = [
        b
        for b in content["benchmarks"]
        if "operation" in b["extra_info"]
        or b["name"].startswith("test_empty_call")
        or b["extra_info"].get("size") in kept.get(b["extra_info"].get("kernel", ""), ())
    ]
    machine = content["machine_info"]
    machine["tiers"]["none"] = {"unavailable": "no such instructions"}
    machine["peers"] = {"numpy": {"unavailable": "numpy is not installed"}}
    machine["refused_peers"] = {"torch": "its result is wrong"}
    machine["tiers"] = {name: machine["tiers"][name] for name in ("avx2", "none")}
    machine["ladders"] = {name: machine["ladders"][name] for name in kept}
    machine["limits"] = machine["limits"][:4]
    machine["cpu"]["flags"] = ["avx2"]
    ours = next(b for b in content["benchmarks"] if "side" in b["extra_info"])
    peer = {**ours, "extra_info": ours["extra_info"] | {"side": "peer", "variant": "peer-numpy"}}
    foreign = {**peer, "fullname": "t.py::foreign", "extra_info": {}}
    content["benchmarks"] += [{**peer, "fullname": "t.py::peer"}, foreign]
    for benchmark in content["benchmarks"]:
        names = ("min", "max", "mean", "median", "stddev", "iqr", "rounds")
        benchmark["stats"] = {name: benchmark["stats"][name] for name in names}
    return dict(content)


JUDGED = {"name": "a.py::t", "change": 0.5, "base": 1.0, "samples": 9, "note": "a note"}
GATE: dict[str, Any] = {
    "format": "baremetal-ml gate", "version": 1, "kind": "timing", "base": "main", "head": "head",
    "threshold": 0.01, "seconds": 1.0, "machine": {"cpu": {"brand_raw": "A CPU"}}, "note": "a note",
    "judged": [{**JUDGED, "verdict": verdict} for verdict in ("regressed", "pass", "inconclusive")],
    "unjudged": [{"name": "a.py::u", "why": "new", "note": "a note"}],
    "controls": [{**JUDGED, "verdict": "pass", "change": 0.0}],
    "datetime": "2026-01-02T03:04:05+00:00",
}  # fmt: skip
LEDGER: dict[str, Any] = {
    "format": "baremetal-ml gate ledger", "version": 1, "kind": "planted", "cpu": "A CPU",
    "design": "a design", "seed": 1, "seconds": 1.0, "when": "2026",
    "outcomes": [{"name": "a.py::t", "planted": 0.03, "verdict": "pass", "change": 0.0}],
}  # fmt: skip


def small_peers() -> dict[str, Any]:
    content = json.loads((ROOT / "results/peers.json").read_text(encoding="utf-8"))
    content["cells"] = content["cells"][:2]
    content["cells"][0]["peers"] |= {"blis": {"wrong": "it is"}, "numpy": {"unavailable": "it is"}}
    content["libraries"]["mkl"] = {"unavailable": "not installed"}
    content["warnings"] = ["a warning"]
    return dict(content)


def places(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Where texts stand. The items of a list are one place."""
    if isinstance(value, dict):
        for name, item in value.items():
            if path and path[-1] in OPEN:
                yield (*path, f"name {name}")
            yield from places(item, (*path, name))
    elif isinstance(value, list):
        for item in value:
            yield from places(item, (*path, "*"))
    elif isinstance(value, str):
        yield path


def replaced(value: Any, path: tuple[str, ...], hostile: str) -> Any:
    """A copy in which the texts of a place end in something hostile."""
    if not path:
        return value + hostile if isinstance(value, str) else value
    first, *rest = path
    if isinstance(value, dict):
        if not rest and first.startswith("name "):
            old = first.removeprefix("name ")
            return {name + hostile * (name == old): item for name, item in value.items()}
        return {n: replaced(i, tuple(rest), hostile) if n == first else i for n, i in value.items()}
    return [replaced(i, tuple(rest), hostile) for i in value] if isinstance(value, list) else value


def assert_plain(text: str) -> None:
    odd = {c for c in text if not c.isprintable() and c != "\n"}
    assert not odd, [line for line in text.splitlines() if odd & set(line)][:1]
    assert not any(line.startswith(FORGED) for line in text.split("\n"))


def assert_inactive(markdown: str) -> None:
    """Nothing but what the views themselves write."""
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    for token in parser.parse(markdown):
        for child in token.children or ():
            is_ours = child.type in OURS or child.content in ("<code>", "</code>")
            assert is_ours, (child.type, child.content, token.content[:200])
        if token.type == "html_block":
            assert not re.sub(r"</?details( open)?>|</?summary>", "", token.content).count("<")
        assert token.type not in ("fence", "code_block", "hr", "blockquote_open")
    outside = re.sub(r"(?<!\\)`[^`\n]*`", "", markdown)
    assert not _LINK.search(outside), _LINK.search(outside)


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.found |= {tag, *(f"{tag} {name}" for name, _ in attrs)}


Drawn = Iterator[tuple[str, Callable[[], str]]]  # (format, what draws a view in it)
OTHER = runs.load(ROOT / "results/interpreters/cpython-3.13.0.json")
OTHER = replace(OTHER, results=OTHER.results[-20:])
FORMS = ("text", "md")


def drawn_of_run(content: Any) -> Drawn:
    run = runs.from_json(content)
    views: list[tuple[Any, Callable[[], tuple[Any, ...]]]] = [
        (matrix.view, lambda: (run,)),
        (ladder.view, lambda: ([run],)),
        (cost.view, lambda: (run,)),
        (scaling.view, lambda: (run,)),
        (overhead.view, lambda: (run,)),
        (limits.view, lambda: (run.limits,)),
        (interpreters.view, lambda: ([run, OTHER],)),
        (cost.by_interpreter, lambda: ([run, run],)),
        (ladder.by_interpreter, lambda: ([run, run],)),
    ]

    def draw(view: Any, arguments: Callable[[], tuple[Any, ...]], form: str) -> str:
        return tables.render(view(*arguments()), form)

    for form in FORMS:
        for view, arguments in views:
            yield form, partial(draw, view, arguments, form)
    yield "md", lambda: tables.render(limits.shares(run), "md")


def drawn_of_gate(content: Any) -> Drawn:
    gate = gates.from_json(content)
    return ((f, partial(tables.render, gate_view.view(gate, True), f)) for f in FORMS)


def drawn_of_peers(content: Any) -> Drawn:
    run = peer_runs.from_json(content)
    return ((form, partial(lambda f: tables.render(peers.view(run), f), form)) for form in FORMS)


def drawn_of_ledger(content: Any) -> Drawn:
    entry = ledger._entry("a ledger", json.dumps(content))
    return (
        (form, partial(lambda f: tables.render(selfcheck.view([entry]), f), form)) for form in FORMS
    )


@pytest.mark.parametrize("hostile", [CONTROL, MARKUP], ids=["control", "markup"])
@pytest.mark.parametrize(
    ("content", "draw"),
    [
        (small_run(), drawn_of_run), (GATE, drawn_of_gate), (small_peers(), drawn_of_peers),
        (LEDGER, drawn_of_ledger),
    ],
    ids=["run", "gate", "peers", "ledger"],
)  # fmt: skip
def test_no_text_of_a_file_leaves_as_it_is(
    content: dict[str, Any], draw: Callable[[Any], Drawn], hostile: str
) -> None:
    seen = {view() for _, view in draw(content)}  # as it is, it has something for every view
    for place in dict.fromkeys(places(content)):
        try:
            views = list(draw(replaced(content, place, hostile)))
        except runs.BadRun as error:
            assert_plain(str(error))
            continue
        for form, view in views:
            try:
                text = view()
            except runs.BadRun as error:  # main() prints it by one_line
                assert "\n" not in str(error)
                continue
            if text not in seen:
                seen.add(text)
                assert_plain(text)
                if form == "md" and hostile is MARKUP:
                    assert_inactive(text)
    assert hostile is CONTROL or len(seen) > 2


# --- The report, and the command line ------------------------------------------------------------


def hostile_everywhere(hostile: str) -> dict[str, Any]:
    """As many places at once as a run may have; sides stay, without which there are no charts."""
    content = small_run()
    for place in dict.fromkeys(places(content)):
        changed = replaced(content, place, hostile)
        with suppress(runs.BadRun):
            if place[-1] != "side":
                runs.from_json(changed)
                content = changed
    return content


@pytest.mark.parametrize("hostile", [CONTROL, MARKUP], ids=["control", "markup"])
def test_the_report_has_nothing_of_a_file_but_text(hostile: str, tmp_path: Path) -> None:
    def tags(content: dict[str, Any], folder: str) -> set[str]:
        run = runs.from_json(content, "a run")
        found: set[str] = set()
        for path in write_report(archive_of(run, replace(run, when=None)), tmp_path / folder):
            text = path.read_text(encoding="utf-8")
            assert_plain(text)
            if path.suffix in (".html", ".svg"):
                found |= Tags(text).found
            if path.suffix == ".svg":
                ET.fromstring(text)
            if path.suffix == ".md" and hostile is MARKUP:
                assert_inactive(text)
        return found

    assert tags(hostile_everywhere(hostile), "hostile") <= tags(small_run(), "plain")


def figures(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Where numbers stand. The items of a list are one place."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from figures(item, (*path, name))
    elif isinstance(value, list):
        for item in value:
            yield from figures(item, (*path, "*"))
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield path


def with_number(value: Any, path: tuple[str, ...], number: Any) -> Any:
    if not path:
        return number
    if isinstance(value, dict):
        first, *rest = path
        return {
            n: with_number(item, tuple(rest), number) if n == first else item
            for n, item in value.items()
        }
    return (
        [with_number(item, path[1:], number) for item in value]
        if isinstance(value, list)
        else value
    )


@pytest.mark.parametrize("number", [0, 1e29])
def test_whatever_numbers_a_file_holds_the_page_is_drawn_or_the_run_refused(number: Any) -> None:
    engine = json.loads((ROOT / "results/engine.json").read_text(encoding="utf-8"))
    benchmarks = [b for b in engine["benchmarks"] if b["extra_info"]["kernel"] == "decode_f32"]
    drawn = 0
    for content in (small_run(), {**engine, "benchmarks": benchmarks[:10]}):
        for place in dict.fromkeys(figures(content)):
            try:
                run = runs.from_json(with_number(content, place, number), "a run")
            except runs.BadRun:
                continue
            archive = archive_of(run)
            page.as_json(archive, run, page.sections(archive, run))
            drawn += 1
    assert drawn > 50


@pytest.mark.parametrize("hostile", [CONTROL, MARKUP], ids=["control", "markup"])
def test_a_document_takes_nothing_but_text(
    hostile: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        runs, "undamaged", lambda run: run
    )  # of the hostile file parts are left out
    (tmp_path / "run.json").write_text(json.dumps(hostile_everywhere(hostile)))
    names = ("machine", "matrix", "limits")
    blocks = [f"<!-- render: {name} run.json -->\n<!-- end -->" for name in names]
    text = documents.rendered("\n\n".join(blocks), tmp_path / "page.md")
    text = re.sub("<!-- .* -->", "", text)
    assert_plain(text)
    assert_inactive(text)


def test_names_of_files_leave_in_one_plain_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"a [red]b `c` {CONTROL}.json".replace("\x00", "").replace("\ud800", "\udc80")
    path, folder = tmp_path / name, f"{tmp_path}/report{CONTROL[:3]}"
    path.write_text(json.dumps(small_run()))
    missing = f"{path}none"
    document = tmp_path / f"{CONTROL[:3]}.md"
    document.write_text("<!-- render: machine none.json -->\n<!-- end -->")
    for code, command in (
        *((0, [v, str(path)]) for v in ("matrix", "ladder", "cost", "scaling", "overhead")),
        (0, ["matrix", str(path), "--format", "md"]),
        (0, ["matrix", str(path), "--by", "interpreter"]),
        (0, ["report", str(path), "-o", folder]),
        (0, ["scaling", str(path), "--kernel", "relu_f32", "--svg", str(path) + ".svg"]),
        *((2, [v, missing]) for v in ("matrix", "report", "ladder", "scaling", "overhead")),
        (2, ["matrix", missing, "--by", "interpreter"]),
        (2, ["gate", "compare", str(path), missing]),
        (2, ["gate", "compare", str(path), str(path)]),
        (2, ["gate", "show", missing]),
        (2, ["gate", "show", str(path)]),
        (2, ["peers", "--from", missing]),
        (2, ["peers", "--from", str(path)]),
        (2, ["render", str(document)]),
        (2, ["render", str(path)]),
    ):
        assert command_line.main(command) == code, command
        out, error = capsys.readouterr()
        assert_plain(out)
        assert_plain(error)
        assert len(error.splitlines()) == (code == 2)


def test_what_gates_refuse_is_said_in_one_plain_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content, good, other = small_run(), tmp_path / "good.json", tmp_path / "other.json"
    content["benchmarks"] = content["benchmarks"][-2:]
    good.write_text(json.dumps(content))
    for hostile in (CONTROL, MARKUP):
        for place in dict.fromkeys(places(content)):
            other.write_text(json.dumps(replaced(content, place, hostile)))
            code = command_line.main(["gate", "compare", str(good), str(other)])
            out, error = capsys.readouterr()
            assert_plain(out)
            assert_plain(error)
            assert code in (0, 2, 3) and len(error.splitlines()) == (code > 0 and not out)


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        ("relu_f32", r"relu\_f32"),
        ("-0.42%", "-0.42%"),
        ("- a", r"\- a"),
        ("---", r"\---"),
        ("===", r"\==="),
        ("12. a", r"12\. a"),
        ("1.5 a", "1.5 a"),
        ("# a #1", r"\# a \#&#8203;1"),
        ("> a", "&gt; a"),
        ("    a", "a"),
        ("a@b.c @me", r"a\@&#8203;b.c \@&#8203;me"),
        ("2.1 @ 3", r"2.1 \@ 3"),
        ("HTTPS://a WWW.a", r"HTTPS\://a WWW\.a"),
        ("<b>&lt;", "&lt;b&gt;&amp;lt;"),
        ("\u202ea\nb", r"\\u202ea\\nb"),
        ("a\\|b", r"a\\\|b"),
    ],
)
def test_markdown_is_escaped_where_it_would_act_and_nowhere_else(text: str, markdown: str) -> None:
    assert escaped(text) == markdown
