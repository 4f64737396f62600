"""Workers through ssh, on a real server: they come through its own way back, and end with it."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import psutil
import pytest

from cluster.programs import JOB, Programs, command
from masterworker.transport.hosts import LOOPBACK
from support import python_script, run_script, unique_label, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from security.hosts.ssh import Sshd

#: What a line needs to be given up by both sides, and workers to finish (seconds).
GONE = 60.0


@pytest.fixture
def programs(tmp_path: Path, state: Path) -> Iterator[Programs]:
    """Programs of a job on loopback only: nobody reaches it from elsewhere."""
    started = Programs(tmp_path, unique_label("ssh"), LOOPBACK)
    yield started
    started.close()


def there(sshd: Sshd) -> list[psutil.Process]:
    """Return the processes of ours that were started by logging in."""
    return [process for process in sshd.processes() if "masterworker.cli" in _words(process)]


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def test_workers_come_through_the_line_and_leave_with_the_job(
    sshd: Sshd, programs: Programs
) -> None:
    job = programs.job(40, 0.2)
    scaling = programs.scale("--ssh", f"{sshd.name}*2", "--ssh-options", f"-F {sshd.config}")
    assert job.wait(120) == 0, job.told + scaling.told
    assert scaling.wait(60) == 0, scaling.told
    assert "connect_to" not in scaling.err
    wait_until(lambda: not there(sshd), GONE, "nothing is left over there")


def test_a_program_says_it_itself(sshd: Sshd, state: Path, tmp_path: Path) -> None:
    source = f"""
import os, sys
from masterworker import Master
from masterworker.pools import Ssh

with Master(sys.argv[1], workers=Ssh("{sshd.name}*2", options="-F {sshd.config}")) as master:
    print(sum(master.map(abs, range(-100, 0))))
"""
    done = run_script(python_script(tmp_path, "job.py", source), unique_label("ssh"), timeout=120)
    assert done.out.split() == ["5050"]
    wait_until(lambda: not there(sshd), GONE, "nothing is left over there")


def test_whatever_is_in_the_users_configuration_and_wherever_the_master_listens(
    sshd: Sshd, state: Path, tmp_path: Path, address: str
) -> None:
    """ssh that logs nothing, ways back of the user's own, a master that is not on loopback."""
    with sshd.config.open("a") as config:
        config.write("  LogLevel ERROR\n  RemoteForward 0 127.0.0.1:9\n")
    programs = Programs(tmp_path, unique_label("ssh"), address)
    try:
        job = programs.job(40, 0.2)
        scaling = programs.scale("--ssh", f"{sshd.name}*2", "--ssh-options", f"-F {sshd.config}")
        assert job.wait(120) == 0, job.told + scaling.told
    finally:
        programs.close()


@pytest.mark.parametrize("what", ["client", "supervisor", "master", "scaling"])
def test_nothing_is_left_whatever_is_killed(sshd: Sshd, programs: Programs, what: str) -> None:
    job = programs.job(100_000, 0.05)
    scaling = programs.scale("--ssh", f"{sshd.name}*2", "--ssh-options", f"-F {sshd.config}")
    wait_until(lambda: _workers(programs.label) == 2, 60, scaling.told)
    before = {process.pid for process in there(sshd)}
    assert before
    client = next(p for p in psutil.Process(scaling.pid).children() if p.name() == "ssh")
    match what:
        case "client":
            client.kill()
        case "supervisor":
            next(p for p in there(sshd) if "worker" in _words(p)).kill()
        case "master":
            job.kill()
        case "scaling":
            scaling.kill()
    wait_until(
        lambda: before.isdisjoint(process.pid for process in there(sshd)),
        *(GONE, "what was there is gone"),
    )
    if what in {"client", "supervisor"}:  # others take their place
        wait_until(lambda: _workers(programs.label) == 2, 60, scaling.told)
    if what == "master":
        assert scaling.wait(GONE) == 0, scaling.told
        assert not there(sshd)


def _workers(label: str) -> int:
    import json

    shown = command("show", label, "--json").stdout
    return json.loads(shown)["snapshot"]["workers"] if shown else -1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--ssh", "no-such-host.invalid*2"), "Could not resolve"),
        (("--python", "/no/such/python"), "/no/such/python"),
    ],
)
def test_what_does_not_work_is_said(
    sshd: Sshd, programs: Programs, arguments: tuple[str, ...], said: str
) -> None:
    programs.job(100_000, 0.05)
    where = () if "--ssh" in arguments else ("--ssh", f"{sshd.name}*2")
    scaling = programs.scale(*where, *arguments, "--ssh-options", f"-F {sshd.config}")
    wait_until(lambda: "tried again" in scaling.err, 60, scaling.told)
    assert said in scaling.err
    shown = command("show", programs.label).stdout
    assert "workers through ssh on none" in shown
    assert said in shown


def test_a_ctrl_c_of_the_program_is_not_one_of_ssh(sshd: Sshd, programs: Programs) -> None:
    """It ends in good order: workers are told, and nothing complains."""
    job = programs.job(100_000, 0.05)
    scaling = programs.scale("--ssh", f"{sshd.name}*2", "--ssh-options", f"-F {sshd.config}")
    wait_until(lambda: _workers(programs.label) == 2, 60, scaling.told)
    job.process.send_signal(signal.SIGINT)
    assert scaling.wait(GONE) == 0, scaling.told
    assert "tried again" not in scaling.err
    wait_until(lambda: not there(sshd), GONE, "nothing is left over there")


def test_workers_join_a_master_that_was_started_again(
    sshd: Sshd, programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may listen at another port, to which the way back has to lead."""
    source = JOB.replace("host=host)", f"host=host, journal={str(tmp_path / 'journal')!r})")
    job = programs.job(100_000, 0.05, source)
    scaling = programs.scale("--ssh", f"{sshd.name}*2", "--ssh-options", f"-F {sshd.config}")
    wait_until(lambda: _workers(programs.label) == 2, 60, scaling.told)
    job.kill()
    monkeypatch.setenv("MASTERWORKER_PORTS", "41000-41999")
    again = programs.job(100_000, 0.05, source)
    wait_until(lambda: _workers(programs.label) == 2, 60, scaling.told)
    assert again.process.poll() is None
