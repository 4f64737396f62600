"""Batch systems: commands from what is asked for, and what recorded answers mean."""

from __future__ import annotations

import shlex

import pytest

from masterworker.errors import UsageError
from masterworker.pools import BatchSystem, Flux, GridEngine, HTCondor, Lsf, Pbs, Pool, Slurm, Ssh
from masterworker.pools.child import check_names
from masterworker.pools.hosts import allocated_port, command, is_noise
from masterworker.pools.systems import scripts
from masterworker.pools.systems.choice import check_options, system_of
from masterworker.pools.systems.system import AnswerError, Entry, State, is_said

EVERY = {
    "slurm": Slurm("-p cpu"),
    "sge": GridEngine("-q all.q"),
    "pbs": Pbs("-q batch"),
    "lsf": Lsf("-q normal"),
    "flux": Flux("-c 4"),
    "condor": HTCondor(["request_cpus=4"]),
    "commands": BatchSystem(
        "-q x",
        submit="mysub -o {output} -N {name} {script}",
        list="mystat {user}",
        cancel="mydel -f {jobs}",
        pattern=r"job (\d+) queued",
    ),
}

#: What a submission printed, the id in it, and what the queue printed then.
ANSWERS = {
    "slurm": (
        "123;cluster\n",
        "123",
        (
            "123|PENDING|Priority|2026-11-30T14:05:00|N/A\n"
            "124|RUNNING|None|2026-11-30T03:23:07|2026-11-30T03:24:07\n"
            "125|NODE_FAIL|None|2026-11-30T03:23:07|2026-11-30T03:24:07\n"
            "126|CANCELLED|None|N/A|N/A\n127|FAILED|NonZeroExitCode|N/A|N/A\n"
        ),
        {
            "123": Entry(State.PENDING, "Priority", "2026-11-30T14:05:00", ""),
            "124": Entry(State.RUNNING, "", "2026-11-30T03:23:07", "2026-11-30T03:24:07"),
            "125": Entry(State.ENDED, "NODE_FAIL", "2026-11-30T03:23:07", "2026-11-30T03:24:07"),
            "126": Entry(State.CANCELLED, "CANCELLED", "", ""),
            "127": Entry(State.FAILED, "FAILED", "", ""),
        },
    ),
    "sge": (
        "77\n",
        "77",
        (
            "job-ID  prior   name       user         state submit/start at     queue   slots\n"
            "-----------------------------------------------------------------------------\n"
            "     77 0.00000 mw-demo    ann          qw    11/30/2026 03:23:07             1\n"
            "     78 0.55500 mw-demo    ann          r     11/30/2026 03:23:07 all.q@n1    1\n"
            "     79 0.55500 mw-demo    ann          Eqw   11/30/2026 03:23:07             1\n"
        ),
        {
            "77": Entry(State.PENDING, "qw"),
            "78": Entry(State.RUNNING, "r"),
            "79": Entry(State.STUCK, "Eqw"),
        },
    ),
    "pbs": (
        "12.server\n",
        "12.server",
        (
            "Job Id: 12.server\n    Job_Name = mw\n    job_state = Q\n"
            "    comment = Not enough cpus\n"
            "\nJob Id: 13.server\n    job_state = R\n\nJob Id: 14.server\n    job_state = F\n"
            "    Exit_status = 1\n"
        ),
        {
            "12.server": Entry(State.PENDING, "Not enough cpus"),
            "13.server": Entry(State.RUNNING, "R"),
            "14.server": Entry(State.FAILED, "F"),
        },
    ),
    "lsf": (
        "Job <5> is submitted to queue <normal>.\n",
        "5",
        "5|PEND|New job is waiting for scheduling;|-\n6|RUN|-|-\n7|EXIT|-|-\n8|DONE|-|-\n",
        {
            "5": Entry(State.PENDING, "New job is waiting for scheduling;", ""),
            "6": Entry(State.RUNNING, "", ""),
            "7": Entry(State.FAILED, "", ""),
            "8": Entry(State.ENDED, "", ""),
        },
    ),
    "flux": (
        "f2EHUv3yX\n",
        "f2EHUv3yX",
        "f2EHUv3yX|SCHED|\nf3|RUN|\nf4|INACTIVE|FAILED\nf5|INACTIVE|CANCELED\n",
        {
            "f2EHUv3yX": Entry(State.PENDING, "SCHED"),
            "f3": Entry(State.RUNNING, "RUN"),
            "f4": Entry(State.FAILED, "INACTIVE"),
            "f5": Entry(State.CANCELLED, "INACTIVE"),
        },
    ),
    "condor": (
        "9.0 - 9.0\n",
        "9",
        "9, 1, undefined\n10, 2, undefined\n11, 5, disk full\n",
        {
            "9": Entry(State.PENDING, ""),
            "10": Entry(State.RUNNING, ""),
            "11": Entry(State.STUCK, "disk full"),
        },
    ),
    "commands": (
        "job 31 queued\n",
        "31",
        "id state\n31 ann PD\n32 ann RUNNING\n33 ann gone\n",
        {"31": Entry(State.PENDING), "32": Entry(State.RUNNING)},
    ),
}


