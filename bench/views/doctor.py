"""What a checkup found, the worst first: in a sentence, then one finding after the other."""

from __future__ import annotations

from bench.saved.doctor import COSTS, FINE, NOTE, UNKNOWN, Checkup, Finding, as_json
from bench.views import units
from bench.views.tables import Table, View

WIDTH = 80  # of a terminal
_HEADER = ["finding", "verdict", "factor", "seen", "what it costs", "what helps"]
_MEANS = {
    COSTS: "makes times longer, or differ",
    NOTE: "costs no time",
    UNKNOWN: "could not be seen here",
}


def view(checkup: Checkup, form: str = "md") -> View:
    """For one of tables.FORMATS: a document gets a table, a terminal paragraphs, as sentences are
    too long for columns there, and of what is fine the names. JSON is as it is saved."""
    found = checkup.worst_first
    if form == "md":
        tables, notes = [_table(found)], []
    else:
        bad = [finding for finding in found if finding.verdict != FINE]
        fine = [finding.name for finding in found if finding.verdict == FINE]
        tables, notes = [], [line for finding in bad for line in _paragraph(finding)]
        if fine:
            notes += [f"{FINE}: {', '.join(fine)}", ""]
    return View(tables, as_json(checkup), [*notes, *_notes(checkup)], headline(checkup), WIDTH)


def headline(checkup: Checkup) -> str:
    """ "3 of 20 cost you something; the largest: spread, about 1.4x for half of the rounds"."""
    costly, total = checkup.costly, len(checkup.findings)
    if not costly:
        return f"None of {total} costs you anything"
    number = f"{len(costly)} of {total} cost{'s' if len(costly) == 1 else ''} you something"
    worst = costly[0]
    return f"{number}; the largest: {worst.name}, {worst.cost or worst.seen}"


def _factor(finding: Finding) -> str:
    return "" if finding.factor is None else units.factor(finding.factor)


def _table(findings: list[Finding]) -> Table:
    cells = [[f.name, f.verdict, _factor(f), f.seen, f.cost, f.fix] for f in findings]
    table = Table(_HEADER, cells, sentences=_HEADER[3:])
    return table.without_empty("factor", "what it costs", "what helps")


def _paragraph(finding: Finding) -> list[str]:
    factor = _factor(finding)
    return [
        f"{finding.name}: {finding.verdict}{f', {factor}' if factor else ''}",
        f"  {finding.seen}",
        *([f"  costs: {finding.cost}"] if finding.cost else []),
        *([f"  helps: {finding.fix}"] if finding.fix else []),
        "",
    ]


def _notes(checkup: Checkup) -> list[str]:
    there = {finding.verdict for finding in checkup.findings}
    meanings = [f"{verdict}: {says}." for verdict, says in _MEANS.items() if verdict in there]
    when = [f"{checkup.when:%Y-%m-%d %H:%M}"] if checkup.when else []
    looked = f"Looked for {units.seconds(checkup.seconds)} at {', '.join([checkup.cpu, *when])}."
    return [*([" ".join(meanings)] if meanings else []), looked]
