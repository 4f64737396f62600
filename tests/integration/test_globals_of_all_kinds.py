"""A program with globals of about 200 kinds says in a worker what it says in a forked process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

PROGRAM = Path(__file__).with_name("programs") / "globals_of_all_kinds.py"
#: What belongs to its process, by function: one error that names the variable.
CANNOT_TRAVEL: Final = {
    "t_lock": "'lock'",
    "t_event": "'event'",
    "t_sem": "'sem'",
    "t_queue": "'q'",
    "t_squeue": "'sq'",
    "t_devnull": "'devnull'",
    "t_cv": "'cv'",
    "t_weak": "'wd'",
    "t_gen": "'gen'",
    "t_tf": "'tf'",
    "t_sqlite": "'con'",
    "t_lockin": "'li'",
    "t_tl": "'thread_local'",
}


def test_workers_say_what_forked_processes_say() -> None:
    """Or there is an error at the call that says which variable cannot travel, and what to do."""
    pytest.importorskip("numpy")
    command = [sys.executable, PROGRAM]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) > 50
    different = {name: (there, here) for name, there, here in rows if there != here}
    for name, variable in CANNOT_TRAVEL.items():
        there, here = different.pop(name)
        assert here.startswith(f"UnpicklableError: {variable} ")
        assert "inside the function" in here or "make a list of it" in here
        assert not there.startswith("UnpicklableError")
    assert different == {}
