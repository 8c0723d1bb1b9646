"""Kernels and what else goes on in a Python process: threads, signals, subinterpreters."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from array import array
from concurrent.futures import ThreadPoolExecutor

import pytest

import kernels_c
from tests.checkout import ROOT
from tests.native import METHODS, Method

LONG = 1 << 20  # floats: a call takes long enough to be met in the middle


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_threads_that_call_at_once_get_what_one_gets(tier: kernels_c.Tier, method: Method) -> None:
    def outputs(_: int) -> list[bytes]:
        arguments = method.arguments()
        for _ in range(5):
            method.call(tier, arguments)
        return [bytes(arguments[name]) for name in method.outputs]

    expected = outputs(0)
    with ThreadPoolExecutor(8) as pool:
        assert all(found == expected for found in pool.map(outputs, range(40)))


def test_large_calls_at_once_do_not_depend_on_each_other(tier: kernels_c.Tier) -> None:
    x = array("f", [i % 97 / 8 - 6 for i in range(1 << 17)])

    def gelu(_: int) -> bytes:
        out = array("f", bytes(4 * len(x)))
        tier.gelu(x, out)
        return out.tobytes()

    expected = gelu(0)
    with ThreadPoolExecutor(6) as pool:
        assert all(found == expected for found in pool.map(gelu, range(24)))


# --- Signals and subinterpreters ------------------------------------------------------------------

_SIGNALS = """
    import os, signal, threading, time
    from array import array
    import kernels_c
    tier = kernels_c.load_tier("{tier}")
    x = array("f", bytes(1 << 22)); out = array("f", bytes(1 << 22))
    calls = []
    def handler(*_):  # calls a kernel itself, on the buffers of the call that it interrupts
        tier.relu(x, out); calls.append(1)
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
    end = time.monotonic() + 20
    while len(calls) < 20 and time.monotonic() < end:
        tier.gelu(x, out)
    signal.setitimer(signal.ITIMER_REAL, 0)
    assert len(calls) >= 20, calls
    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
    try:
        while True:
            tier.gelu(x, out)
    except KeyboardInterrupt:
        print("interrupted")
"""


def in_a_process(code: str) -> str:
    answer = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


@pytest.mark.parametrize("tier", ["scalar", "avx2_omp"])
def test_handlers_may_call_kernels_and_ctrl_c_comes_through(tier: str) -> None:
    if kernels_c.why_unavailable(tier):
        pytest.skip(str(kernels_c.why_unavailable(tier)))
    assert in_a_process(_SIGNALS.format(tier=tier)) == "interrupted\n"


_SUBINTERPRETER = """
    import sys, kernels_c
    code = "import kernels_c; print(kernels_c.why_unavailable('scalar'), flush=True)"
    if sys.version_info >= (3, 14):
        from concurrent import interpreters
        inside = interpreters.create(); inside.exec(code); inside.close()
    else:
        name = "_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters"
        interpreters = __import__(name); inside = interpreters.create()
        run = getattr(interpreters, "exec", None) or interpreters.run_string
        run(inside, code); interpreters.destroy(inside)
    print(kernels_c.why_unavailable("scalar"))
"""


def test_a_subinterpreter_gets_its_kernels_or_one_line() -> None:
    """CPython asks modules whether they can be there twice from 3.12 on; cffi's cannot."""
    inside, outside = in_a_process(_SUBINTERPRETER).splitlines()
    assert outside == "None"
    refused = inside.startswith("tier scalar does not load (") and inside.endswith(
        "; load it in the main interpreter"
    )
    assert refused if sys.version_info >= (3, 12) else refused or inside == "None"


def test_a_signal_that_is_ignored_stays_so() -> None:
    code = """
        import signal, kernels_c
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        from array import array
        tier = kernels_c.load_tier("scalar"); x = array("f", bytes(1 << 20))
        signal.raise_signal(signal.SIGINT); tier.relu(x, x); print("went on")
    """
    assert in_a_process(code) == "went on\n"
    assert signal.getsignal(signal.SIGINT) is not signal.SIG_IGN
