"""What an interpreter says of itself, for builds that this machine does not have."""

from __future__ import annotations

import sys
import sysconfig
from types import SimpleNamespace
from typing import Any

import pytest

from bench.measure.machine import interpreter, metadata


def pretend(monkeypatch: pytest.MonkeyPatch, **variables: Any) -> None:
    """sysconfig says this, and for the rest the truth."""
    truth = sysconfig.get_config_var
    monkeypatch.setattr(sysconfig, "get_config_var", lambda name: variables.get(name, truth(name)))


@pytest.mark.parametrize(
    ("option", "asked", "on"),
    [
        ("--enable-experimental-jit", None, True),
        ("--enable-experimental-jit=yes", "0", False),
        ("--enable-experimental-jit=yes-off", None, False),
        ("--enable-experimental-jit=yes-off", "1", True),
        ("--enable-experimental-jit=no", "1", None),
        ("--enable-experimental-jit=interpreter", "1", None),
        ("--enable-shared", "1", None),
    ],
)
def test_before_3_14_configure_and_the_variable_say_whether_it_compiles(
    option: str, asked: str | None, on: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(sys, "_jit", raising=False)
    monkeypatch.delenv("PYTHON_JIT", raising=False)
    if asked is not None:
        monkeypatch.setenv("PYTHON_JIT", asked)
    pretend(monkeypatch, CONFIG_ARGS=f"'--prefix=/a b' '{option}' 'CFLAGS=-g -O2'")
    assert interpreter.describe()["jit"] is on


@pytest.mark.parametrize(
    ("available", "enabled", "on"), [(True, True, True), (True, False, False), (False, False, None)]
)
def test_from_3_14_on_it_says_so_itself(
    available: bool, enabled: bool, on: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = SimpleNamespace(is_available=lambda: available, is_enabled=lambda: enabled)
    monkeypatch.setattr(sys, "_jit", told, raising=False)
    assert interpreter.describe()["jit"] is on


@pytest.mark.parametrize("gil", [False, True])
def test_a_free_threaded_build_may_have_the_lock(
    gil: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, Py_GIL_DISABLED=1, CONFIG_ARGS="--disable-gil")
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: gil, raising=False)
    described = interpreter.describe()
    assert (described["free_threaded"], described["gil"]) == (True, gil)
    assert described["configured"] == ["--disable-gil"]
    assert described["label"].endswith("t GIL" if gil else "t")


def test_options_of_configure_that_cannot_be_parsed_are_taken_apart_at_spaces(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pretend(monkeypatch, CONFIG_ARGS="--with-lto=thin CFLAGS='-O2")
    assert interpreter.describe()["configured"] == ["--with-lto=thin"]


def test_every_run_says_which_interpreter_it_is_of() -> None:
    machine: dict[str, Any] = {}
    metadata.complete(machine)
    assert machine["interpreter"] == interpreter.describe()
