"""What is said of machine code is what stands in it: made-up listings, and the built tiers."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import kernels_c
from bench.measure.evidence import disassembly, objdump
from bench.measure.evidence.disassembly import Seen, in_loops_of, packed_bits
from bench.measure.evidence.objdump import DisassemblyFailed, Instruction, parse
from bench.suite import registry

FOLDER = Path(kernels_c.__file__).parent

needs_objdump = pytest.mark.skipif(
    objdump.why_unavailable() is not None, reason=str(objdump.why_unavailable())
)


def listing(*functions: str, head: str = "") -> list[str]:
    """objdump's lines: each function "ADDRESS name" and its instructions, "ADDRESS text"."""
    lines = head.splitlines()
    for function in functions:
        first, *code = (line.strip() for line in function.strip().splitlines())
        address, name = first.split()
        lines += ["", f"{int(address, 16):016x} <{name}>:"]
        for line in code:
            at, _, text = line.partition(" ")
            lines.append(f"    {at}:\t{text}")
    return lines


def seen(*functions: str, head: str = "") -> Seen:
    return in_loops_of(parse(listing(*functions, head=head)), ["f"], "x.so")


SCALAR_LOOP = """
    1000 f
    1000 vmovss (%rdi),%xmm0
    1004 vfmadd132ss %xmm1,%xmm1,%xmm0
    1008 call   900 <tanhf@plt>
    100c jne    1000 <f>
    1010 vaddps %ymm0,%ymm1,%ymm1
    1014 ret
"""


def test_only_loops_count() -> None:
    """The packed addition after the loop is not what the function is made of."""
    assert seen(SCALAR_LOOP) == Seen(0, True, ("tanhf",))


def test_a_jump_forward_makes_no_loop() -> None:
    assert seen("1000 f\n1000 vaddps %ymm0,%ymm1,%ymm1\n1004 je 1008 <f+0x8>\n1008 ret") == Seen(
        0, False, ()
    )


def test_what_a_loop_calls_counts_whole_and_what_is_called_once_by_its_loops() -> None:
    callee = "2000 g\n2000 vmulps %zmm0,%zmm1,%zmm1\n2006 ret"
    once = "1000 f\n1000 call 2000 <g>\n1005 ret"
    again = "1000 f\n1000 call 2000 <g>\n1005 jmp 1000 <f>"
    assert seen(once, callee).vector_bits == 0
    assert seen(again, callee).vector_bits == 512


def test_templates_are_followed_through_the_linkage_table_and_pointers_to_functions() -> None:
    looping = "2000 g\n2000 vmulps %ymm0,%ymm1,%ymm1\n2006 jne 2000 <g>\n2008 ret"
    linked = "1000 f\n1000 jmp 900 <g@plt>"
    handed_over = "1000 f\n1000 lea 0xff9(%rip),%rdi        # 2000 <g>\n1007 ret"
    for root in (linked, handed_over):
        assert seen(root, looping) == Seen(256, False, ())


def test_tables_of_functions_are_followed_also_through_the_linkers_pointers() -> None:
    head = (
        "0000000000003000 l     O .data.rel.ro\t0000000000000010              TABLE\n"
        "OFFSET           TYPE              VALUE\n"
        "0000000000003008 R_X86_64_RELATIVE  *ABS*+0x0000000000002000\n"
        "0000000000003010 R_X86_64_RELATIVE  *ABS*+0x0000000000004000\n"
        "0000000000005000 R_X86_64_GLOB_DAT  TABLE@@Base\n"
    )
    ours = "2000 g\n2000 vmulps %ymm0,%ymm1,%ymm1\n2006 jne 2000 <g>\n2008 ret"
    # Begins where the table ends.
    others = "4000 h\n4000 vmulps %zmm0,%zmm1,%zmm1\n4006 jne 4000 <h>\n4008 ret"
    near = (
        "1000 f\n1000 lea 0x1(%rip),%rax        # 3000 <TABLE>\n1007 call *(%rax,%rdx,8)\n100a ret"
    )
    far = near.replace("lea", "mov").replace("# 3000 <TABLE>", "# 5000 <_GLOBAL_OFFSET_TABLE_+0x8>")
    for root in (near, far):
        assert seen(root, ours, others, head=head).vector_bits == 256


def test_a_cold_part_belongs_to_its_function() -> None:
    hot = "1000 f\n1000 je 2000 <f.cold>\n1004 ret"
    cold = "2000 f.cold\n2000 call 900 <expf@plt>\n2005 jmp 1000 <f>"
    assert seen(hot, cold) == Seen(0, False, ("expf",))


def test_a_jump_through_a_table_can_close_a_loop() -> None:
    switch = """
        1000 f
        1000 notrack jmp *%rax
        1003 vaddps %xmm0,%xmm1,%xmm1
        1007 jmp    1000 <f>
        1009 ret
    """
    assert seen(switch).vector_bits == 128


