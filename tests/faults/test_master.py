"""B16, and masters that vanish: a master that stands still, and what is left when it is gone."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

import pytest

from faults.checker import check
from faults.driver import hit
from faults.trial import SHORT, SILENCE, telling
from support import HANG, unique_label, wait_until

if TYPE_CHECKING:
    from faults.trial import Processes

#: Everything ends within this after the master has vanished (seconds).
VANISH = 10.0

#: A master with three workers that it launched: one idle or at a short task, one whose handler
#: holds the interpreter lock, one with a forked child and a handler that ignores signals.
MASTER = """
import os, signal, sys, threading
from pathlib import Path
from faults import deeds, work
from masterworker import Master

folder, label, ending = sys.argv[1:]

def fork_and_hang():
    deeds.fork_and_leave_child(f"{folder}/child")
    Path(folder, "forked").touch()
    deeds.hang_and_ignore()

def hold_lock():
    Path(folder, "held").touch()
    deeds.hold_lock(600.0)

master = Master(label, workers=3)
futures = [master.submit(fork_and_hang), master.submit(hold_lock)]
work.hold(f"{folder}/forked")
work.hold(f"{folder}/held")
Path(folder, "ready").touch()
work.hold(f"{folder}/vanish")
if ending == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
if ending == "os._exit":
    os._exit(3)
if ending == "exception":
    raise RuntimeError("the end")
sys.exit(5)
"""


def test_b16_master_that_stood_still_gives_up_nobody(processes: Processes) -> None:
    """Suspended for several times the silence bound: on waking it first hears its workers."""
    label = unique_label("still")
    boss = processes.run(
        *("-m", "faults.boss", str(processes.folder), label, "--tasks", "200", "--seconds", "0.02")
    )
    boss.says("port")
    hands = [processes.run("-m", "faults.hand", label, "--heartbeat", str(SHORT)) for _ in range(3)]
    wait_until(lambda: check(processes.folder).delivered > 5, HANG, "it has begun")
    hit(processes.folder, "stop", signal.SIGSTOP, boss.pid)
    threading.Event().wait(4.5 * SILENCE)
    os.kill(boss.pid, signal.SIGCONT)
    boss.good()
    assert "lost members 0" in boss.out
    for hand in hands:
        hand.good()
    verdict = check(processes.folder)
    assert verdict.sound
    assert (verdict.delivered, verdict.recovered) == (200, [])


def test_b16_machine_that_stood_still_gives_up_nobody(processes: Processes) -> None:
    """Master and workers are suspended together, and the workers are the last to wake."""
    label = unique_label("lid")
    boss = processes.run(
        *("-m", "faults.boss", str(processes.folder), label, "--tasks", "400", "--seconds", "0.02")
    )
    boss.says("port")
    hands = [
        processes.run("-m", "faults.hand", label, "--heartbeat", str(2 * SHORT)).pid
        for _ in range(3)
    ]
    wait_until(lambda: check(processes.folder).delivered > 150, HANG, "it has begun")
    all_pids = {process.pid for process in processes.living()} - {boss.pid}
    beside = sorted(all_pids - set(hands))  # a worker may have one that speaks for it
    hit(processes.folder, "stop", signal.SIGSTOP, *hands, *beside)
    threading.Event().wait(0.2)  # the master reads what they have said
    os.kill(boss.pid, signal.SIGSTOP)
    threading.Event().wait(4.5 * SILENCE)
    for some in ([boss.pid], beside, hands):
        for pid in some:
            os.kill(pid, signal.SIGCONT)
        threading.Event().wait(0.4)  # they look at their clocks, and around
    boss.good()
    assert "lost members 0" in boss.out, boss.err
    assert check(processes.folder).sound


@pytest.mark.parametrize(
    "ending", telling(2, {how: how for how in ("kill", "exception", "os._exit", "sys.exit")})
)
def test_nothing_is_left_of_a_job_whose_master_vanished(processes: Processes, ending: str) -> None:
    """However it ends, and whatever its workers do at that moment."""
    script = processes.folder / "master.py"
    script.write_text(MASTER, encoding="utf-8")
    master = processes.run(str(script), str(processes.folder), unique_label("vanish"), ending)
    wait_until((processes.folder / "ready").exists, HANG, f"the workers are busy: {master.err}")
    assert len(processes.living()) >= 5
    (processes.folder / "vanish").touch()
    master.status()
    try:
        processes.all_gone(VANISH)
    except AssertionError as error:
        child = (processes.folder / "child").read_text(encoding="ascii")
        raise AssertionError(f"{error}; {child} was forked by a handler") from None
