"""The rooms of bench/ by floors, from the imports: python -m tests.floors

A room stands on the floor above the highest room that it imports; rooms that import each other are
a circle.
"""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

from tests.test_layers import FLOORS, files, ours


def imports_of(room: str) -> set[str]:
    """The other rooms that a room's files import."""
    names = {name for path in files(f"bench/{room}") for name in ours(path)}
    rooms = {name.split(".")[1] for name in names if name.startswith("bench.")}
    return rooms & ROOMS - {room}


ROOMS = {room for rooms in FLOORS for room in rooms}


def main() -> None:
    below = {room: imports_of(room) for room in ROOMS}
    try:
        order = list(TopologicalSorter(below).static_order())
    except CycleError as circle:
        print("a circle:", " -> ".join(circle.args[1]))
        return
    floor: dict[str, int] = {}
    for room in order:
        floor[room] = 1 + max((floor[other] for other in below[room]), default=0)
    for room in sorted(order, key=lambda name: (-floor[name], name)):
        lines = sum(len(p.read_text(encoding="utf-8").splitlines()) for p in files(f"bench/{room}"))
        print(f"{floor[room]}  {room:13}{lines:6}  {' '.join(sorted(below[room]))}")
    arrows = sum(map(len, below.values()))
    print(f"{len(order)} rooms, {max(floor.values())} floors, {arrows} arrows, no circle")


if __name__ == "__main__":
    main()
