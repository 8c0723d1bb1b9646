"""A module's machine code as objdump (binutils) prints it: functions, their loops, what they call.

AT&T syntax, x86-64.
"""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

# "    4b40:\tvmulss 0x2de5(%rip),%xmm1,%xmm0        # 7934 <_fini+0x1740>", prefixes left out
_LINE = re.compile(
    r"\s+([0-9a-f]+):\t(?:\{\w+\} |(?:notrack|bnd|data16|cs|ds|lock|repz?|repnz) )*(\S+)\s*(.*)"
)
_HEADER = re.compile(r"([0-9a-f]+) <(.+)>:")
_REFERENCE = re.compile(r"(?:^|# )([0-9a-f]+) <([^>+]+)(\+0x[0-9a-f]+)?>")
_COLD = re.compile(r"\.cold(\.\d+)?$")  # the unlikely part of a function, placed elsewhere
# "0000000000033c80 l     O .data.rel.ro\t0000000000000030              OF_ROWS"
_OBJECT = re.compile(r"([0-9a-f]+) .{6}O \S+\t([0-9a-f]+)\s+(?:\.hidden )?(\S+)")
# "0000000000033c80 R_X86_64_RELATIVE  *ABS*+0x00000000000171c0", "... R_X86_64_64 name@@Base"
_RELOCATION = re.compile(r"([0-9a-f]+) R_X86_64_(\w+)\s+([^@\s]+?)(?:@\S+)?")


class DisassemblyFailed(RuntimeError):
    """Nothing to see: no objdump, or not the function. One line says which."""


def why_unavailable() -> str | None:
    """None where machine code can be read, else the reason, with the command that helps."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return f"machine code is read for x86-64 only, and this is {platform.machine()}"
    if shutil.which("objdump") is None:
        return (
            "objdump was not found; install it (Debian, Ubuntu: apt-get install binutils; "
            "Fedora: dnf install binutils)"
        )
    return None


@dataclass(frozen=True)
class Instruction:
    """One line. `target`: the address that it names; `symbol`: what begins there, or before it."""

    mnemonic: str
    operands: str
    target: int | None = None
    symbol: str = ""


@dataclass
class Function:
    """A function's instructions by address, its cold part among them."""

    starts: list[int] = field(default_factory=list)
    code: dict[int, Instruction] = field(default_factory=dict)

    @cached_property
    def in_loops(self) -> frozenset[int]:
        """Addresses of the instructions that can be reached again from themselves."""
        return frozenset(_on_cycles(self._successors()))

    def _successors(self) -> dict[int, list[int]]:
        after: dict[int, list[int]] = {}
        addresses = sorted(self.code)
        indirect = []
        for address, following in zip(addresses, [*addresses[1:], -1], strict=True):
            one = self.code[address]
            jumps = one.mnemonic.startswith("j")
            ends = one.mnemonic in ("jmp", "jmpq", "ret", "retq", "ud2", "hlt")
            after[address] = [] if ends or following < 0 else [following]
            if jumps and one.target is None:
                indirect.append(address)
            elif jumps and one.target in self.code:
                after[address].append(one.target)
        # A jump through a table can go wherever nothing else does.
        reached = {*self.starts, *(a for several in after.values() for a in several)}
        for address in indirect:
            after[address] += [a for a in addresses if a not in reached]
        return after


@dataclass
class Module:
    """What a module holds.

    functions  by name, without the suffixes of cold parts
    pointers   by the address of a table of functions, or of the linker's pointer to something:
               the names of the functions that can be reached through it
    """

    functions: dict[str, Function] = field(default_factory=dict)
    pointers: dict[int, list[str]] = field(default_factory=dict)

    def calls(self, instruction: Instruction) -> list[str]:
        """Functions of the module that the instruction calls, jumps to, or takes the address of,
        alone or in a table."""
        # Inline functions and templates may be called through the linkage table, though they are
        # in the module itself.
        name, linked, _ = instruction.symbol.partition("@plt")
        callee = self.functions.get(name)
        if callee and (linked or instruction.target in callee.starts):
            return [name]
        return self.pointers.get(instruction.target or 0, [])

    def external(self, instruction: Instruction) -> str | None:
        """The function of another library that it calls."""
        name, linked, _ = instruction.symbol.partition("@plt")
        return name if linked and name not in self.functions else None


