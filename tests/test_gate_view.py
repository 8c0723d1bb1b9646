"""What a gate found, drawn: the verdict first, nothing left out, nothing that a name can break."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.saved import gates
from bench.saved.gates import (
    EXIT_CODES,
    INCONCLUSIVE,
    INSTRUCTIONS,
    KINDS,
    NEW,
    PASS,
    REGRESSED,
    REMOVED,
    SAVED,
    TIMING,
    UNCOMPARABLE,
    VERDICTS,
    WHYS,
    Gate,
    Judged,
    Unjudged,
)  # fmt: skip
from bench.saved.runs import BadRun
from bench.views import gate as view
from bench.views import tables, units

HOSTILE = [
    "a.py::t[`x`|y]",
    "a.py::t[<script>alert(1)</script>]",
    "a.py::t[</details>]",
    "a.py::t[\\|]",
    "a.py::t[](http://x) ![i](u) @user #1 **b** ~~s~~ _u_",
    " leading and trailing ",
    "a.py::" + "n" * 500,
    "a.py::t[\u4e16\u754c]",
    "a.py::t[&lt;&#96;]",
]


def judged(name: str, verdict: str = PASS, change: float = 0.001, **more: Any) -> Judged:
    return Judged(
        **{
            "name": name, "verdict": verdict, "change": change, "base": 74.3e-6, "samples": 32,
            "low": change - 0.004, "high": change + 0.005,
            "minimum_detectable_slowdown": 0.014, **more,
        }
    )  # fmt: skip


def gate(*rows: Judged, **more: Any) -> Gate:
    sides: dict[str, Any] = {"base": "main (1a2b3c4)", "head": "working tree (1a2b3c4+)"}
    return Gate(**{"kind": TIMING, "threshold": 0.01, **sides, **more}, judged=rows)


SLOW = judged("t.py::slow", REGRESSED, 0.034)
UNCLEAR = judged("t.py::unclear", INCONCLUSIVE, 0.009, note="samples disagree")
FASTER = judged("t.py::faster", PASS, -0.2, improved=True)
SAME = judged("t.py::same")
MIXED = gate(
    SAME, FASTER, UNCLEAR, SLOW,
    unjudged=tuple(Unjudged(f"t.py::{why}", why, f"why {why}") for why in WHYS),
    controls=(judged("t.py::control"),), seconds=95.2, seed=12345,
    machine={"cpu": {"brand_raw": "A CPU"}}, note="head is not committed",
)  # fmt: skip


def as_text(gate: Gate, everything: bool = False) -> str:
    return tables.render(view.view(view.with_short_names(gate), everything), "text")


def as_markdown(gate: Gate, everything: bool = False) -> str:
    return tables.render(view.view(gate, everything), "md")


def test_the_verdict_comes_first_in_a_sentence() -> None:
    line = "REGRESSED: 1 of 4 benchmarks takes longer than main (1a2b3c4): slow +3.4%"
    assert as_text(MIXED).splitlines()[0] == line
    assert as_markdown(MIXED).splitlines()[0] == "### " + line.replace("slow +", "t.py::slow +")


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        (gate(SAME), "PASS: no slowdown seen in 1 benchmark against main (1a2b3c4)"),
        (
            gate(SAME, kind=INSTRUCTIONS),
            "PASS: no more instructions seen in 1 benchmark against main (1a2b3c4)",
        ),
        (
            gate(SLOW, replace(SLOW, name="t.py::b", change=2.0), kind=INSTRUCTIONS),
            "REGRESSED: 2 of 2 benchmarks execute more instructions than main (1a2b3c4): "
            "b +200%, slow +3.4%",
        ),
        (gate(SAME, UNCLEAR), "INCONCLUSIVE: 1 of 2 benchmarks not clear: unclear +0.90%"),
        (gate(), "INCONCLUSIVE: no benchmark was compared with main (1a2b3c4)"),
        (
            gate(SAME, unjudged=(Unjudged("t.py::x", UNCOMPARABLE),)),
            "INCONCLUSIVE: 1 benchmark not comparable with main (1a2b3c4)",
        ),
        (
            gate(SLOW, SAME, controls=(replace(SLOW, name="control: t.py::slow"),)),
            "INCONCLUSIVE: what cannot have changed did: control: slow +3.4%; 1 of 2 benchmarks "
            "seems to take longer than main (1a2b3c4): slow +3.4%",
        ),
    ],
)
def test_every_reason_has_its_sentence(changed: Gate, line: str) -> None:
    assert view.headline(view.with_short_names(changed)) == line


def test_what_is_not_a_plain_pass_comes_in_order() -> None:
    for drawn in (as_text(MIXED), as_markdown(MIXED)):
        _, _, rest = drawn.partition("benchmark ")  # the table's heading
        places = [rest.index(name) for name in ("slow", "unclear", "faster", "same")]
        assert places == sorted(places)
        for shown in ("+3.4%", "+3.0% to +3.9%", "1.4%", "74.3us", "improved", "samples disagree"):
            assert shown in drawn


def test_everything_else_is_said() -> None:
    for drawn in (as_text(MIXED), as_markdown(MIXED).replace("t.py::", "")):
        for why in WHYS:
            assert re.search(rf"{why}: {why} \(why {why}\)", drawn)
        said = " ".join(drawn.split())
        for text in (
            "Controls: none of 1 moved (+0.10% to +0.10%).",
            "Note: head is not committed.",
            "A regression is growth beyond",
            "Not clear, and so no pass: 1 benchmark.",
            "Growth below the minimum detectable slowdown (1.4%) goes unseen.",
            "Improved: 1 benchmark.",
            "Not judged: 1 new, 1 removed, 1 renamed, 1 skipped, 1 not comparable.",
            "least change that counts: 1.0%, took 95.2s, seed 12345, A CPU.",
        ):
            assert text in said


def test_inconclusive_is_said_not_to_be_a_pass() -> None:
    for drawn in (as_text(gate(SAME, UNCLEAR)), as_markdown(gate(SAME, UNCLEAR))):
        assert "Inconclusive is not a pass" in drawn
        assert "Controls: none: nothing shows whether the machine changed." in drawn


def test_a_moved_control_is_named() -> None:
    moved = gate(SAME, controls=(SAME, replace(SLOW, name="t.py::control")))
    assert "Controls: moved: control +3.4%, of 2." in as_text(moved)
    assert "Controls: moved: t.py::control +3.4%, of 2." in as_markdown(moved)


def test_instructions_are_counted_and_saved_runs_have_no_interval() -> None:
    row = judged("t.py::x", base=1234567.0, low=None, high=None)
    counted = as_text(gate(row, kind=INSTRUCTIONS))
    assert "1,234,567" in counted
    assert "latency" in counted
    assert "interval" not in counted
    saved = as_text(gate(replace(row, base=1e-6, verdict=REGRESSED), kind=SAVED))
    assert "1.00us" in saved
    assert "interval" not in saved
    assert "gate run --base REF decides" in " ".join(saved.split())


def test_what_could_be_seen_is_said_as_a_span() -> None:
    rows = (
        judged("t.py::a", minimum_detectable_slowdown=0.1),
        judged("t.py::b", minimum_detectable_slowdown=0.23),
    )
    assert "(10.0% to 23.0%, by benchmark)" in view.meaning(gate(*rows))
    unknown = gate(*rows, judged("t.py::c", minimum_detectable_slowdown=None))
    assert "not known for 1 benchmark." in view.meaning(unknown)


def test_many_passes_are_one_line_in_a_terminal_unless_asked_for() -> None:
    rows = [judged(f"t.py::p{n}", change=n / 10000, note="" if n else "odd") for n in range(40)]
    many = gate(SLOW, *rows)
    text = as_text(many)
    assert "pass: 40 more, 0% to +0.39%, 1 with a note (--all lists them)" in text
    assert "p17" not in text
    assert "p17" in as_text(many, everything=True)
    shown, _, folded = as_markdown(many).partition("<details><summary>pass: 40 more")
    assert "t.py::p17" in folded.partition("</details>")[0]
    assert "| t.py::" in shown
    assert "t.py::p" not in shown
    assert "<details>" not in as_markdown(many, everything=True)
    assert "p17" in as_markdown(many, everything=True)
    assert "p17" in as_text(gate(SLOW, *rows[: view.MANY_PASSES]))


def test_a_terminal_of_110_columns_is_enough() -> None:
    rows = [judged(name, REGRESSED, 2.0, note="a note " * 20) for name in HOSTILE]
    wide = gate(
        *rows, MIXED.judged[0], unjudged=tuple(Unjudged(n, NEW, "x" * 300) for n in HOSTILE)
    )
    for drawn in (as_text(wide), as_text(MIXED)):
        assert max(map(len, drawn.splitlines())) <= view.WIDTH
    name = [line.split()[0] for line in as_text(wide).splitlines() if line.startswith("nn")]
    assert "".join(name).count("n") >= 500  # folded, not cut


def test_names_of_two_files_stay_whole() -> None:
    text = as_text(gate(judged("a.py::t"), judged("b.py::t"), judged("c.py::u")))
    assert "a.py::t " in text
    assert "b.py::t " in text
    assert "c.py" not in text


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_is_markup(name: str) -> None:
    hostile = gate(
        judged(name, REGRESSED, 0.5, note=name),
        *(judged(f"{name}{n}", note=name) for n in range(view.MANY_PASSES + 1)),
        unjudged=(Unjudged(name, REMOVED, name),), controls=(judged(name, REGRESSED),),
        base=name, head=name, note=name, machine={"cpu": {"brand_raw": name}},
    )  # fmt: skip
    drawn = as_markdown(hostile)
    outside = re.sub(r"<code>[^<`|]*</code>|(?<!\\)`[^`\n]*`", "", drawn)
    assert set(re.findall(r"</?\w+", outside)) == {"<details", "<summary", "</summary", "</details"}
    assert not re.search(r"(?<!\\)[`~@]|(?<!\\)\*|(?<!\\)\]\(", outside)
    header, rule, *rows = [line for line in drawn.splitlines() if line.startswith("|")][:3]
    for line in (rule, *rows):
        assert _cells(line) == _cells(header)
    as_text(hostile)


def _cells(line: str) -> int:
    """As GFM counts them: a backslash makes the next character plain, code or not."""
    return len(re.sub(r"\\.", "", line).split("|"))


def test_the_json_is_what_is_saved_and_reads_back() -> None:
    moment = datetime.fromisoformat("2026-01-02T03:04:05+00:00")
    for kind in KINDS:
        whole = replace(MIXED, kind=kind, when=moment)
        content = json.loads(tables.render(view.view(whole), "json"))
        assert content["verdict"] == REGRESSED
        assert content["exit_code"] == 1
        assert gates.from_json(content) == whole


@pytest.mark.parametrize("form", ["text", "md", "json"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("verdict", VERDICTS)
def test_every_format_draws_every_kind_and_verdict(verdict: str, kind: str, form: str) -> None:
    one = gate(judged("t.py::x", verdict, low=None, high=None), kind=kind)
    drawn = tables.render(view.view(one), form)
    assert verdict in drawn.lower()
    assert one.exit_code == EXIT_CODES[verdict]
    tables.render(view.view(gate(kind=kind), True), form)  # with nothing in it


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0%"), (-0.0, "0%"), (0.00001, "0%"), (0.0002, "+0.02%"), (-0.0042, "-0.42%"),
        (0.031, "+3.1%"), (0.0999, "+10.0%"), (-0.2, "-20.0%"), (2.0, "+200%"), (12.3, "+1230%"),
        (float("inf"), "+inf%"),
    ],
)  # fmt: skip
def test_changes_are_short_and_signed(value: float, shown: str) -> None:
    assert units.change(value) == shown


def test_what_json_cannot_hold_is_not_read_from_it() -> None:
    """json.loads() takes NaN; another program that reads what --format json prints would not."""
    content = gates.as_json(gate(machine={"cpu": {"brand_raw": float("nan")}}))
    with pytest.raises(BadRun, match=r"machine is .*, needs finite numbers"):
        gates.from_json(json.loads(json.dumps(content)))


NUMBERS = st.floats(-1, 1e6) | st.none()


@settings(max_examples=150, deadline=None, database=None, derandomize=True)
@given(
    rows=st.lists(
        st.builds(
            Judged,
            name=st.text(min_size=1), verdict=st.sampled_from(VERDICTS),
            change=st.floats(-1, 1e6), base=st.floats(0, 1e9), samples=st.integers(0, 99),
            low=NUMBERS, high=NUMBERS, minimum_detectable_slowdown=NUMBERS,
            improved=st.booleans(), note=st.text(),
        ),
        max_size=5,
    ),
    others=st.lists(
        st.builds(Unjudged, name=st.text(min_size=1), why=st.sampled_from(WHYS), note=st.text())
    ),
    kind=st.sampled_from(KINDS),
    side=st.text(min_size=1),
)  # fmt: skip
def test_any_gate_can_be_drawn(
    rows: list[Judged], others: list[Unjudged], kind: str, side: str
) -> None:
    any_gate = gate(
        *rows, kind=kind, base=side, head=side, note=side, unjudged=tuple(others),
        controls=tuple(rows[:1]),
    )  # fmt: skip
    for form in tables.FORMATS:
        for everything in (False, True):
            drawn = tables.render(view.view(any_gate, everything), form)
            assert any_gate.verdict in drawn.lower()
            if form == "md":
                for _, table in re.findall(r"(^|\n\n)((?:\|[^\n]*\n?)+)", drawn):
                    assert len({_cells(line) for line in table.splitlines()}) == 1


def test_a_gate_that_was_saved_under_an_old_name_of_a_field_is_read() -> None:
    saved = json.dumps(gates.as_json(MIXED))
    old = saved.replace("minimum_detectable_slowdown", "detectable")
    assert old != saved
    assert gates.from_json(json.loads(old)) == gates.from_json(json.loads(saved))
