"""Byte code is another one in each version of Python, and is read in all of them."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from integration import reading_code
from security.hosts import other_python as others

SOURCE = Path(__file__).parents[2] / "src"


def test_code_of_this_python_is_read() -> None:
    assert reading_code.wrong() == {}


def test_code_of_other_pythons_is_read() -> None:
    """Of all that are on this machine, and the one that was made for the tests."""
    found = list(others.all_installed().values())
    if others.is_made(folder := others.usual_folder()):
        found.append(others.command(folder))
    if not found:
        pytest.skip("no other Python: tests/security/hosts/other_python.py makes one")
    for python in found:
        told = subprocess.run(
            [python, reading_code.__file__],
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
            capture_output=True,
            check=True,
            timeout=60,
        )
        assert json.loads(told.stdout) == {}, python
