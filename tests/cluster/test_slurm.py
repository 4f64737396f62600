"""Pools on a real Slurm: jobs come with work, join, leave, fail, and are never left behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from typing import TYPE_CHECKING

import psutil
import pytest

from cluster.programs import JOB, WORK, Programs, command
from masterworker.pools import Slurm as SlurmPool
from masterworker.pools.systems.choice import system_of
from support import python_script, run_script, unique_label, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from cluster.slurm import Slurm


#: Jobs wait in queues.
pytestmark = pytest.mark.timeout(400)


def test_workers_come_with_work_and_leave_without(
    slurm: Slurm, state: Path, programs: Programs
) -> None:
    job = programs.job(40, 0.5)
    scaling = programs.scale("--slurm", "-c 2 --time=10:00", "--max", "3")
    assert job.wait(120) == 0, job.told + scaling.told
    assert "40 tasks in" in job.out
    assert scaling.wait(60) == 0, scaling.told
    wait_until(lambda: not slurm.jobs(), 60, "all jobs have ended")
    assert "submitted Slurm job" in scaling.err


def test_a_program_says_it_itself(slurm: Slurm, state: Path, address: str, tmp_path: Path) -> None:
    source = (
        WORK
        + """
from masterworker.pools import Slurm

slurm = Slurm("-c 2 --time=10:00", max=2)
with Master(label, host=host, workers=[1, slurm]) as master:
    where = list(master.map(work, [seconds] * number))
    print(len(where), "" in where, len(set(where) - {""}))
"""
    )
    done = run_script(
        python_script(tmp_path, "job.py", source),
        unique_label("slurm"),
        address,
        "40",
        "0.5",
        timeout=120,
    )
    number, here, jobs = done.out.split()
    assert (number, here) == ("40", "True")
    assert int(jobs) >= 1
    wait_until(lambda: not slurm.jobs(), 60, "all jobs have ended")


def test_what_cannot_start_is_an_error_of_the_program(
    slurm: Slurm, state: Path, tmp_path: Path
) -> None:
    """A master that no node can reach: nothing is submitted."""
    source = """