@pytest.mark.parametrize("name", EVERY)
def test_what_is_printed_is_understood(name: str) -> None:
    submitted, job, listed, entries = ANSWERS[name]
    system = system_of(EVERY[name])
    assert system.job_of(submitted) == job
    assert system.entries(listed) == entries
    assert system.entries("") == {}


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("answer", ["", "error: no such partition\n", "\x1b[31m?\n", "0\n" * 0])
def test_an_answer_without_an_id_is_an_error(name: str, answer: str) -> None:
    with pytest.raises(AnswerError, match="printed no id"):
        system_of(EVERY[name]).job_of(answer)


@pytest.mark.parametrize("name", ["slurm", "sge", "lsf", "flux", "condor"])
def test_a_queue_that_prints_garbage_is_an_error(name: str) -> None:
    with pytest.raises(AnswerError):
        system_of(EVERY[name]).entries("Socket timed out on send/recv operation")


@pytest.mark.parametrize("name", EVERY)
def test_words_stay_words(name: str) -> None:
    """No shell reads what the user did not write for one."""
    system, pool = system_of(EVERY[name]), EVERY[name]
    nasty = "/tmp/a b;$(touch x)'\"\n"
    submit = system.submit(pool, nasty, "mw-demo", "/tmp/out")
    assert sum(nasty in word for word in submit) == 1
    script = scripts.text(pool, ["py thon", "-c", "$(touch x)"])
    last = script.strip().splitlines()[-1]
    assert shlex.split(last)[-3:] == ["py thon", "-c", "$(touch x)"]
    for job in ("1", "2"):
        assert job in system.cancel(["1", "2"])


@pytest.mark.parametrize("name", EVERY)
def test_options_of_the_user_are_not_changed(name: str) -> None:
    pool = EVERY[name]
    submit = system_of(pool).submit(pool, "s.sh", "mw-demo", "o.txt")
    start = submit.index(pool.options[0])
    assert tuple(submit[start : start + len(pool.options)]) == pool.options


def test_slurm_adds_only_what_is_not_said() -> None:
    def added(options: str) -> str:
        pool = Slurm(options)
        return " ".join(system_of(pool).submit(pool, "s.sh", "mw", "o"))

    assert added("") == (
        "sbatch --parsable --job-name=mw --output=o --no-requeue --signal=B:TERM@60 s.sh"
    )
    assert "--output=/a%%j/o" in system_of(Slurm("")).submit(Slurm(""), "s.sh", "mw", "/a%j/o")
    said = "--requeue -J mine -o mine.txt --signal=B:USR1@10"
    assert added(said) == f"sbatch --parsable {said} s.sh"
    # Notice can come a minute early: a short job would be ended by it at once.
    for short in ("--time=1:00", "-t 5", "-t2:30", "--time 0:04:00"):
        assert "--signal" not in added(short)
    for long in ("--time=1:00:00", "-t 60", "--time=1-0", "-t UNLIMITED", "-p cpu"):
        assert "--signal=B:TERM@60" in added(long)


def test_several_nodes_are_one_supervisor_each() -> None:
    pool = Slurm("", nodes=3)
    script = scripts.text(pool, ["python"])
    assert script.splitlines()[-1].startswith("exec srun --ntasks=3 --ntasks-per-node=1")
    assert "--nodes=3" in system_of(pool).submit(pool, "s", "mw", "o")


def test_setup_lines_come_first_and_as_they_are() -> None:
    pool = Slurm("", setup=["module load x", 'export A="$B"'])
    lines = scripts.text(pool, ["python"]).splitlines()
    assert lines == [
        "#!/bin/bash -l",
        "module load x",
        'export A="$B"',
        "exec python",
    ]


def _commands(**changed: str) -> Pool:
    said = {"submit": "mysub {script}", "list": "mystat", "cancel": "mydel {jobs}", "pattern": "x"}
    return BatchSystem(**{**said, **changed})


