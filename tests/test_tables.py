"""The one drawer of tables: the same cells in a terminal, in a document, and as JSON."""

from __future__ import annotations

import json

from bench.views.tables import Table, View, render

WIDE = Table(
    ["rung", "idea", "best time", "why", "seen"],
    [["c_a", "first", "1.0s", "", ""], ["漢字", "second", "12.5s", "a|b", "SIMD"]],
    notes=["time: the minimum"],
    title="k_1",
    words=1,
    sentences=("idea", "why", "seen"),
)


def test_a_terminal_gets_figures_in_columns_and_sentences_behind_and_below_them() -> None:
    assert render(View([WIDE], notes=["of one run"]), "text").splitlines() == [
        "k_1",
        "",
        "       best",
        "rung   time  idea: why",
        "----------------------",
        "c_a    1.0s  first",
        "漢字  12.5s  second: a|b",
        "               SIMD",
        "time: the minimum",
        "",
        "of one run",
    ]


def test_a_document_gets_every_column_in_its_place_and_nothing_that_is_markup() -> None:
    assert render(View([WIDE], notes=["of", "one run"]), "md").splitlines() == [
        r"**k\_1**",
        "",
        "| rung | idea | best time | why | seen |",
        "| --- | --- | ---: | --- | --- |",
        r"| c\_a | first | 1.0s |  |  |",
        r"| 漢字 | second | 12.5s | a\|b | SIMD |",
        "",
        "time: the minimum",
        "",
        "of  ",
        "one run",
    ]


def test_a_program_gets_numbers_and_no_table() -> None:
    assert json.loads(render(View([WIDE], {"seconds": 12.5}), "json")) == {"seconds": 12.5}


FOLDED = View(
    [
        Table(["name", "time", "said"], [["n" * 30, "1ms", "word " * 9]], (), "", 1, ["said"]),
        Table(["name"], [["one"], ["two"]], words=1, folded="2 <more>"),
    ],
    notes=["a note"],
    title="A *title*",
    width=50,
)  # fmt: skip


def test_what_is_wider_than_a_terminal_goes_on_in_the_next_line() -> None:
    assert render(FOLDED, "text").splitlines() == [
        "A *title*",
        "",
        "name        time  said",
        "----------------------",
        "nnnnnnnnnnnnnnnnnnnn",
        "nnnnnnnnnn   1ms  word word word word word word",
        "  word word word",
        "",
        "2 <more>",
        "",
        "a note",
    ]


def test_a_document_folds_what_a_terminal_leaves_out() -> None:
    document = render(FOLDED, "md")
    assert document.startswith("### A \\*title\\*\n")
    folded = "| name |\n| --- |\n| one |\n| two |"
    assert f"<details><summary>2 &lt;more&gt;</summary>\n\n{folded}\n\n</details>" in document