import sys
from masterworker import Master
from masterworker.pools import Slurm
Master(sys.argv[1], workers=Slurm("-c 2"))
"""
    before = slurm.jobs("all")
    done = run_script(python_script(tmp_path, "job.py", source), unique_label("slurm"), status=1)
    assert "UsageError: this master is reached from this machine only" in done.err
    assert "has ended with status" not in done.err, "one clear error"
    assert set(slurm.jobs("all")) <= set(before)


def test_starts_that_fail_pause_the_pool_and_say_why(
    slurm: Slurm, state: Path, programs: Programs
) -> None:
    programs.job(4, 0.1)
    before = len(slurm.jobs("all"))
    scaling = programs.scale("--slurm", "-c 1", "--python", "/no/such/python", "--max", "20")
    wait_until(lambda: "is paused" in scaling.err, 120, scaling.told)
    assert "/no/such/python" in scaling.err
    assert len(slurm.jobs("all")) - before == 3
    shown = command("show", programs.label)
    assert "paused: 3 jobs in a row ended before a worker joined" in shown.stdout, shown
    (pool,) = json.loads(command("show", programs.label, "--json").stdout)["pools"]
    assert (pool["failed"], pool["jobs"]) == (3, [])
    assert "task_manager scale" in scaling.err

    assert command("scale", programs.label, "--resume").returncode == 0
    wait_until(lambda: len(slurm.jobs("all")) - before > 3, 60, "it goes on")


def test_what_can_never_run_is_shown_and_taken_back(
    slurm: Slurm, state: Path, programs: Programs
) -> None:
    job = programs.job(4, 0.1)
    scaling = programs.scale("--slurm", "-c 99")
    wait_until(
        lambda: "PartitionConfig" in command("show", programs.label).stdout, 60, scaling.told
    )
    assert len(slurm.jobs("PENDING")) == 1
    assert "1 pending (PartitionConfig" in command("explain", programs.label, "1").stdout
    (ticket,) = state.glob("pools/*/ticket")
    job.process.send_signal(signal.SIGINT)
    job.wait(60)
    assert scaling.wait(60) == 0, scaling.told
    assert not slurm.jobs()
    assert not ticket.exists()  # a job that began late would end at once


def test_a_refused_submission_is_said_in_its_own_words(
    slurm: Slurm, state: Path, programs: Programs
) -> None:
    programs.job(4, 0.1)
    scaling = programs.scale("--slurm", "-p nosuch")
    wait_until(lambda: "sbatch refused" in scaling.err, 60, scaling.told)
    assert "invalid partition" in scaling.err
    assert "invalid partition" in command("show", programs.label).stdout
    assert not slurm.jobs()


@pytest.mark.parametrize("which", ["both", "master"])
def test_nothing_waits_for_a_job_that_was_killed(
    slurm: Slurm, state: Path, programs: Programs, which: str
) -> None:
    job = programs.job(4, 0.1)
    scaling = programs.scale("--slurm", "-c 99")
    wait_until(lambda: slurm.jobs("PENDING"), 60, scaling.told)
    (mine,) = slurm.jobs("PENDING")
    other = slurm.run("sbatch", "--parsable", "-c", "99", "--wrap", "sleep 1").strip()
    if which == "both":
        wait_until(lambda: mine in _kept(state), 30, "its id is kept")
        scaling.kill()
    job.kill()
    if which == "both":
        shown = command("show", programs.label)
        assert f"took back Slurm jobs of {programs.label!r}: {mine}" in shown.stderr, shown
    else:
        assert scaling.wait(90) == 0, scaling.told
    wait_until(lambda: slurm.jobs("PENDING") == [other], 30, "only ours is taken back")


def _kept(state: Path) -> str:
    return "".join(path.read_text() for path in state.glob("pools/*/pools"))


def test_no_secret_is_where_others_look(slurm: Slurm, state: Path, programs: Programs) -> None:
    job = programs.job(400, 0.1)
    scaling = programs.scale("--slurm", "-c 2")
    wait_until(lambda: slurm.jobs("RUNNING"), 60, scaling.told)
    (mine,) = slurm.jobs("RUNNING")
    (ticket,) = state.glob("pools/*/ticket")
    assert ticket.stat().st_mode & 0o777 == 0o600
    assert ticket.parent.stat().st_mode & 0o777 == 0o700
    secret = ticket.read_text().strip()
    assert secret.startswith("mw1.")
    secret = secret[4:200]
    seen = [
        slurm.run("scontrol", "show", "job", mine),
        slurm.run("scontrol", "write", "batch_script", mine, "-"),
    ]
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            seen += process.cmdline()
            seen += process.environ().values()
    seen += [path.read_text(errors="replace") for path in state.glob("pools/*/job-*")]
    seen += [scaling.err, scaling.out, job.err, job.out]
    seen.append(command("scale", programs.label, "--slurm", "-c 2", "--dry-run").stdout)
    assert not any(secret in each for each in seen)
    assert "exec " in seen[-1]


def test_a_task_in_hand_is_finished_when_the_time_of_a_job_is_up(
    slurm: Slurm, state: Path, programs: Programs
) -> None:
    """As at the end of its time: Slurm signals the job, and ends it later."""
    source = (
        WORK
        + """
with Master(label, host=host) as master:
    print("began", flush=True)
    future = master.submit(work, seconds)
    print("result", future.result(), flush=True)
