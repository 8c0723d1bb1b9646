"""What Python's loops are made of: one operation at a time, written out and repeated.

function(name) gives a function without arguments that takes STEPS steps of a loop, and does the
operation REPEATS times in each: a loop around it would be another operation, so the statements are
written one after the other, as timeit does it. Every repetition has names and objects of its own:
eight times the same object would wait for its reference count eight times.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

REPEATS = 8
_TURNS, _LENGTH = 16, 64  # eight lists of 64 floats lie in any first-level cache
STEPS = _TURNS * _LENGTH
# Ints below 257 exist already; the indices of a kernel are made anew.
_FIRST = 300


class Operation(NamedTuple):
    """A statement and what must be there for it; {k} is the number of the repetition."""

    what: str
    statement: str = ""
    setup: tuple[str, ...] = ()
    first: int = _FIRST  # of the indices


_TWO_FLOATS = ("a{k} = FLOATS[{k}]", "b{k} = FLOATS[{k} + 10]")
_A_FLOAT = ("a{k} = FLOATS[{k}]",)
_A_LIST = ("x{k} = LISTS[{k}]",)

OPERATIONS = {
    "step": Operation("a step of the loop, to an int that is made anew"),
    "step_known": Operation("a step of the loop, to an int that exists already", first=0),
    "name": Operation("load a local name, store another", "w{k} = a{k}", _A_FLOAT),
    "read": Operation("read an element of a list", "v{k} = x{k}[i]", _A_LIST),
    "read_array": Operation(
        "read an element of an array", "v{k} = x{k}[i]", ("x{k} = ARRAYS[{k}]",)
    ),
    "write": Operation(
        "write an element of a list", "x{k}[i] = a{k}", ("x{k} = WRITTEN[{k}]", *_A_FLOAT)
    ),
    "compare": Operation("compare two floats, and jump", "if a{k} < b{k}: pass", _TWO_FLOATS),
    "multiply": Operation("multiply two floats", "v{k} = a{k} * b{k}", _TWO_FLOATS),
    "negate": Operation("negate a float, which makes a new one", "v{k} = -a{k}", _A_FLOAT),
    "keep": Operation("the same without a new one", "v{k} = +a{k}", _A_FLOAT),
    "multiply_int": Operation(
        "multiply two ints", "v{k} = a{k} * b{k}", ("a{k} = 700 + {k}", "b{k} = 900 + {k}")
    ),
    "add_int": Operation(
        "add two ints", "v{k} = a{k} + b{k}", ("a{k} = 70000 + {k}", "b{k} = 900 + {k}")
    ),
    "global": Operation("find a global name", "v{k} = GLOBAL"),
    "attribute": Operation("find an attribute of a module", "v{k} = m.pi", ("m = math",)),
    "call": Operation("call math.fabs", "v{k} = f(a{k})", ("f = math.fabs", *_A_FLOAT)),
    "round": Operation("call round", "v{k} = f(a{k})", ("f = round", *_A_FLOAT)),
    "call_python": Operation(
        "call a Python function that returns its argument",
        "v{k} = f(a{k})",
        ("f = same", *_A_FLOAT),
    ),
    **{
        name: Operation(
            f"math.{name} of an element", "v{k} = f(x{k}[i])", (f"f = math.{name}", *_A_LIST)
        )
        for name in ("fabs", "exp", "tanh", "erf")
    },
}


def _value(number: int) -> float:
    """One of many floats in [-8, 8), in no order that a branch predictor could learn."""
    return ((number + 1) * 2654435761 % 16384) / 1024.0 - 8.0


def _same(argument: Any) -> Any:
    return argument


@cache
def _surroundings() -> dict[str, Any]:
    """What setups find, made once: lists with objects of their own where the index goes."""
    values = [_value(i) for i in range(REPEATS * _LENGTH)]
    lists = [[0.0] * _FIRST + values[_LENGTH * k : _LENGTH * (k + 1)] for k in range(REPEATS)]
    return {
        "FLOATS": values,
        "LISTS": lists,
        "ARRAYS": [array("d", x) for x in lists],
        "WRITTEN": [[*x] for x in lists],
        "GLOBAL": 1.5,
        "math": math,
        "same": _same,
    }


@cache
def function(name: str) -> Callable[[], None]:
    """The function that does the operation of that name. Raises KeyError."""
    operation = OPERATIONS[name]
    first = operation.first
    setup = [line for part in operation.setup for line in _repeated(f" {part}")]
    body = _repeated(f"   {operation.statement or 'pass'}")
    loops = [f" for _ in range({_TURNS}):", f"  for i in range({first}, {first + _LENGTH}):"]
    source = "\n".join(["def repeated():", *setup, *loops, *body])
    names = dict(_surroundings())
    exec(compile(source, f"<operation {name}>", "exec"), names)
    made: Callable[[], None] = names["repeated"]
    return made


def _repeated(line: str) -> list[str]:
    """The line for every repetition; once where it says no number."""
    return list(dict.fromkeys(line.replace("{k}", str(k)) for k in range(REPEATS)))


def perform(name: str) -> None:
    """The operation of that name, once through its loop."""
    function(name)()
