"""The gate tried out as a user would, on this machine and now: minutes, and it takes times.

    python tests/gate_self_test.py

In a copy of the project, a change that changes nothing must pass, and slowdowns must be found: in
C++, in Python, in a benchmark that is no kernel, and two that take no more instructions than now.
Nothing else may be blamed. What depends on times is not a test of the suite; CI runs this as a job
of its own.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.checkout import Checkout
from tests.regressions import CACHE_HOSTILE, LATENCY

CHOSEN = (
    "(relu and (c-scalar-10000] or c-avx2-1000000])) or (softmax and c-avx2-10000])"
    " or (gelu_tanh and py-idiomatic-100]) or word"
)
THIRD_PARTY = """
from collections import Counter

TEXT = "the quick brown fox jumps over the lazy dog " * 40


def count(text):
    return Counter(text.split())


def test_word_count(benchmark):
    assert benchmark(count, TEXT)["the"] == 80
"""
# name: (file, what stands there, what stands there then, the benchmarks that become slower)
CHANGES: dict[str, tuple[str, str, str, tuple[str, ...]]] = {
    "a comment": ("kernels_c/portable/relu.cpp", "plain loop.", "plain loop, again.", ()),
    "a new function above": (
        "kernels_c/portable/relu.cpp",
        '#include "kernels.h"\n',
        '#include "kernels.h"\nextern "C" void nothing(void) {}\n',
        (),
    ),
    "a tenth of ReLU done twice, in C++": (
        "kernels_c/portable/relu.cpp",
        "    for (size_t i = 0; i < n; ++i) out",
        "    for (size_t i = 0; i < n / 10; ++i) out[i] = x[i] < 0.0f ? 0.0f : 1.0f;\n"
        '    asm volatile("" ::: "memory");\n'
        "    for (size_t i = 0; i < n; ++i) out",
        ("c-scalar-10000",),
    ),
    "a tenth of GELU done twice, in Python": (
        "kernels_py/gelu_tanh.py",
        "def idiomatic(x: list[float]) -> list[float]:\n",
        "def idiomatic(x: list[float]) -> list[float]:\n"
        "    [v * (1.0 + exp(-v)) for v in x[: len(x) // 5]]\n",
        ("py-idiomatic-100",),
    ),
    "a tenth of the words counted twice": (
        "test_bench_words.py",
        "    return Counter(text.split())",
        "    Counter(text[: len(text) // 10].split())\n    return Counter(text.split())",
        ("test_word_count",),
    ),
    "one chain of maxima for four": (LATENCY.file, LATENCY.old, LATENCY.new, ("softmax",)),
    "ReLU in pieces four kilobytes apart": (
        CACHE_HOSTILE.file,
        CACHE_HOSTILE.old,
        CACHE_HOSTILE.new,
        ("c-avx2-1000000",),
    ),
}


def git(checkout: Checkout, *arguments: str) -> None:
    identity = ("-c", "user.name=self-test", "-c", "user.email=self-test@localhost")
    subprocess.run(["git", *identity, *arguments], cwd=checkout.folder, check=True)


def gate(checkout: Checkout) -> tuple[int, dict[str, str], str]:
    """Exit code, verdict by benchmark, and what was printed."""
    answer = checkout.python(
        "-m", "bench", "gate", "run", "--base", "HEAD", "-k", CHOSEN, "-o", "gate.json"
    )
    judged = checkout.json("gate.json")["judged"] if answer.returncode in (0, 1, 3) else []
    return (
        answer.returncode,
        {j["name"]: j["verdict"] for j in judged},
        answer.stdout + answer.stderr,
    )


def failures(checkout: Checkout) -> list[str]:
    """What did not go as it must."""
    wrong = []
    for title, (file, old, new, slower) in CHANGES.items():
        checkout.replace(file, old, new)
        code, verdicts, output = gate(checkout)
        checkout.replace(file, new, old)
        regressed = {name for name, verdict in verdicts.items() if verdict == "regressed"}
        expected = {name for name in verdicts if any(part in name for part in slower)}
        is_right = code == (1 if slower else 0) and regressed == expected
        print(f"{'as it must' if is_right else 'WRONG'}: {title}: exit {code}, slower: {regressed}")
        if not is_right:
            wrong.append(title)
            print(output)
    return wrong


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        checkout = Checkout(Path(folder))
        (checkout.folder / "test_bench_words.py").write_text(THIRD_PARTY, encoding="utf-8")
        (checkout.folder / ".gitignore").write_text("*.so\n__pycache__/\ngate.json\n")
        git(checkout, "init", "--quiet")
        git(checkout, "add", "--all")
        git(checkout, "commit", "--quiet", "--message", "base")
        wrong = failures(checkout)
    print(f"{len(CHANGES) - len(wrong)} of {len(CHANGES)} as they must be")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
