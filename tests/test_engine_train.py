"""The script that trains verse, for two steps: what it writes is a model of verse's kind."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

import engine

ROOT = Path(__file__).resolve().parent.parent
MISSING = [name for name in ("torch", "bible") if importlib.util.find_spec(name) is None]


@pytest.mark.skipif(bool(MISSING), reason="needs PyTorch and the text: pip install -e '.[train]'")
def test_a_smoke_run_writes_a_model_that_writes(tmp_path: Path) -> None:
    out = tmp_path / "smoke.safetensors"
    command = [sys.executable, "-m", "engine.train", "-o", str(out), "--steps", "2", "--batch", "2"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "held out: " in run.stdout
    session = engine.load(out).session("idiomatic", "i8")
    assert len(session.generate("And", 3)) == 3
