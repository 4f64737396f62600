"""Tasks through engines that leave things in a process: each engine in a program of its own.

Bound: each program ends within 100 s on a loaded machine of two processors; memory 1 GB (Ray).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engines.programs import run

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = "through_program.py"
#: What holds in each case is said by the functions of these names in the program.
CASES = {
    "pool": ["interrupted"],
    "pools": ["shower"],
    "loky": ["interrupted", "shower"],
    "dask": ["shower", "interrupted", "adaptive"],
    "separate": ["unchanged", "killed_nanny"],
    "ray": ["unchanged", "shower", "interrupted"],
    "mpi": ["shower"],
}


@pytest.mark.alone
@pytest.mark.timeout(400)
@pytest.mark.parametrize("kind", CASES)
def test_tasks_through_an_engine(kind: str, tmp_path: Path) -> None:
    run(tmp_path, PROGRAM, kind, *CASES[kind])


@pytest.mark.alone
@pytest.mark.search
@pytest.mark.timeout(400)
@pytest.mark.parametrize("kind", [kind for kind in CASES if "shower" in CASES[kind]])
def test_a_rain_of_kills(kind: str, tmp_path: Path) -> None:
    """20 kills beside 1,000 tasks: none lost, none twice, never more at one time than slots."""
    run(tmp_path, PROGRAM, kind, "rain")
