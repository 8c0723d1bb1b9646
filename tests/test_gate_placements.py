"""Modules linked anew for each pass: elsewhere each time, alike on both sides, and they work."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
from array import array
from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from bench.gate.checkouts.loading import load_tier_copy
from bench.gate.checkouts.relinking import Module, Placements, keep_objects
from bench.gate.checkouts.sides import Side
from bench.gate.selfcheck import shift
from bench.gate.verdicts.errors import GateError
from bench.gate.verdicts.pairs import Pair
from tests.checkout import Checkout

PAIR = Pair("x", "x", "relu_f32", "c-scalar", "100", "100")
PYTHON = Pair("y", "y", "relu_f32", "py-loop", "100", "100")


def make_side(label: str, folder: Path, *, with_sections: bool = True) -> Side:
    checkout = Checkout(folder, with_modules=False)
    if not with_sections:
        checkout.replace("build_ffi.py", 'include.append("-ffunction-sections")', "pass")
    return Side(label, label, checkout.folder)


@pytest.fixture(scope="session")
def sides(tmp_path_factory: pytest.TempPathFactory) -> list[Side]:
    """The project, and the same with two functions added above the code of every native source."""
    made = [make_side(label, tmp_path_factory.mktemp(label)) for label in ("base", "head")]
    shift(made[1].root)
    keep_objects(made, ["scalar"])
    return made


def addresses(module: Path) -> dict[str, int]:
    said = subprocess.run(["nm", "-D", str(module)], capture_output=True, text=True, check=True)
    return {
        name: int(address, 16)
        for address, name in re.findall(r"^(\w+) T (\w+)$", said.stdout, re.MULTILINE)
    }


def drawn(
    sides: list[Side], folder: Path, seed: int, pairs: Iterable[Pair], apart: Collection[int] = ()
) -> dict[Module, Path]:
    folder.mkdir(exist_ok=True)
    return Placements(sides, folder, apart).draw(pairs, random.Random(seed))


@pytest.mark.skipif(shutil.which("nm") is None, reason="needs nm, of binutils")
def test_code_lies_elsewhere_each_time_and_alike_on_both_sides(
    sides: list[Side], tmp_path: Path
) -> None:
    seen: dict[str, set[int]] = {"relu_f32": set(), "cpu_has_avx2_fma": set()}
    orders = set()
    for seed in range(6):
        modules = drawn(sides, tmp_path, seed, [PAIR])
        assert set(modules) == {(0, 0, "scalar"), (1, 1, "scalar")}
        base, head = (addresses(modules[place, place, "scalar"]) for place in (0, 1))
        orders.add(tuple(sorted(seen, key=lambda name: base[name])))
        for name, offsets in seen.items():
            assert base[name] % 64 == head[name] % 64 == 0
            offsets.add(base[name] % 4096)
            # None has moved, though two were added above each.
            assert base[name] % 4096 == head[name] % 4096
        assert {"above_relu", "before_relu"} <= head.keys() - base.keys()
    assert all(len(offsets) > 3 for offsets in seen.values())
    assert len(orders) == 2


@pytest.mark.skipif(shutil.which("nm") is None, reason="needs nm, of binutils")
def test_a_side_that_stands_apart_lies_elsewhere_than_the_others(
    sides: list[Side], tmp_path: Path
) -> None:
    three = [*sides, sides[0]]
    pairs = [PAIR, replace(PAIR, sides=(0, 2))]
    differ = 0
    for seed in range(4):
        modules = drawn(three, tmp_path, seed, pairs, apart={2})
        base, head, apart = (
            addresses(modules[key])
            for key in ((0, 0, "scalar"), (1, 1, "scalar"), (1, 2, "scalar"))
        )
        assert base["relu_f32"] % 4096 == head["relu_f32"] % 4096
        differ += base["relu_f32"] % 4096 != apart["relu_f32"] % 4096
    assert differ > 2


def test_linked_modules_compute(sides: list[Side], tmp_path: Path) -> None:
    modules = drawn(sides, tmp_path, 1, [PAIR])
    for module in modules.values():
        tier = load_tier_copy(module, "scalar", tmp_path, random.Random(1))
        x, out = array("f", [-1.0, 2.0]), array("f", [9.0, 9.0])
        tier.relu(x, out)
        assert out.tolist() == [0.0, 2.0]
        assert tier.build_info()["tier"] == "scalar"


def test_a_damaged_module_is_refused_before_it_is_loaded(sides: list[Side], tmp_path: Path) -> None:
    module = drawn(sides, tmp_path, 1, [PAIR])[0, 0, "scalar"]
    module.write_bytes(module.read_bytes()[:-1])
    with pytest.raises(GateError, match=r"^tier scalar is damaged: placed-\S+ ends after \d+ of "):
        load_tier_copy(module, "scalar", tmp_path, random.Random(1))


def test_files_of_a_base_without_sections_move_whole(sides: list[Side], tmp_path: Path) -> None:
    base = make_side("base", tmp_path / "base", with_sections=False)
    keep_objects([base], ["scalar"])
    offsets = set()
    for seed in range(4):
        modules = drawn([base, sides[1]], tmp_path / "s", seed, [PAIR])
        lies = addresses(modules[0, 0, "scalar"])
        offsets.add(lies["gelu_erf_f32"] % 4096)
        assert lies["gelu_erf_f32"] - lies["gelu_tanh_f32"] == 256
        tier = load_tier_copy(modules[0, 0, "scalar"], "scalar", tmp_path, random.Random(1))
        out = array("f", [9.0])
        tier.relu(array("f", [-1.0]), out)
        assert out.tolist() == [0.0]
    assert len(offsets) > 1


def test_a_control_has_the_base_in_both_places(sides: list[Side], tmp_path: Path) -> None:
    control = Pair("c", "c", "relu_f32", "c-scalar", "100", "100", sides=(0, 0))
    assert set(drawn(sides, tmp_path, 1, [control])) == {(0, 0, "scalar"), (1, 0, "scalar")}


def test_a_step_lies_in_the_module_of_its_tier(sides: list[Side], tmp_path: Path) -> None:
    step = Pair("s", "s", "matmul_f32", "c-scalar_ijk", "16", "16")
    modules = drawn(sides, tmp_path, 1, [step])
    assert set(modules) == {(0, 0, "scalar"), (1, 1, "scalar")}


def test_what_was_not_kept_is_loaded_as_it_was_built(sides: list[Side], tmp_path: Path) -> None:
    other = Pair("z", "z", "relu_f32", "c-debug", "100", "100")
    assert drawn(sides, tmp_path, 1, [PYTHON, other]) == {}


def test_objects_of_unchanged_tiers_are_dropped(sides: list[Side], tmp_path: Path) -> None:
    copies = []
    for side in sides:
        root = tmp_path / side.label
        root.mkdir()
        copy = Side(side.label, side.name, root)
        shutil.copytree(side.objects, copy.objects)
        copies.append(copy)
    keep_objects(copies, [])
    assert not any((side.objects / "scalar").exists() for side in copies)


def test_what_does_not_link_is_named(sides: list[Side], tmp_path: Path) -> None:
    root = tmp_path / "base"
    root.mkdir()
    broken = Side("base", "main (1a2b3c4)", root)
    shutil.copytree(sides[0].objects, broken.objects)
    next((broken.objects / "scalar").glob("*relu.o")).write_bytes(b"no object")
    with pytest.raises(
        GateError, match=r"^base main \(1a2b3c4\): does not link again \([^)]+\): [^\n]+$"
    ):
        drawn([broken, sides[1]], tmp_path / "s", 1, [PAIR])


def test_a_missing_readelf_is_named(
    sides: list[Side], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GateError, match=r"^readelf was not found; install binutils$"):
        drawn(sides, tmp_path / "s", 1, [PAIR])