@pytest.mark.parametrize(
    ("text", "bits"),
    [
        ("vaddps 0x4(%rax),%ymm0,%ymm0", 256),
        ("addps %xmm1,%xmm0", 128),
        ("vfnmadd231pd %zmm1,%zmm2,%zmm3{%k1}", 512),
        ("vmaxps (%rax),%ymm0,%ymm0", 256),
        ("vcmpltps %ymm1,%ymm2,%ymm3", 256),
        ("vroundps $0x0,%ymm1,%ymm1", 256),
        ("vpmaddwd %ymm1,%ymm2,%ymm3", 256),
        ("vpdpbusd %zmm1,%zmm2,%zmm3", 512),
        ("vpaddd %ymm0,%ymm1,%ymm1", 256),
        ("vpmuludq %xmm0,%xmm1,%xmm1", 128),
        ("vaddps %ymm0,%ymm0,%ymm0", 256),  # doubles
        ("vaddss %xmm0,%xmm1,%xmm1", 0),
        ("vfmadd213sd %xmm0,%xmm1,%xmm1", 0),
        ("vmovups (%rax),%ymm0", 0),
        ("vxorps %ymm0,%ymm0,%ymm0", 0),
        ("vandps %xmm2,%xmm0,%xmm0", 0),  # the absolute value of one number
        ("vpcmpeqd %ymm0,%ymm0,%ymm7", 0),  # all ones
        ("vpsubd %ymm0,%ymm0,%ymm0", 0),
        ("pcmpeqd %xmm0,%xmm0", 0),
        ("pcmpistri $0xc,(%rax),%xmm0", 0),
        ("vpermps %ymm0,%ymm1,%ymm1", 0),
        ("cvtps2pd %xmm0,%xmm0", 0),
        ("add $0x20,%rax", 0),
    ],
)
def test_packed_arithmetic_is_told_from_everything_else(text: str, bits: int) -> None:
    mnemonic, _, operands = text.partition(" ")
    assert packed_bits(Instruction(mnemonic, operands)) == bits


def test_a_prefix_is_not_the_instruction() -> None:
    avx_vnni = "1000 f\n1000 {vex} vpdpbusd %ymm0,%ymm1,%ymm1\n1006 jne 1000 <f>"
    assert seen(avx_vnni).vector_bits == 256


def test_mathematics_is_told_from_memory_and_threads() -> None:
    names = [
        "_ZGVdN8v_expf",
        "expf",
        "memcpy",
        "GOMP_parallel",
        "malloc",
        "__expf_finite",
        "logger",
    ]
    calls = "\n".join(f"{0x1000 + 5 * i:x} call 900 <{name}@plt>" for i, name in enumerate(names))
    found = seen(f"1000 f\n{calls}\n1050 jmp 1000 <f>")
    assert found.math_calls == ("_ZGVdN8v_expf", "__expf_finite", "expf")


def test_a_function_that_is_not_there_is_named() -> None:
    with pytest.raises(DisassemblyFailed, match=r"objdump shows no function gelu in x\.so"):
        in_loops_of(parse(listing(SCALAR_LOOP)), ["f", "gelu"], "x.so")


@needs_objdump
def test_a_file_that_is_no_module_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.so").write_text("not a module")
    with pytest.raises(DisassemblyFailed, match=r"objdump cannot read x\.so: "):
        disassembly.look(tmp_path / "x.so", ["f"])


def test_without_objdump_the_command_that_installs_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    with pytest.raises(DisassemblyFailed, match="apt-get install binutils; Fedora: dnf install"):
        objdump.disassembled(tmp_path / "x.so")


def test_other_processors_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert "for x86-64 only, and this is aarch64" in str(objdump.why_unavailable())


# --- The built tiers -----------------------------------------------------------------------------

FUNCTIONS = [name for name in registry.KERNELS if name != "quantized_matmul_f32"]


def of_tier(tier: str, function: str) -> Seen:
    """Whether or not this processor can run it."""
    built = sorted(FOLDER.glob(f"_{tier}.*so"))
    if not built:
        pytest.skip(f"tier {tier} is not built")
    return disassembly.look(built[0], [function])


@needs_objdump
@pytest.mark.parametrize("function", FUNCTIONS)
def test_tiers_have_the_registers_that_they_are_made_for(function: str) -> None:
    for tier, bits in (("debug", 0), ("scalar", 0), ("avx2", 256), ("avx2_omp", 256)):
        found = of_tier(tier, function)
        assert found.vector_bits == bits, (tier, found)
        if bits:  # their own polynomials; sqrt is called to set errno, of negative numbers
            assert {*found.math_calls} <= {"sqrt", "sqrtf"}
    for tier in ("avx512", "avx512_omp"):
        assert of_tier(tier, function).vector_bits == 512


@needs_objdump
@pytest.mark.parametrize(
    ("function", "called"), [("gelu_tanh_f32", "tanhf"), ("gelu_erf_f32", "erff")]
)
def test_the_compiler_vectorises_mathematics_only_where_it_may(function: str, called: str) -> None:
    for tier in ("debug", "scalar", "autovec"):
        found = of_tier(tier, function)
        assert (found.vector_bits, found.math_calls) == (0, (called,)), tier
    relaxed = of_tier("fastmath", function)
    compiler = kernels_c.load_tier("fastmath").build_info()["compiler"]
    if "clang" not in compiler.lower():  # whose version may know no vector form
        assert relaxed.vector_bits == 256
        assert f"_ZGVdN8v_{called}" in relaxed.math_calls


@needs_objdump
def test_fused_multiply_adds_are_where_they_are_said_to_be() -> None:
    assert not of_tier("scalar", "matmul_f32").fma
    assert of_tier("avx2", "matmul_f32").fma
    assert not of_tier("avx2", "relu_f32").fma