def test_options_that_only_look_like_those_that_are_refused() -> None:
    for pool in (Slurm("--account=x -p array --mem=4G -c 8"), GridEngine("-terse -tc 4")):
        check_options(pool)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Slurm("", min=3, max=2), "min=3 of a pool is more than max=2"),
        (lambda: Slurm("", max=0), "max="),
        (lambda: Slurm("", max=2.5), "max="),
        (lambda: Slurm("", workers=0), "workers="),
        (lambda: Slurm("", workers=True), "workers="),
        (lambda: Slurm("", nodes=0), "nodes="),
        (lambda: Slurm("", idle=0), "idle="),
        (lambda: Slurm("", idle=float("nan")), "idle="),
        (lambda: Slurm("-J 'x"), "cannot be read"),
        (lambda: Slurm("", setup=["a\nb"]), "one line"),
        (lambda: Slurm("", setup=3), "setup="),
        (lambda: Slurm("-p \udcff"), "one line of text"),
        (lambda: Slurm("", python="\ud800"), "one line of text"),
        (lambda: Slurm("", name="a\x1b"), "name"),
        (lambda: Ssh("hostA*0"), "write it like hostA"),
        (lambda: Ssh("hostA*x"), "write it like hostA"),
        (lambda: Ssh("hostA,hostA*2"), "named twice"),
        (lambda: Ssh(""), "name the machines"),
        (lambda: Ssh("-oProxyCommand=x*2"), "names no machine"),
        (lambda: Ssh("a b*2"), "names no machine"),
        (lambda: system_of(Pool(system="nqs")), "no batch system"),
        (lambda: _commands(submit=""), "submit= is a command with the word {script}"),
        (lambda: _commands(submit="mysub"), "with the word {script}"),
        (lambda: _commands(submit="mysub '{script}"), "cannot be read"),
        (lambda: _commands(list=" "), "list= is a command"),
        (lambda: _commands(cancel="mydel --ids={jobs}"), "with the word {jobs}"),
        (lambda: _commands(pattern="("), "no regular expression"),
        (lambda: check_options(GridEngine("", nodes=2)), "for Slurm only"),
        (lambda: check_options(Flux("", nodes=2)), "for Slurm only"),
        (lambda: check_options(Slurm("-a1-10")), "-a1-10 cannot be used"),
        (lambda: check_options(Slurm("--array=1-10")), "--array=1-10 cannot be used"),
        (lambda: check_options(Slurm("-M other")), "SLURM_CLUSTERS names another cluster"),
        (lambda: check_options(Slurm("-p cpu --wait")), "--wait cannot be used"),
        (lambda: check_options(GridEngine("-sync y")), "-sync cannot be used"),
        (lambda: check_names([Slurm(""), Slurm("-p x")]), "two pools have the name 'slurm'"),
    ],
)
def test_what_makes_no_sense_is_one_error(make: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()  # type: ignore[operator]


def test_hosts_and_their_numbers() -> None:
    assert Ssh("ann@hostA*4, hostB").hosts == (("ann@hostA", 4), ("hostB", 0))


def test_the_ssh_command_asks_nothing_and_shows_no_secret() -> None:
    pool = Ssh("hostA*4", python="/opt/py thon", options="-p 2222")
    words = command(pool, "hostA", 4, ("127.0.0.1", 7000), 10.0)
    assert words[:3] == ["ssh", "-p", "2222"]
    assert "BatchMode=yes" in words
    assert words[words.index("-R") + 1] == "127.0.0.1:0:127.0.0.1:7000"
    assert words[-2] == "hostA"
    assert shlex.split(words[-1]) == [
        *("exec", "/opt/py thon", "-m", "masterworker.cli", "worker"),
        *("--ticket", "-", "--lifeline", "-n", "4", "--grace", "10"),
    ]
    assert "-R" not in command(pool, "hostA", 4, None, 10.0)


def test_the_way_back_is_found_in_the_log_of_ssh() -> None:
    line, here = "Allocated port 41234 for remote forward to 127.0.0.1:7000", ("127.0.0.1", 7000)
    assert allocated_port(line, here) == 41234
    assert allocated_port(line, ("127.0.0.1", 700)) == 0, "one of the user's configuration"
    assert allocated_port("Warning: Permanently added", here) == 0
    assert "-R 127.0.0.1:0:[fe80::1]:7000" in " ".join(
        command(Ssh("hostA"), "hostA", 4, ("fe80::1", 7000), 10.0)
    )
    assert is_noise("connect_to 127.0.0.1 port 7000: failed.")
    assert not is_noise("connect_to me: failed")


def test_options_are_found_in_all_their_spellings() -> None:
    assert is_said(["-Jx"], "-J", "--job-name")
    assert is_said(["--job-name=x"], "-J", "--job-name")
    assert not is_said(["--job-names"], "-J", "--job-name")
    assert not is_said(["--output=o"], "-o")
