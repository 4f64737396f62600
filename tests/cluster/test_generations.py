"""Jobs that are shorter than the work: one generation follows the other, and nothing is lost."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from cluster.programs import WORK, Programs, command
from support import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from cluster.slurm import Slurm

pytestmark = [
    pytest.mark.search,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        os.environ.get("MASTERWORKER_CLUSTER") != "all",
        reason="takes 10 minutes: MASTERWORKER_CLUSTER=all",
    ),
]

#: Tasks that take 1 to 5 s; what has become of them is in the last line.
JOB = f"""{WORK}
import json, random
from masterworker import Master

spans = [random.Random(k).uniform(1.0, 5.0) for k in range(number)]
with Master(label, host=host) as master:
    print("began", flush=True)
    where = list(master.map(work, spans))
    stood = master.status()
    print(json.dumps([len(where), len(set(where)), stood.snapshot.failed, stood.snapshot.repeated,
                      stood.snapshot.lost]), flush=True)
"""


def test_jobs_of_a_minute_each(slurm: Slurm, state: Path, programs: Programs) -> None:
    """A worker knows when its job ends, and takes only what fits."""
    job = programs.job(200, 0, JOB)
    scaling = programs.scale("--slurm", "-c 2 --time=1:00", "--max", "2")
    assert job.wait(500) == 0, job.told + scaling.told
    done, jobs, failed, repeated, lost = json.loads(job.out.splitlines()[-1])
    assert (done, failed, repeated, lost) == (200, 0, 0, 0), job.told
    assert jobs >= 6
    assert "was lost" not in job.err
    assert scaling.wait(60) == 0, scaling.told


@pytest.mark.parametrize("how", ["scancel", "requeue", "preempt"])
def test_jobs_that_are_taken_away_again_and_again(
    slurm: Slurm, state: Path, programs: Programs, how: str
) -> None:
    job = programs.job(60, 0, JOB)
    scaling = programs.scale("--slurm", "-c 2 --time=10:00 --requeue", "--max", "6")
    for _ in range(3):
        wait_until(lambda: _busy(programs.label) > 1 or job.process.poll() is not None, 240)
        if job.process.poll() is not None:
            break
        mine = slurm.jobs("RUNNING")[0]
        match how:
            case "scancel":
                slurm.run("scancel", mine)
            case "requeue":
                slurm.run("scontrol", "requeue", mine)
            case "preempt":
                urgent = slurm.run(
                    "sbatch",
                    "--parsable",
                    "-p",
                    "urgent",
                    "-c",
                    "8",
                    "--nodes=2",
                    "--ntasks=2",
                    "--wrap",
                    "sleep 3",
                    "--output=/dev/null",
                ).strip()
                wait_until(lambda job=urgent: job not in slurm.jobs(), 240)
    assert job.wait(500) == 0, job.told + scaling.told
    done, _, failed, _, _ = json.loads(job.out.splitlines()[-1])
    assert (done, failed) == (60, 0)


def _busy(label: str) -> int:
    shown = command("show", label, "--json").stdout
    return json.loads(shown)["snapshot"]["busy_workers"] if shown else 0
