"""The programs that are compared with other libraries: each prints with us what is right."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / "benchmarks" / "side_by_side" / "programs"

#: What docs/side-by-side.md says of us that is not right, and why it is so there.
DIFFERENT = {}


@pytest.mark.parametrize("name", sorted(path.stem for path in PROGRAMS.glob("*.py")))
def test_it_prints_what_is_right(name: str) -> None:
    """As it would without any library."""
    command = [sys.executable, "-m", "benchmarks.side_by_side", name, "--libraries", "masterworker"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    row = found.stdout.splitlines()[-1]
    cell = row.removesuffix(" |").rpartition(" | ")[2]
    if cell.startswith("**skipped"):
        pytest.skip(cell)
    expected = f"**{DIFFERENT[name]}**" if name in DIFFERENT else "right"
    assert cell == expected, row + found.stderr


def test_a_program_that_is_wrong_is_told_from_one_that_is_right(tmp_path: Path) -> None:
    """As is one that fails."""
    wrong = tmp_path / "wrong.py"
    wrong.write_text('"""Prints another number."""\n\nRIGHT = 1\n\nprint(2)\n')
    fails = tmp_path / "fails.py"
    fails.write_text('"""Raises."""\n\nRIGHT = 1\n\nraise ValueError("no")\n')
    code = f"""
from pathlib import Path
from benchmarks.side_by_side.__main__ import execute
for path in {str(wrong)!r}, {str(fails)!r}:
    print(execute(Path(path), "masterworker"))
"""
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert found.stdout.splitlines() == ["wrong: 2", "error: ValueError: no"]
