"""The figures in the README are those of results/, and the documents' commands and links exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench import __main__ as command_line
from bench.saved import runs
from bench.views import documents, matrix, tables
from bench.views.documents import claims

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
REFERENCE = ROOT / "results/reference.json"
DOCUMENTS = [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


RENDERED = [path for path in DOCUMENTS if "<!-- render: " in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("document", RENDERED, ids=lambda p: p.name)
def test_figures_in_documents_are_those_of_results(document: Path) -> None:
    command = f"python -m bench render {document.relative_to(ROOT)}"
    assert not documents.render(document, check=True), f"run: {command}"


def test_readme_and_kernels_are_rendered() -> None:
    assert {path.name for path in RENDERED} >= {"README.md", "kernels.md", "gate.md"}


def test_the_reference_run_is_complete_small_and_of_statistics_only() -> None:
    from bench.suite import registry

    run = runs.load(REFERENCE)
    measured = {(f.kernel, f.variant, f.size) for _, f in run.ours}
    kernels = {f.kernel for _, f in run.ours}  # the run is older than some of the registry's
    expected = {(name, *case) for name in kernels for case in registry.cases(name, explain=True)}
    assert measured == expected
    assert REFERENCE.stat().st_size < 1_700_000
    assert '"data"' not in REFERENCE.read_text(encoding="utf-8")


def test_a_changed_figure_is_noticed(tmp_path: Path) -> None:
    """The check itself can fail."""
    (tmp_path / "results").mkdir()
    for name in ("reference.json", "engine.json"):
        (tmp_path / "results" / name).write_bytes((REFERENCE.parent / name).read_bytes())
    copy = tmp_path / "README.md"
    text = README.read_text(encoding="utf-8")
    speedup = next(f.speedup for _, f in runs.load(REFERENCE).ours if f.variant == "c-avx2")
    assert speedup
    line = next(line for line in text.splitlines() if line.startswith("| relu\\_f32, "))
    copy.write_text(text.replace(line, line.replace("x |", "9x |")), encoding="utf-8")
    assert command_line.main(["render", "--check", str(copy)]) == 2
    assert command_line.main(["render", str(copy)]) == 0
    assert copy.read_text(encoding="utf-8") == text


def test_line_ends_stay_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_bytes(REFERENCE.read_bytes())
    document = tmp_path / "document.md"
    document.write_bytes(b"a\r\nb\r\n<!-- render: machine run.json -->\n<!-- end -->\n")
    assert command_line.main(["render", str(document)]) == 0
    assert document.read_bytes().startswith(b"a\r\nb\r\n")


def test_a_document_that_is_no_text_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = tmp_path / "document.md"
    document.write_bytes(b"\xff\xfe\x00")
    assert command_line.main(["render", str(document)]) == 2
    assert str(document) in capsys.readouterr().err


@pytest.mark.parametrize(
    "text",
    [
        "no block at all",
        "<!-- render: matrix results/reference.json -->\nnever closed",
        "<!-- render: nonsense results/reference.json -->\n<!-- end -->",
        "<!-- render: matrix nowhere.json -->\n<!-- end -->",
    ],
)
def test_a_broken_document_is_left_alone(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = tmp_path / "document.md"
    document.write_text(text, encoding="utf-8")
    assert command_line.main(["render", str(document)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert document.read_text(encoding="utf-8") == text


def test_the_claims_are_at_sizes_that_were_measured() -> None:
    text = tables.render(claims.view(runs.load(REFERENCE)), "md")
    assert "not in this run" not in text
    assert text.count("\n") == 1 + len(claims.CLAIMS)
    assert all(line.count("|") == 6 for line in text.splitlines())


def test_the_three_formats_agree() -> None:
    run = runs.load(REFERENCE)
    table = matrix.table(run)
    header, cells = table.header, table.rows
    text, markdown = (tables.render(matrix.view(run), form) for form in ("text", "md"))
    for line in cells:
        assert len(line) == len(header)
        for cell in line:
            assert cell in text
    rows = [line for line in markdown.splitlines() if line.startswith("|")]
    assert len(rows) == len(cells) + 2
    assert {row.count("|") - row.count("\\|") for row in rows} == {len(header) + 1}


def prose(document: Path) -> str:
    """Without fenced code."""
    return re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", prose(document)):
        assert "://" in target or (document.parent / target).exists(), target


def anchors(document: Path) -> set[str]:
    """Of its headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", prose(document), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.name)
