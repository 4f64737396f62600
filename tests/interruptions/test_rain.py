"""A rain of signals: see `rain`. `MASTERWORKER_INTERRUPTS=100000` lets it rain for longer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from interruptions.rain import WEDGED

#: So many signals, or so many seconds of it, whichever comes first.
NUMBER = os.environ.get("MASTERWORKER_INTERRUPTS", "")
SHORT = ["--interrupts", "2000", "--seconds", "6"]


def rain(*options: str) -> subprocess.CompletedProcess[str]:
    """Let it rain on a program of its own."""
    tests = str(Path(__file__).parent.parent)
    command = [sys.executable, "-m", "interruptions.rain", *options]
    environment = {**os.environ, "PYTHONPATH": tests}
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=None, check=False
    )


@pytest.mark.timeout(0 if NUMBER else 120)
@pytest.mark.parametrize("numbers", ["SIGINT", "SIGINT,SIGALRM,SIGUSR1"])
def test_nothing_is_lost(numbers: str) -> None:
    how_long = ["--interrupts", NUMBER] if NUMBER else SHORT
    done = rain("--signals", numbers, *how_long)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 lost, 0 wedged, check() clean" in done.stdout


def test_an_unprotected_step_is_found() -> None:
    done = rain("--unprotected", "--interrupts", "20000", "--seconds", "40")
    assert done.returncode in {1, WEDGED}, done.stdout + done.stderr