"""
    )
    job = programs.job(1, 5.0, source)
    scaling = programs.scale("--slurm", "-c 1", "--max", "1")
    wait_until(lambda: _is_busy(programs.label), 60, scaling.told)
    (mine,) = slurm.jobs("RUNNING")
    slurm.run("scancel", "--signal=TERM", "--batch", mine)
    assert job.wait(60) == 0, job.told
    assert f"result {mine}" in job.out  # the first job has finished it, no other one


def _is_busy(label: str) -> bool:
    shown = command("show", label, "--json").stdout
    return bool(shown) and json.loads(shown)["snapshot"]["busy_workers"] > 0


def test_a_job_that_is_queued_again_loses_nothing(
    slurm: Slurm, state: Path, programs: Programs
) -> None:
    job = programs.job(60, 0.5)
    scaling = programs.scale("--slurm", "-c 2 --requeue", "--max", "2")
    wait_until(lambda: _is_busy(programs.label), 60, scaling.told)
    mine = slurm.jobs("RUNNING")[0]
    slurm.run("scontrol", "requeue", mine)
    assert job.wait(180) == 0, job.told + scaling.told
    assert "60 tasks in" in job.out


def test_two_processes_do_not_scale_one_job(slurm: Slurm, state: Path, programs: Programs) -> None:
    programs.job(400, 0.1)
    scaling = programs.scale("--slurm", "-c 1", "--max", "1")
    wait_until(slurm.jobs, 60, scaling.told)
    second = command("scale", programs.label, "--slurm", "-c 1")
    assert second.returncode == 2
    assert "another process scales" in second.stderr


def test_jobs_join_the_next_run_of_a_master_with_a_journal(
    slurm: Slurm, state: Path, programs: Programs, tmp_path: Path
) -> None:
    """What runs comes back, and what waits in the queue is given a ticket of the new run."""
    source = JOB.replace("host=host", f"host=host, journal={str(tmp_path / 'a.journal')!r}")
    job = programs.job(60, 1.0, source)
    scaling = programs.scale("--slurm", "-c 2 --time=10:00", "--max", "2")
    wait_until(lambda: _is_busy(programs.label), 60, scaling.told)
    job.kill()
    again = programs.job(60, 1.0, source)
    assert again.wait(180) == 0, again.told + scaling.told
    assert "60 tasks in" in again.out
    assert scaling.wait(60) == 0, scaling.told
    wait_until(lambda: not slurm.jobs(), 60, "all jobs have ended")


def test_only_jobs_that_still_wait_are_taken_back(slurm: Slurm, tmp_path: Path) -> None:
    """One may have begun since the queue was asked."""
    script = tmp_path / "job.sh"
    script.write_text("#!/bin/sh\nsleep 1000\n")
    submit = ("sbatch", "--parsable", "--output=/dev/null")
    runs = slurm.run(*submit, str(script)).strip()
    waits = slurm.run(*submit, "--begin=now+1hour", str(script)).strip()
    slurm.wait_for(lambda: slurm.jobs("RUNNING") == [runs])
    slurm.run(*system_of(SlurmPool("")).cancel([runs, waits]))
    slurm.wait_for(lambda: slurm.jobs() == [runs])


def test_filters_of_the_users_own_hide_no_job(
    slurm: Slurm, state: Path, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that squeue does not list would be taken for one that is gone."""
    monkeypatch.setenv("SQUEUE_PARTITION", "urgent")
    monkeypatch.setenv("SQUEUE_STATES", "RUNNING")
    programs.job(100_000, 1)
    scaling = programs.scale("--slurm", "-c 2 --begin=now+1hour", "--max", "1")
    shown = ""

    def says_why() -> bool:
        nonlocal shown
        shown = command("show", programs.label).stdout
        return "BeginTime" in shown

    wait_until(says_why, 60, scaling.told)