def disassembled(path: Path) -> Module:
    """Raises DisassemblyFailed."""
    reason = why_unavailable()
    if reason:
        raise DisassemblyFailed(reason)
    # Together with -d, -R would list the relocations of code only, not those of tables.
    return parse([*_objdump(path, "-t", "-R"), *_objdump(path, "-d", "--no-show-raw-insn")])


def _objdump(path: Path, *options: str) -> list[str]:
    command = ["objdump", "-w", *options, str(path)]
    answer = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if answer.returncode != 0:
        said = (answer.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise DisassemblyFailed(f"objdump cannot read {path.name}: {said}")
    return answer.stdout.splitlines()


def parse(lines: Iterable[str]) -> Module:
    """A module from the lines of objdump -w -t -R and objdump -w -d --no-show-raw-insn."""
    module = Module()
    objects: dict[str, tuple[int, int]] = {}  # by name: address, bytes
    relocations: dict[int, str] = {}  # by place: the name or address that is written there
    current: Function | None = None
    for line in lines:
        if found := _LINE.fullmatch(line):
            if current is not None:
                current.code[int(found[1], 16)] = _instruction(found[2], found[3])
        elif header := _HEADER.fullmatch(line):
            name = _COLD.sub("", header[2])
            current = module.functions.setdefault(name, Function())
            current.starts.append(int(header[1], 16))
        elif entry := _OBJECT.fullmatch(line):
            objects[entry[3]] = int(entry[1], 16), int(entry[2], 16)
        elif (relocation := _RELOCATION.fullmatch(line)) and relocation[2] != "JUMP_SLOT":
            relocations[int(relocation[1], 16)] = relocation[3]
    _point(module, objects, relocations)
    return module


def _instruction(mnemonic: str, operands: str) -> Instruction:
    refers = _REFERENCE.search(operands)
    if refers is None:
        return Instruction(mnemonic, operands)
    return Instruction(mnemonic, operands, int(refers[1], 16), _COLD.sub("", refers[2]))


def _point(
    module: Module, objects: dict[str, tuple[int, int]], relocations: dict[int, str]
) -> None:
    """Find out where pointers lead."""
    by_start = {function.starts[0]: name for name, function in module.functions.items()}

    def function_at(place: int) -> str | None:
        written = relocations.get(place, "")
        if written.startswith("*ABS*+"):
            return by_start.get(int(written[6:], 16))
        return written if written in module.functions else None

    for address, size in objects.values():
        names = list(filter(None, map(function_at, range(address, address + size, 8))))
        if names:
            module.pointers[address] = names
    for place, written in relocations.items():
        if written in objects and objects[written][0] in module.pointers:
            module.pointers[place] = module.pointers[objects[written][0]]
        elif place not in module.pointers and (name := function_at(place)):
            module.pointers[place] = [name]


def _on_cycles(after: dict[int, list[int]]) -> Iterator[int]:
    """The nodes of a graph that lie on cycles. They are addresses, so every cycle leads back
    somewhere: it is what can be reached from there, and leads to there, that lies on it."""
    before: dict[int, list[int]] = {node: [] for node in after}
    for node, several in after.items():
        for following in several:
            before[following].append(node)
    for node, several in after.items():
        for following in several:
            if following <= node:
                yield from _reached(following, after) & _reached(node, before)


def _reached(start: int, leads_to: dict[int, list[int]]) -> set[int]:
    seen, waiting = {start}, [start]
    while waiting:
        new = {node for node in leads_to[waiting.pop()] if node not in seen}
        seen |= new
        waiting += new
    return seen
