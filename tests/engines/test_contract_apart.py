"""The contract for engines that leave things in a process: each in a program of its own.

Bound: 300 s each on a loaded machine of two processors, of which Ray and Dask start for 10 s.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from engines.contract_engines import APART, ASKED

CONTRACT = Path(__file__).with_name("test_contract.py")
COMMAND = [sys.executable, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider"]


@pytest.mark.timeout(400)
@pytest.mark.parametrize("kind", APART)
def test_the_contract(kind: str, tmp_path: Path) -> None:
    """Every test of it; `CONTRACT_ENGINE=dask pytest tests/engines/test_contract.py` by hand."""
    told = tmp_path / "told"  # a file: processes of engines may keep it open
    with told.open("w") as file:
        ended = subprocess.run(
            [*COMMAND, f"--basetemp={tmp_path / 'base'}", str(CONTRACT)],
            cwd=CONTRACT.parents[2],
            env={k: v for k, v in os.environ.items() if "PYTEST" not in k} | {ASKED: kind},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            timeout=390,
            check=False,
        )
    said = told.read_text()
    assert ended.returncode == 0, said
    if not (passed := re.search(r"(\d+) passed", said)):
        pytest.skip(f"{kind} is not installed")
    assert int(passed[1]) > 50
