"""Random numbers at the command line: replayed calls draw them again, explain tells them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from e2e.desk import until
from e2e.replaying import replay
from masterworker import failed

if TYPE_CHECKING:
    from e2e.desk import Desk

np = pytest.importorskip("numpy")

JOB = """
from gate import say, wait_for
from masterworker import Master, task_rng

class Odd(Exception):
    pass

def fail(x):
    raise Odd(int(task_rng().integers(1 << 62)))

with Master(LABEL, workers=1) as master:
    for submitter in master, master.options(seed=42):
        try:
            submitter.submit(fail, 1).result(60)
        except Odd as error:
            print(error)
    print(len([e for e in master.map(fail, [1, 2], seed=7, return_errors=True)]), flush=True)
    say("drawn")
    wait_for("end")
"""


def test_a_replayed_call_draws_the_same_numbers(desk: Desk) -> None:
    """With a seed or without one; and while the job runs, explain tells how to draw them."""
    job = desk.python("job.py", JOB)
    desk.reach("drawn")
    fresh, seeded = job.lines[:2]
    until(lambda: len(failed.saved(desk.label)) == 4, "the failed calls are kept")
    told = desk.command("explain", desk.label, "@fail_1").good().out
    assert "its random numbers: seed 42, key (0,)" in told
    told = desk.command("explain", desk.label, "@fail_3").good().out
    assert "its random numbers: seed 7, key (1,)" in told
    told = desk.command("explain", desk.label, "@fail_0").good().out
    seed = int(told.partition("its random numbers: seed ")[2].partition(",")[0])
    sequence = np.random.SeedSequence(seed, spawn_key=(0,))
    assert int(np.random.default_rng(sequence).integers(1 << 62)) == int(fresh)
    for task, number in (("@fail_0", fresh), ("@fail_1", seeded)):
        again = replay(desk, task)
        assert again.status() == 1
        assert again.err.splitlines()[-1].endswith(f"Odd: {number}")
    (desk.folder / "end").touch()
    job.good()