def test_what_is_left_is_taken_back_later_where_slurm_does_not_answer(
    slurm: Slurm, state: Path, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = programs.job(100_000, 1)
    scaling = programs.scale("--slurm", "-c 2 --begin=now+1hour", "--max", "1")
    wait_until(slurm.jobs, 60, scaling.told)
    wait_until(lambda: "pending" in command("show", programs.label).stdout, 60, scaling.told)
    scaling.kill()
    job.kill()
    with monkeypatch.context() as broken:
        broken.setenv("SLURM_CONF", "/no/such/file")
        assert "may still wait" in command("show", programs.label).stderr
    assert slurm.jobs()
    assert "took back" in command("show", programs.label).stderr
    wait_until(lambda: not slurm.jobs(), 60, "it is taken back")


@pytest.mark.parametrize("journal", [False, True])
def test_a_program_that_was_killed_begins_again_at_once(
    slurm: Slurm, state: Path, programs: Programs, tmp_path: Path, *, journal: bool
) -> None:
    """What scales its first run makes room for the second, which has the jobs that still wait."""
    source = f"""{WORK}
from masterworker.pools import Slurm

slurm = Slurm("-c 2 --begin=now+1hour", max=2)
journal = {str(tmp_path / "journal") if journal else None!r}
with Master(label, host=host, workers=[1, slurm], journal=journal) as master:
    if not (forked := os.fork()):
        time.sleep(1000)
    print("began", forked, flush=True)
    list(master.map(work, [seconds] * number))
"""
    first = programs.job(100_000, 1, source)
    wait_until(slurm.jobs, 60, first.told)
    jobs = slurm.jobs()
    forked = int(first.out.split()[-1])  # it keeps open what it has of its parent
    first.kill()
    assert psutil.pid_exists(forked)
    second = programs.job(3, 0.1, source)
    assert second.wait(120) == 0, second.told
    for each in (forked, int(second.out.split()[1])):
        os.kill(each, signal.SIGKILL)
    assert "another process" not in second.err
    assert "Fatal" not in second.err
    wait_until(lambda: not slurm.jobs(), 60, "all jobs have ended")
    assert jobs


def test_a_job_ends_long_before_its_program(
    slurm: Slurm, state: Path, address: str, tmp_path: Path
) -> None:
    """A notebook goes on: what scales ends in good order, and a second job has one, too."""
    source = f"""{WORK}
import subprocess
from masterworker.pools import Slurm

for _ in range(2):
    slurm = Slurm("-c 2 --begin=now+1hour", max=2)
    with Master(label, host=host, workers=[1, slurm]) as master:
        list(master.map(work, [seconds] * number))
import psutil
psutil.wait_procs(psutil.Process().children(), 60)
print([each.name() for each in psutil.Process().children()])
"""
    path = python_script(tmp_path, "job.py", source)
    done = run_script(path, unique_label("slurm"), address, "40", "0.1", timeout=200)
    assert done.out.strip() == "[]"
    assert "Fatal" not in done.err
    assert "status" not in done.err
    assert not slurm.jobs()


def test_the_end_of_its_terminal_leaves_nothing_in_the_queue(
    slurm: Slurm, state: Path, programs: Programs
) -> None:
    programs.job(100_000, 1)
    scaling = programs.scale("--slurm", "-c 2 --begin=now+1hour", "--max", "1")
    wait_until(lambda: "submitted" in scaling.err, 60, scaling.told)
    scaling.process.send_signal(signal.SIGHUP)
    assert scaling.wait(60) == 0, scaling.told
    wait_until(lambda: not slurm.jobs(), 60, "it is taken back")


def test_an_id_is_noted_before_the_queue_is_asked(
    slurm: Slurm, state: Path, programs: Programs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A queue command may take long; what is killed meanwhile leaves no job that is not known."""
    asked = tmp_path / "asked"
    squeue = tmp_path / "bin" / "squeue"
    squeue.parent.mkdir()
    squeue.write_text(f"#!/bin/sh\n: > {asked}\nexec sleep 15\n")
    squeue.chmod(0o755)
    path = os.environ["PATH"]
    job = programs.job(100_000, 1)
    with monkeypatch.context() as slow:
        slow.setenv("PATH", f"{squeue.parent}:{path}")
        scaling = programs.scale("--slurm", "-c 2 --begin=now+1hour", "--max", "1")
        wait_until(asked.exists, 60, scaling.told)
        scaling.kill()
    job.kill()
    assert "took back" in command("show", programs.label).stderr
    wait_until(lambda: not slurm.jobs(), 60, "it is taken back")


def test_the_ticket_is_shown_nowhere(slurm: Slurm, state: Path, programs: Programs) -> None:
    """Neither to those who list processes nor to those who ask Slurm; not in scripts and logs."""
    programs.job(100_000, 1)
    scaling = programs.scale("--slurm", "-c 2", "--max", "1")
    wait_until(lambda: " with 2 workers" in command("show", programs.label).stdout, 60)
    (ticket,) = state.rglob("ticket")
    assert ticket.stat().st_mode & 0o777 == 0o600
    secret = ticket.read_text().strip()
    seen = [slurm.run("scontrol", "show", "job", "-dd"), scaling.told]
    (job,) = slurm.jobs()
    seen.append(slurm.run("scontrol", "write", "batch_script", job, "-"))
    assert "--ticket" in seen[-1]
    seen += [path.read_text() for path in state.rglob("*") if path.is_file() and path != ticket]
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            seen += [*process.cmdline(), *process.environ().values()]
    parts = [secret, *(part for part in secret.replace(":", ".").split(".") if len(part) > 24)]
    assert not [text for text in seen for part in parts if part in text]


def test_a_job_of_two_nodes_has_workers_on_both(
    slurm: Slurm, state: Path, programs: Programs
) -> None:
    """One supervisor on each; they are one job of the pool."""
    source = JOB.replace('"SLURM_JOB_ID", ""', '"SLURMD_NODENAME", ""')
    job = programs.job(60, 0.5, source)
    scaling = programs.scale("--slurm", "-c 2 --time=10:00", "--nodes", "2", "--max", "1")
    wait_until(lambda: "with 4 workers" in command("show", programs.label).stdout, 60, scaling.told)
    assert job.wait(120) == 0, job.told + scaling.told
    assert "60 tasks in 2 jobs" in job.out  # which are the nodes here
    assert scaling.wait(60) == 0, scaling.told
    wait_until(lambda: not slurm.jobs(), 60, "the job has ended")
