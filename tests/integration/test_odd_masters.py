"""Programs whose processes are odd: with templates as without, and no process is left."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from integration.programs.odd_masters import CLONE, WAYS

if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAM = Path(__file__).parent / "programs" / "odd_masters.py"
#: One program at a time takes no longer, unless it hangs (seconds).
BOUND = 100.0


def output_of(way: str, folder: Path, *, template: bool, prefix: Sequence[str] = ()) -> str:
    folder.mkdir()
    variables = {**os.environ, "MASTERWORKER_TEMPLATE": "1" if template else "0"}
    done = subprocess.run(
        [*prefix, sys.executable, str(PROGRAM), way],
        capture_output=True,
        text=True,
        timeout=BOUND,
        check=False,
        env=variables,
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout


@pytest.mark.parametrize("way", WAYS)
def test_a_program_prints_the_same_either_way(way: str, tmp_path: Path) -> None:
    if way in {"refused", "without_processes"} and os.uname().machine not in CLONE:
        pytest.skip("the number of the system call is not known here")
    fork = output_of(way, tmp_path / "fork", template=True)
    program = output_of(way, tmp_path / "program", template=False)
    assert fork == program
    assert fork.count("left []") == 1


def test_the_first_process_of_a_container(tmp_path: Path) -> None:
    """It gets each orphan of the container, and ignores signals that it does not handle."""
    prefix = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
    if shutil.which("unshare") is None or os.geteuid() != 0:
        pytest.skip("containers need root and the command `unshare`")
    if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine makes no containers")
    fork = output_of("work", tmp_path / "fork", template=True, prefix=prefix)
    program = output_of("work", tmp_path / "program", template=False, prefix=prefix)
    assert fork == program
    assert fork.count("left []") == 1
