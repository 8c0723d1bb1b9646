"""python -m engine: what it prints, what it ends with, and that a terminal stays whole."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engine import __main__ as command_line
from tests.models import VERSE, content_of, model, write_card

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    content = content_of(model("verse"))
    path.write_bytes(content)
    write_card(path, content, VERSE)
    return str(path)


def command(*arguments: str | bytes) -> list[str | bytes]:
    return [sys.executable, "-m", "engine", *arguments]


def run(*arguments: str | bytes, **more: Any) -> subprocess.CompletedProcess[bytes]:
    given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
    return subprocess.run(command(*arguments), cwd=ROOT, check=False, timeout=120, **given)


SUMMARY = r"(\d+) tokens, (?:[\d,]+ tokens per second|no time at all), (\w+), (f32|i8)\n"


def test_it_writes_and_says_how_fast(weights: str) -> None:
    given = ("write", "And the king", "-n", "40", "--model", weights)
    first = run(*given)
    assert first.returncode == 0
    assert first.stdout.startswith(b"And the king") and first.stdout.endswith(b"\n")
    summary = re.fullmatch(SUMMARY, first.stderr.decode())
    assert summary and summary[1] == "40" and summary[3] == "f32"
    assert run(*given).stdout == first.stdout  # the seed has a default
    assert run(*given, "--seed", "2").stdout != first.stdout
    python = run(*given, "--tier", "idiomatic", "--precision", "i8", "-n", "2")
    assert python.stderr.decode().endswith(", idiomatic, i8\n")


@pytest.mark.parametrize("prompt", [b"\xff\xfe", "Größe".encode(), b"cut \xe2\x82", b"a\tb\nc"])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_prompt_of_any_bytes_is_shown(weights: str, prompt: bytes, encoding: str) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    ended = run("write", prompt, "-n", "20", "--model", weights, env=environment)
    assert ended.returncode == 0, ended.stderr
    assert re.fullmatch(SUMMARY, ended.stderr.decode())


def test_nothing_that_it_writes_commands_a_terminal(weights: str) -> None:
    ended = run("write", "a", "-n", "2000", "--model", weights, "--temperature", "50")
    text = ended.stdout.decode()
    assert all(c.isprintable() or c == "\n" for c in text)
    assert "\\x1b" in text


BAD = [
    (("write", ""), "prompt: got none, needs at least one"),
    (("write", "x" * 257), "prompt: got 257, and the context of 256 has room for 256"),
    (("write", "x", "-n", "-1"), "n: got -1, needs at least 0"),
    (("write", "x", "--temperature", "-1"), "temperature: got -1.0, needs 0 (the likeliest) or"),
    (("write", "x", "--temperature", "nan"), "temperature: got nan, needs 0 (the likeliest) or"),
    (("write", "x", "--temperature", "inf"), "temperature: got inf, needs 0 (the likeliest) or"),
    (("write", "x", "--tier", "no\n"), "tier: got 'no\\n', needs one of debug, scalar, autovec, "),
    (("write", "x", "--model", "no"), "model: got 'no', needs 'verse', 'magika' or a "),
    (("write", "x", "--model", "/no.safetensors"), "/no.safetensors: No such file or directory"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "reason"), BAD)
def test_bad_input_is_one_line_and_ends_with_2(
    arguments: tuple[str, ...], reason: str, weights: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = arguments if "--model" in arguments else (*arguments, "--model", weights)
    assert command_line.main([*given]) == 2
    out, error = capsys.readouterr()
    assert out == "" and error.startswith(f"python -m engine: error: {reason}")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [(), ("write",), ("sing",), ("write", "x", "-n", "many"), ("write", "x", "--precision", "f16")],
)
def test_a_command_that_is_none_ends_with_2(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        command_line.main([*arguments])
    assert ended.value.code == 2
    assert "error: " in capsys.readouterr().err.splitlines()[-1]


def test_a_truncated_file_ends_with_2(weights: str, tmp_path: Path) -> None:
    short = tmp_path / "short.safetensors"
    short.write_bytes(Path(weights).read_bytes()[:-100])
    for beside in (False, True):
        if beside:
            Path(tmp_path, "short.json").write_bytes(
                Path(weights).with_suffix(".json").read_bytes()
            )
        ended = run("write", "x", "--model", str(short))
        assert ended.returncode == 2 and ended.stdout == b""
        assert ended.stderr.count(b"\n") == 1 and b"cut off" in ended.stderr


@pytest.mark.parametrize("tier", ["idiomatic", None])
def test_ctrl_c_ends_a_stream_with_a_whole_line(weights: str, tier: str | None) -> None:
    given = [] if tier is None else ["--tier", tier]
    arguments = command("write", "And", "-n", "100000000", "--model", weights, *given)
    with subprocess.Popen(
        arguments, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as started:
        assert started.stdout and started.stderr
        read = started.stdout.read(9)  # it streams
        started.send_signal(signal.SIGINT)
        out, error = started.communicate(timeout=60)
    assert started.returncode == 130
    assert (read + out).startswith(b"And") and out.endswith(b"\n")
    assert re.fullmatch(SUMMARY, error.decode())


def test_a_closed_pipe_is_enough(weights: str) -> None:
    with subprocess.Popen(
        command("write", "And", "-n", "100000000", "--model", weights),
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as started:  # fmt: skip
        assert started.stdout and started.stderr
        started.stdout.read(20)
        started.stdout.close()
        assert started.stderr.read() == b""
        assert started.wait(timeout=60) == 0


def test_a_full_disk_is_said(weights: str) -> None:
    with open("/dev/full", "wb") as full:
        ended = run("write", "And", "--model", weights, stdout=full)
    assert ended.returncode == 2
    expected = b"python -m engine: error: standard output: No space left on device\n"
    assert ended.stderr == expected


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_what_nobody_reads_stops_nothing(weights: str, closed: str) -> None:
    shown = f'exec "$0" -m engine write And -n 5 --model "$1" {closed}'
    ended = subprocess.run(
        ["sh", "-c", shown, sys.executable, weights], cwd=ROOT, capture_output=True, check=False
    )
    assert ended.returncode == 0
    assert b"Traceback" not in ended.stderr and b"tokens" not in ended.stdout


def test_it_needs_nothing_that_is_not_installed_with_it(weights: str) -> None:
    """Only the standard library, cffi and this project: all others are hidden."""
    script = (
        "import sys, runpy\n"
        "class Hide:\n"
        "  def find_spec(self, name, *_):\n"
        "    known = {'engine', 'kernels_c', 'kernels_py', '_cffi_backend'}\n"
        "    if name.partition('.')[0] not in known | sys.stdlib_module_names:\n"
        "      raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Hide())\n"
        f"sys.argv = ['engine', 'write', 'And', '-n', '3', '--model', {weights!r}]\n"
        "runpy.run_module('engine', run_name='__main__')"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
