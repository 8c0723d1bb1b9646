"""The question that comes before a tier is loaded: has this CPU its instructions? Asked on CPUs
that are not here."""

from __future__ import annotations

import ctypes
import platform
import re
import subprocess

import pytest

import build_ffi
import kernels_c

pytestmark = pytest.mark.skipif(
    platform.machine() != "x86_64", reason="the question is one of x86-64"
)

AVX2 = {"avx2", "fma", "f16c"}
AVX512F = AVX2 | {"avx512f", "avx512bw", "avx512dq", "avx512vl"}
# What they have of what is asked for (Intel SDM vol. 1, 15; AMD APM vol. 3, appendix D).
CPUS = {
    "Nehalem": set(),
    "Sandy Bridge": set(),
    "Ivy Bridge": {"f16c"},
    "Haswell": AVX2,
    "Haswell, FMA hidden": AVX2 - {"fma"},
    "Haswell, F16C hidden": AVX2 - {"f16c"},
    "Knights Landing": AVX2 | {"avx512f"},
    "Skylake-SP": AVX512F,
    "Cascade Lake": AVX512F | {"avx512vnni"},
    "Ice Lake": AVX512F | {"avx512vnni"},
    "Alder Lake": AVX2,
    "Zen 3": AVX2,
    "Zen 4": AVX512F | {"avx512vnni"},
    "Zen 4, VL hidden": AVX512F - {"avx512vl"} | {"avx512vnni"},
    "no ymm saved": {"f16c"},  # the system does not save its registers: GCC's answer is no
}

# In the place of the compiler's own answers.
FAKE = """
#include <string.h>
static const char *present = "";
extern "C" void become(const char *features) { present = features; }
static int has(const char *name) {
    char word[32] = " ";
    return strstr(present, strcat(strcat(word, name), " ")) != nullptr;
}
#include <cpuid.h>
static int fake_cpuid(unsigned *ecx) { *ecx = has("f16c") ? bit_F16C : 0; return 1; }
#define __builtin_cpu_supports(name) has(name)
#define __get_cpuid(leaf, a, b, c, d) ((void)(a), (void)(b), (void)(d), fake_cpuid(c))
"""


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    folder = tmp_path_factory.mktemp("cpu")
    fake, library = folder / "fake.h", folder / "cpu.so"
    fake.write_text(FAKE)
    source = build_ffi.NATIVE / "cpu.cpp"
    flags = ["-std=c++17", "-shared", "-fPIC", "-w", "-include", str(fake), f"-I{source.parent}"]
    build_ffi.run([*build_ffi.compiler(), *flags, str(source), "-o", str(library)])
    return ctypes.CDLL(str(library))


@pytest.mark.parametrize("name", CPUS)
def test_each_cpu_gets_what_it_can_run(asked: ctypes.CDLL, name: str) -> None:
    has = CPUS[name]
    text = f" {' '.join(sorted(has))} ".encode()
    asked.become(text)
    assert bool(asked.cpu_has_avx2_fma()) == (has >= AVX2)
    assert bool(asked.cpu_has_avx512_vnni()) == (has >= AVX512F | {"avx512vnni"})


@pytest.mark.parametrize("tier", ["debug", "scalar"])
def test_what_is_loaded_before_the_question_has_no_wide_instruction(tier: str) -> None:
    """Neither the kernels nor what cffi wrote around them: such a CPU would end the process."""
    if kernels_c.why_unavailable(tier):
        pytest.skip(str(kernels_c.why_unavailable(tier)))
    found = instructions(tier)
    assert len(found) > 50
    assert {name for name in found if name.startswith("v")} == set()
    if kernels_c.why_unavailable("avx2") is None:
        assert any(name.startswith("vfmadd") for name in instructions("avx2"))


def instructions(tier: str) -> set[str]:
    command = ["objdump", "-d", "--no-show-raw-insn", str(build_ffi.module_path(tier))]
    try:
        listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except FileNotFoundError:
        pytest.skip("needs objdump (Debian, Ubuntu: apt-get install binutils)")
    return set(re.findall(r"^ +[0-9a-f]+:\t(\w+)", listing, re.MULTILINE))
