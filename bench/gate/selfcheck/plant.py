"""Slowdowns of known size, for the self-check: extra work of the same kind in every kernel.

A planted tree's kernels do, before their work, the same work once more on a part of it: the first
rows or elements. How much is a share that is set from outside, so that one build serves every size
of slowdown. What is owed is carried from call to call, as a part may be too small to be done alone.
"""

from __future__ import annotations

import re
from pathlib import Path

from bench.gate.verdicts.errors import GateError

SHARE = "planted_share"

_DECLARED = f"\nextern double {SHARE};\n\n// [end of declarations]"
_DEFINED = f'\nextern "C" {{ double {SHARE} = 0.0; }}\n'

# What to do once more, by the kernel's parameters: its units of work, how many make the smallest
# part that costs what it should, and the call that does so many.
_LINE = ("n", "n < 64 ? n : 64", "(x, out, part{rest})")
_CALLS = {
    "x, out, n": _LINE,
    "x, out, n, scale": _LINE,
    "x, out, rows, cols": (
        "rows * cols",
        "rows > 1 ? cols : (cols < 64 ? cols : 64)",
        "(x, out, rows > 1 ? part / cols : 1, rows > 1 ? cols : part)",
    ),
    # Some columns of some rows; b is read as if it had no others.
    "a, b, out, m, n, k": (
        "m * n",
        "smallest",
        "(a, b, out, height, part / height < n ? part / height : n, k)",
    ),
}
# Rows of the register tiles: one row of a tile costs as much as all.
_TILE_ROWS = {"simd": 16, "portable": 1}
_TILE_COLUMNS = {"simd": 32, "portable": 1}

_DEFINITION = re.compile(r"^(void|int) (\w+_(?:f32|i8|i32))\(([^)]*)\) \{$", re.MULTILINE)


def plant(root: Path) -> None:
    """Rewrite the kernels of a copy of the project. Raises GateError where they are not found."""
    header = root / "kernels_c/kernels.h"
    text = header.read_text(encoding="utf-8")
    end = "// [end of declarations]"
    header.write_text(text.replace(f"\n{end}", _DECLARED, 1), encoding="utf-8")
    cpu = root / "kernels_c/cpu.cpp"
    cpu.write_text(cpu.read_text(encoding="utf-8") + _DEFINED, encoding="utf-8")
    planted = [_plant_native(f) for d in _TILE_ROWS for f in (root / "kernels_c" / d).glob("*.cpp")]
    planted += [_plant_python(file) for file in (root / "kernels_py").glob("*.py")]
    if not any(planted):
        raise GateError(f"{root}: found no kernel to plant a slowdown in")


def _plant_native(file: Path) -> int:
    """Each kernel is renamed, and one of its old name calls it twice. Returns how many."""
    text = file.read_text(encoding="utf-8")
    wrappers = []

    def rename(found: re.Match[str]) -> str:
        returns, name, parameters = found.groups()
        names = ", ".join(re.findall(r"(\w+)(?:,|$)", parameters))
        if names not in _CALLS or name.startswith(("limit_", "dequantize")):
            return found.group(0)
        wrappers.append(_wrapper(returns, name, parameters, names, file.parent.name))
        return f"{returns} unplanted_{name}({parameters}) {{"

    text = _DEFINITION.sub(rename, text)
    file.write_text(text + "".join(wrappers), encoding="utf-8")
    return len(wrappers)


def _wrapper(returns: str, name: str, parameters: str, names: str, folder: str) -> str:
    units, least, call = _CALLS[names]
    arguments = call.format(rest=", scale" if "scale" in names else "")
    rows, columns = _TILE_ROWS[folder], _TILE_COLUMNS[folder]
    tile = (
        f"    const size_t height = m < {rows} ? m : {rows};\n"
        f"    const size_t smallest = height * (n < {columns} ? n : {columns});\n"
    )
    cap = "        if (part > height * n) part = height * n;\n"
    return (
        f"\n{returns} {name}({parameters}) {{\n"
        "    static double owed = 0.0;\n"
        f"{tile if 'smallest' in least else ''}"
        f"    const size_t whole = {units}, least = {least};\n"
        f"    owed += {SHARE} * static_cast<double>(whole);\n"
        "    while (least > 0 && owed >= static_cast<double>(least)) {\n"
        "        size_t part = static_cast<size_t>(owed) / least * least;\n"
        f"{cap if 'smallest' in least else ''}"
        "        if (part > whole) part = whole;\n"
        "        owed -= static_cast<double>(part);\n"
        f"        unplanted_{name}{arguments};\n"
        "    }\n"
        f"    {'return ' if returns == 'int' else ''}unplanted_{name}({names});\n"
        "}\n"
    )


# By a Python variant's parameters: its units of work, the most that are done at once, and the
# arguments for a part of them.
_PYTHON_PARTS = {
    "x": ("len(x)", "len(x)", "x[:part]"),
    "x, scale": ("len(x)", "len(x)", "x[:part], scale"),
    "x, rows": ("len(x)", "len(x) // rows", "x[:part]"),
    "a, b, m, n, k": ("m * n", "n", "a[:k], b[: part * k], 1, part, k"),
    "a, b, m, n, k, scale_a, scale_b": (
        "m * n",
        "n",
        "a[:k], b[: part * k], 1, part, k, scale_a, scale_b",
    ),
}
_LEAST_PYTHON_PART = 8  # units, so that the call itself does not count


def _plant_python(file: Path) -> int:
    """Each variant is replaced by a function that calls it twice. Returns how many."""
    text = file.read_text(encoding="utf-8")
    added = []
    for variant in ("loop", "idiomatic"):
        found = re.search(rf"^def {variant}\(([^)]*)\)", text, re.MULTILINE)
        names = ", ".join(re.findall(r"(\w+)\s*:", found.group(1))) if found else ""
        if names not in _PYTHON_PARTS:
            continue
        units, most, part = _PYTHON_PARTS[names]
        parameters = names.replace("rows", "rows=1")
        added.append(
            f"\n\n_{variant} = {variant}\n\n\n"
            f"def {variant}({parameters}, _owed=[0.0]):\n"
            f"    _owed[0] += {SHARE} * ({units})\n"
            f"    while _owed[0] >= {_LEAST_PYTHON_PART}:\n"
            f"        part = min(int(_owed[0]), {most})\n"
            "        _owed[0] -= part\n"
            f"        _{variant}({part})\n"
            f"    return _{variant}({names})\n"
        )
    if added:
        file.write_text(f"{text}\n\n{SHARE} = 0.0\n{''.join(added)}", encoding="utf-8")
    return len(added)


def shift(root: Path) -> None:
    """Add two empty functions above the code of every native source: each kernel moves, none
    changes."""
    for folder in _TILE_ROWS:
        for file in (root / "kernels_c" / folder).glob("*.cpp"):
            text = file.read_text(encoding="utf-8")
            name = file.stem
            added = f"void before_{name}(void) {{}}\nvoid above_{name}(void) {{}}\n"
            after = text.index("\n", text.rindex("#include")) + 1
            text = f'{text[:after]}\nextern "C" {{\n{added}}}\n{text[after:]}'
            file.write_text(text, encoding="utf-8")
