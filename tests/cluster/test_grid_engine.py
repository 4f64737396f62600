"""Pools on a real Grid Engine, which forgets a job the moment that it is over."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from cluster.programs import Programs, command
from support import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from cluster.grid_engine import GridEngine


def test_workers_come_with_work_and_leave_without(
    grid_engine: GridEngine, state: Path, programs: Programs
) -> None:
    job = programs.job(40, 0.5)
    scaling = programs.scale("--sge", "-pe smp 2", "--max", "3")
    wait_until(lambda: grid_engine.jobs("r"), 60, scaling.told)
    wait_until(lambda: " with 2 workers" in command("show", programs.label).stdout, 60)
    assert job.wait(120) == 0, job.told + scaling.told
    assert scaling.wait(60) == 0, scaling.told
    wait_until(lambda: not grid_engine.jobs(), 60, "all jobs have ended")


def test_a_start_that_fails_is_said_and_is_no_loop(
    grid_engine: GridEngine, state: Path, programs: Programs
) -> None:
    programs.job(4, 0.1)
    scaling = programs.scale("--sge", "", "--python", "/no/such/python", "--max", "20")
    wait_until(lambda: "ended before a worker joined" in scaling.err, 120, scaling.told)
    assert "/no/such/python" in scaling.err
    assert scaling.err.count("submitted") == 1
    assert "/no/such/python" in command("show", programs.label).stdout


def test_what_waits_is_taken_back_with_the_job(
    grid_engine: GridEngine, state: Path, programs: Programs
) -> None:
    job = programs.job(4, 0.1)
    scaling = programs.scale("--sge", "-pe smp 99")
    wait_until(lambda: grid_engine.jobs("qw"), 60, scaling.told)
    (pool,) = json.loads(command("show", programs.label, "--json").stdout)["pools"]
    assert [each["name"] for each in pool["jobs"]] == grid_engine.jobs("qw")
    job.kill()
    assert scaling.wait(120) == 0, scaling.told
    wait_until(lambda: not grid_engine.jobs(), 60, "it is taken back")


def test_a_refused_submission_is_said_in_its_own_words(
    grid_engine: GridEngine, state: Path, programs: Programs
) -> None:
    programs.job(4, 0.1)
    scaling = programs.scale("--sge", "-pe nosuch 2")
    wait_until(lambda: "qsub refused" in scaling.err, 60, scaling.told)
    assert "nosuch" in scaling.err
    assert not grid_engine.jobs()


def test_a_job_in_error_does_not_stay_in_the_queue(
    grid_engine: GridEngine, state: Path, programs: Programs
) -> None:
    """Its output has nowhere to go: Grid Engine keeps it, in state Eqw, until it is deleted."""
    programs.job(4, 0.1)
    scaling = programs.scale("--sge", "-o /no/such/folder/out -j y", "--max", "1")
    wait_until(lambda: "ended before a worker joined" in scaling.err, 120, scaling.told)
    scaling.process.terminate()
    assert scaling.wait(60) == 0, scaling.told
    wait_until(lambda: not grid_engine.jobs(), 60, "nothing is left in the queue")
