"""Commands of batch systems that are slow, complain, or hear what was meant for the user's own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import psutil
import pytest

from masterworker.pools import GridEngine, Slurm, commands
from masterworker.pools.commands import CommandError, environment, listing, run
from masterworker.pools.driver import _answer
from masterworker.pools.keeping import KeptPool, encode
from masterworker.pools.leftovers import _is_of
from support import wait_until

if TYPE_CHECKING:
    from pathlib import Path


def _program(tmp_path: Path, text: str) -> str:
    path = tmp_path / "mystat"
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_what_it_has_started_is_ended_with_it(tmp_path: Path) -> None:
    """As a wrapper of a site starts the command itself."""
    mark = tmp_path / "pid"
    wrapper = _program(tmp_path, f"sleep 1000 & echo $! > {mark}; wait")
    with pytest.raises(CommandError, match="has not answered within"):
        run([wrapper], 3.0)
    pid = int(mark.read_text())
    wait_until(lambda: not psutil.pid_exists(pid) or _is_dead(pid), 60, "it has been ended")


def _is_dead(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_an_id_is_read_also_of_a_command_that_does_not_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else there would be a job that nothing knows, and soon one more."""
    program = _program(tmp_path, "echo 17; sleep 1000")
    monkeypatch.setattr(commands.run, "__defaults__", (3.0,))
    assert _answer([program]) == "17\n"
    silent = _program(tmp_path, "sleep 1000")
    with pytest.raises(CommandError, match="has not answered"):
        _answer([silent])


def test_a_job_that_is_forgotten_hides_no_others(tmp_path: Path) -> None:
    """PBS and LSF list those that they know, and exit with an error for those they do not."""
    program = _program(tmp_path, "echo known; echo 'qstat: Unknown Job Id 5.server' >&2; exit 153")
    assert listing([program], 60.0) == "known\n"
    program = _program(tmp_path, "echo half; echo 'cannot connect to server' >&2; exit 1")
    with pytest.raises(CommandError, match="cannot connect"):
        listing([program], 60.0)


def test_what_the_user_has_set_for_commands_that_are_typed_is_not_for_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Filters would hide jobs, which would then be replaced; another format of times is unread."""
    hidden = ["SQUEUE_PARTITION", "SQUEUE_STATES", "SCANCEL_INTERACTIVE", "SLURM_TIME_FORMAT"]
    hidden += ["SBATCH_ARRAY_INX", "SBATCH_WAIT", "SLURM_JOB_ID", "SLURM_MEM_PER_CPU"]
    for name in hidden:
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("SLURM_CONF", "/etc/x")
    monkeypatch.setenv("SBATCH_PARTITION", "cpu")
    monkeypatch.setenv("SBATCH_CLUSTERS", "other")
    mine = environment()
    assert not set(hidden) & set(mine)
    assert mine["SLURM_CONF"] == "/etc/x"
    assert mine["SBATCH_PARTITION"] == "cpu"
    assert mine["SLURM_CLUSTERS"] == "other", "jobs are looked for where they are"
    assert mine["PATH"] == os.environ["PATH"]


def test_ids_of_one_system_are_not_those_of_another() -> None:
    """Else a job of the user's own, which has this number there, would be taken back."""
    slurm, other = Slurm("", name="x"), GridEngine("", name="x")
    kept = KeptPool("x", "Slurm", 0, 1, [], pool=encode(slurm))
    assert _is_of(kept, slurm)
    assert not _is_of(kept, other)
    assert not _is_of(KeptPool("x", "Slurm", 0, 1, []), slurm)
