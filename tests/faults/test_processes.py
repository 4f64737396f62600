"""B1, B2, B18: workers that are killed, suspended, or do not read."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import TYPE_CHECKING

import pytest

from faults.driver import BY_TAG, is_gone
from faults.trial import SHORT, telling
from masterworker.core.member import MISSED_HEARTBEATS
from masterworker.master import engine_of
from support import HANG, wait_until

if TYPE_CHECKING:
    from faults.trial import Trial


# -- B1: kill -9 --------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["call", BY_TAG])
def test_b1_busy_worker_is_killed(trial: Trial, way: str) -> None:
    """What it was executing is executed again, by another one."""
    victim = trial.hands(1)[0]
    gate = trial.folder / "open"
    [key] = trial.driver.submit("hold", str(gate), way=way)
    trial.driver.submit("pause", 0.002, number=200, way=way)
    assert trial.driver.begun(key) == victim.pid
    trial.hands(2)
    trial.kill(victim.pid)
    assert trial.driver.begun(key, 2) != victim.pid
    gate.touch()
    verdict = trial.sound()
    assert key in verdict.recovered
    assert len(verdict.recovery) == 1


def test_b1_idle_worker_is_killed(trial: Trial) -> None:
    """It costs nothing: no task is executed twice."""
    victim, _ = trial.hands(2)
    trial.driver.submit(number=50)
    trial.sound()
    wait_until(
        lambda: len(list(engine_of(trial.master).manager.core.waiting.claims)) == 2,
        HANG,
        "both wait",
    )
    trial.kill(victim.pid)
    trial.lost()
    trial.driver.submit(number=50)
    assert trial.sound().recovered == []


def test_b1_worker_is_killed_while_it_sends_a_result(trial: Trial) -> None:
    """Half of a result is none."""
    victim = trial.hands(1)[0]
    [key] = trial.driver.submit("block", 100 << 20)

    def sending() -> bool:
        lines = trial.driver.runs(key) and (trial.folder / f"worker-{victim.pid}.log").read_bytes()
        return b'"end"' in (lines or b"")

    wait_until(sending, HANG, "the result is on its way")
    trial.kill(victim.pid)
    trial.hands(1)
    verdict = trial.sound()
    assert len(trial.driver.values[key]) == 100 << 20
    assert verdict.recovered in ([key], [])  # all of it may have been on its way


@pytest.mark.parametrize(
    "part", telling(3, {str(n): n for n in (0.5, 0.8, 1.0, 0.6, 0.7, 0.9, 1.1)})
)
def test_b1_worker_is_killed_while_it_begins(trial: Trial, part: float) -> None:
    """At a moment somewhere between its start and its first task; the next one does the work."""
    [first] = trial.driver.submit()
    began = time.monotonic()
    trial.hands(1)
    trial.driver.begun(first)
    takes = time.monotonic() - began
    trial.sound()
    trial.driver.submit("pause", 0.01, number=20)
    victim = trial.hands(1, wait=False)[0]
    threading.Event().wait(part * min(takes, 1.0))
    trial.kill(victim.pid)
    wait_until(lambda: is_gone(victim.pid), HANG)
    trial.sound()


# -- B2: suspended ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "part", telling(2, {"half": 0.5, "four times": 4.0, "just over": 1.1, "ten times": 10.0})
)
def test_b2_suspended_worker_wakes_up(trial: Trial, part: float) -> None:
    """Its late result is used if it is still needed, and dropped if not; it comes back itself."""
    heartbeat = SHORT if part > 1 else 2 * SHORT  # where none may be lost, with time to spare
    sleeper = trial.hands(1, heartbeat=heartbeat)[0]
    gate = trial.folder / "open"
    [key] = trial.driver.submit("hold", str(gate))
    trial.driver.begun(key)
    trial.hit("stop", signal.SIGSTOP, sleeper.pid)
    trial.hands(1, heartbeat=heartbeat)
    trial.driver.submit("pause", 0.005, number=50)
    threading.Event().wait(part * MISSED_HEARTBEATS * heartbeat)
    if part > 1:
        trial.lost()
        assert trial.driver.begun(key, 2) != sleeper.pid
    gate.touch()
    os.kill(sleeper.pid, signal.SIGCONT)
    trial.sound()
    trial.joined(sleeper.pid)
    tally = engine_of(trial.master).manager.core.tally
    assert tally.lost_members == (part > 1)
    trial.driver.submit("pause", 0.01, number=100)
    trial.sound()


# -- B18: a slow reader -------------------------------------------------------------------------


def test_b18_worker_that_does_not_read_stalls_nobody_else(trial: Trial) -> None:
    """While a large message to a suspended worker is stuck, all others are served."""
    sleeper = trial.hands(1)[0]
    wait_until(
        lambda: list(engine_of(trial.master).manager.core.waiting.claims), HANG, "it waits for work"
    )
    trial.hit("stop", signal.SIGSTOP, sleeper.pid)
    [key] = trial.driver.submit("nothing", bytes(64 << 20))
    trial.hands(1)
    quick = trial.driver.submit("pause", 0.001, number=200)
    for one in quick:
        trial.driver.futures[one].result(HANG)
    assert not trial.driver.futures[key].done()
    os.kill(sleeper.pid, signal.SIGCONT)
    assert trial.sound().recovered == []