def test_links_into_pages_lead_to_a_heading(document: Path) -> None:
    for page, anchor in re.findall(r"\]\(([\w./-]*)#([^)]+)\)", prose(document)):
        assert anchor in anchors(document.parent / page if page else document), f"{page}#{anchor}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.name)
def test_no_line_begins_with_a_figure(document: Path) -> None:
    """A comment at the start of a line would end the paragraph there."""
    assert not re.search(r"^\s*<!-- figure", document.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.name)
def test_files_named_in_code_spans_exist(document: Path) -> None:
    for span in set(re.findall(r"`([\w./-]+\.(?:py|md|json|h|cpp|toml))`", prose(document))):
        if "silu" in span:  # the reader makes it
            continue
        places = (ROOT, ROOT / "kernels_c", ROOT / "kernels_c/simd")
        assert any((place / span).exists() for place in places), span


@pytest.mark.parametrize(
    ("block", "needs"),
    [
        ("<!-- render: ladder run.json -->\n<!-- end -->", "missing a required argument: 'kernel'"),
        ("<!-- render: matrix run.json relu_f32 -->\n<!-- end -->", "too many positional"),
        ("<!-- render: ladder run.json silu_f32 -->\n<!-- end -->", "no ladder of 'silu_f32'"),
        ("a <!-- figure: run.json speed relu_f32 -->1<!-- end -->", "needs one of time, ratio"),
        ("a <!-- figure: run.json total relu_f32 -->1<!-- end -->", "needs total KERNEL SIZE"),
        ("a <!-- figure: run.json total relu_f32 100 -->1", "1 blocks <!-- figure: opened, 0"),
        ("a <!-- figure: none.json total relu_f32 100 -->1<!-- end -->", "cannot be read"),
    ],
)
def test_blocks_and_figures_that_cannot_be_followed_are_one_line(
    block: str, needs: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run.json").write_bytes(REFERENCE.read_bytes())
    document = tmp_path / "page.md"
    text = f"<!-- render: machine run.json -->\n<!-- end -->\n{block}\n"
    document.write_text(text, encoding="utf-8")
    assert command_line.main(["render", str(document)]) == 2
    said = capsys.readouterr().err
    assert needs in said and said.count("\n") == 1
    assert document.read_text(encoding="utf-8") == text


def test_a_figure_within_a_sentence_is_brought_up_to_date(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_bytes(REFERENCE.read_bytes())
    document = tmp_path / "page.md"
    figure = "<!-- figure: run.json ratio relu_f32 100 py-loop py-loop -->{}<!-- end -->"
    around = "<!-- render: machine run.json -->\n{}<!-- end -->\n"
    document.write_text(around.format("") + f"It is {figure.format('9x')} as fast.\n")
    assert documents.render(document)
    assert f"It is {figure.format('1.00x')} as fast." in document.read_text(encoding="utf-8")
    assert not documents.render(document, check=True)


@pytest.mark.parametrize(("old", "new"), documents._RENAMED.items())
def test_an_old_name_of_a_table_is_the_same_table(old: str, new: str) -> None:
    source = "results/interpreters" if "interpreter" in new else "results/reference.json"
    page, block = ROOT / "page.md", "<!-- render: {} {} -->\n<!-- end -->"
    drawn = [documents.rendered(block.format(name, source), page) for name in (old, new)]
    assert drawn[0].replace(f": {old} ", f": {new} ") == drawn[1] != block.format(new, source)


@pytest.mark.parametrize("name", documents.RENDERERS)
@pytest.mark.parametrize("file", ["missing", "nothing.json", "no-benchmarks.json", "folder"])
def test_no_table_of_a_file_that_has_none(
    name: str, file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "nothing.json").write_text("")
    (tmp_path / "no-benchmarks.json").write_text('{"benchmarks": [], "machine_info": {}}')
    (tmp_path / "folder").mkdir()
    _is_refused_in_one_line(f"{name} {file}", tmp_path, capsys)


@pytest.mark.parametrize("name", ["ladder", "cost"])
def test_no_table_of_a_kernel_that_is_not_there(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run.json").write_bytes((ROOT / "results/reference.json").read_bytes())
    _is_refused_in_one_line(f"{name} run.json silu_f32", tmp_path, capsys)


def _is_refused_in_one_line(wanted: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = f"<!-- render: {wanted} -->\n<!-- end -->\n"
    (folder / "page.md").write_text(text)
    assert command_line.main(["render", str(folder / "page.md")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert (folder / "page.md").read_text() == text
