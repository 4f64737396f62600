"""What type checkers say of programs that use the package: right ones, and ones with mistakes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SOURCE = HERE.parent.parent / "src"
MARK = "# wrong"
LONGEST = 110.0


def marked() -> set[int]:
    """The lines of wrong.py that have a mark."""
    lines = (HERE / "wrong.py").read_text().splitlines()
    return {number for number, line in enumerate(lines, 1) if line.endswith(MARK)}


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST, check=False)
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    return done.stdout


def mypy(name: str, folder: Path) -> dict[int, str]:
    """What it says, by line."""
    pytest.importorskip("mypy", reason="mypy is not installed: see the extra `dev`")
    said = run(
        *(sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={folder}"),
        str(HERE / name),
    )
    found = re.findall(rf"{name}:(\d+): error: (.*)", said)
    assert found or "Success" in said, said
    return {int(line): message for line, message in found}


def pyright(name: str, folder: Path) -> dict[int, str]:
    """The same."""
    pytest.importorskip("basedpyright", reason="basedpyright is not installed: see the extra `dev`")
    settings = {
        "typeCheckingMode": "strict",
        "include": [str(HERE / name)],
        "extraPaths": [str(SOURCE)],
        "reportPrivateUsage": False,
    }
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    said = run(
        *(sys.executable, "-m", "basedpyright", "--outputjson", "-p", str(folder)),
        *("--pythonpath", sys.executable),
    )
    found = json.loads(said)["generalDiagnostics"]
    return {
        each["range"]["start"]["line"] + 1: each["message"]
        for each in found
        if each["severity"] == "error"
    }


@pytest.mark.parametrize("check", [mypy, pyright])
def test_programs_without_mistakes(check, tmp_path: Path) -> None:
    """Nothing is said of them."""
    assert check("right.py", tmp_path) == {}


@pytest.mark.parametrize("check", [mypy, pyright])
def test_each_mistake_is_found(check, tmp_path: Path) -> None:
    """In its line, and nothing else."""
    assert set(check("wrong.py", tmp_path)) == marked()
