"""docs/add-a-kernel.md, followed to the letter in a copy of the project, really adds a kernel."""

from __future__ import annotations

import re

import pytest

from build_ffi import why_unbuildable
from tests.checkout import ROOT, Checkout

PAGE = (ROOT / "docs/add-a-kernel.md").read_text(encoding="utf-8")
STEP = re.compile(
    r'<!-- (file|insert): (\S+)(?: before "(.*?)")? -->\n```\w+\n(.*?)```\n', re.DOTALL
)


@pytest.fixture(scope="session")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    checkout = Checkout(tmp_path_factory.mktemp("add-a-kernel"), with_modules=False)
    for kind, file, before, text in STEP.findall(PAGE):
        if kind == "file":
            (checkout.folder / file).write_text(text, encoding="utf-8")
        else:
            place = before.replace('\\"', '"').replace("\\n", "\n")
            checkout.replace(file, place, text + place)
    # Both of its sources, and not optimised: nothing is timed.
    tiers = [f"--tier={t}" for t in ("scalar", "avx2", "avx2_omp") if not why_unbuildable(t)]
    built = checkout.build(*tiers, CXXFLAGS="-O0")
    assert built.returncode == 0, built.stderr
    return checkout


def test_the_page_names_every_file_that_it_touches() -> None:
    table = set(re.findall(r"^\| `(\S+)` \|", PAGE, re.MULTILINE))
    assert table == {file for _, file, _, _ in STEP.findall(PAGE)}


def test_the_new_kernel_passes_its_tests(followed: Checkout) -> None:
    run = followed.pytest("tests", "-q", "-k", "silu", "-p", "no:randomly")
    assert run.returncode == 0, run.stdout
    assert int(re.search(r"(\d+) passed", run.stdout)[1]) > 20  # type: ignore[index]


def test_the_new_kernel_is_measured_and_shown(followed: Checkout) -> None:
    run = followed.pytest(
        "test_bench_silu.py", "--benchmark-only", "--quick", "--benchmark-max-time=0.02"
    )
    assert run.returncode == 0, run.stdout
    matrix = run.stdout[run.stdout.index("competency matrix") :]
    assert len([line for line in matrix.splitlines() if line.strip().startswith("silu_f32")]) == 3


def test_the_new_kernel_is_callable(followed: Checkout) -> None:
    code = (
        "import kernels_c; from array import array\n"
        "x = array('f', [-1.0, 0.0, 2.0]); out = array('f', bytes(12))\n"
        "kernels_c.load_tier('avx2').unary('silu_f32', x, out)\n"
        "print([round(v, 4) for v in out])"
    )
    assert followed.python("-c", code).stdout.strip() == "[-0.2689, 0.0, 1.7616]"


def test_the_page_passes_the_linters(followed: Checkout) -> None:
    new = ["kernels_py/silu.py", "test_bench_silu.py", "bench/suite/registry.py"]
    for command in (["ruff", "check"], ["ruff", "format", "--check"]):
        checked = followed.python("-m", *command, *new)
        if "No module named" in checked.stderr:
            pytest.skip("ruff is not installed")
        assert checked.returncode == 0, checked.stdout
