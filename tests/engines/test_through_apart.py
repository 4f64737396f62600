"""Tasks through engines that leave things in a process: each in a program of its own.

Bound: each program ends within 100 s on a loaded machine of two processors; memory 1 GB (Ray).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engines.programs import run

if TYPE_CHECKING:
    from pathlib import Path

CASES = [("dask", "adaptive")]


@pytest.mark.alone
@pytest.mark.parametrize(("kind", "deed"), CASES)
def test_tasks_through_an_engine(kind: str, deed: str, tmp_path: Path) -> None:
    """What holds in each case is said by the function of this name in the program."""
    run(tmp_path, "through_program.py", kind, deed)
