"""The other Python is another one, and can run the project."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

IMPORTS = """
import json, sys
import cloudpickle, cryptography, msgpack, msgspec, Pyro5.api, serpent
import masterworker
print(json.dumps([sys.version_info[:2], sys.executable, masterworker.__file__]))
"""


def test_it_is_another_one_with_all_that_the_project_needs(other_python: Path) -> None:
    told = subprocess.run(
        [other_python, "-c", IMPORTS], capture_output=True, check=True, timeout=60
    )
    version, executable, package = json.loads(told.stdout)
    assert tuple(version) != sys.version_info[:2]
    assert executable == str(other_python)
    assert package.endswith("src/masterworker/__init__.py")


def test_it_runs_the_command(other_python: Path) -> None:
    command = [other_python, "-m", "masterworker.cli", "--version"]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout.startswith("masterworker ")
