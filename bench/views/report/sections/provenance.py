"""What the figures were measured on and with."""

from __future__ import annotations

from bench.analysis.history import Archive
from bench.analysis.levels import cache_sizes
from bench.analysis.machine import compilers, cpu, parts
from bench.analysis.machine import section as of_machine
from bench.saved.runs import Run, interpreter_label
from bench.views import limits, units
from bench.views.report.parts import Folded, Section
from bench.views.tables import Table


def section(archive: Archive, run: Run) -> Section:
    tables = [Table(["what", "value"], _facts(run), words=2)]
    folded = []
    if run.limits:
        folded.append(Folded("Measured ceilings", tables=limits.view(run.limits).tables))
    tiers = parts(run, "tiers")
    if tiers:
        rows = [
            [
                tier,
                str(info.get("unavailable") or info.get("compiler") or ""),
                " ".join(map(str, info.get("flags", ()))),
                str(info.get("key"))[:12],
            ]
            for tier, info in tiers.items()
        ]
        table = Table(["tier", "compiler", "flags", "build key"], rows, words=4)
        folded.append(Folded("Tiers and how they were built", tables=[table]))
    return Section(
        "provenance", "Where the figures come from", (), (), tables, folded, dict(_facts(run))
    )


def _facts(run: Run) -> list[list[str]]:
    brand = of_machine(run, "cpu")
    caches = ", ".join(f"{level} {units.nbytes(size)}" for level, size in cache_sizes(run).items())
    ceilings = ", ".join(
        f"{limit.name} {limit.per_second / 1e9:.4g} G{limit.unit}/s"
        for limit in run.limits
        if limit.cores == 1 and limit.name in ("fma", "madd_i16", "dot_i8")
    )
    facts = [
        ("run", run.source),
        ("date", run.when.strftime("%Y-%m-%d %H:%M") if run.when else ""),
        ("commit", run.commit + (" with uncommitted changes" if run.dirty else "")),
        ("CPU", cpu(run)),
        ("cores", str(run.machine.get("usable_cores") or brand.get("count") or "")),
        ("caches", caches),
        ("Python", interpreter_label(run)),
        ("compiler", ", ".join(compilers(run))),
        (
            "system",
            " ".join(str(run.machine.get(n) or "") for n in ("system", "release", "libc")).strip(),
        ),
        ("peaks of one core", ceilings),
        ("stolen by the hypervisor", "" if run.steal is None else f"{run.steal:.1%} of the time"),
        ("other programs", "" if run.other_programs is None else f"{run.other_programs:.1%}"),
        ("benchmarks", f"{len(run.results):,}"),
    ]
    return [[what, value] for what, value in facts if value]
