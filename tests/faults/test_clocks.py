"""B15: somebody sets the clock of a machine, by an hour or by ten years, back and forth."""

from __future__ import annotations

import os
import shutil
import signal
import struct
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from faults.checker import check
from faults.driver import hit
from faults.trial import telling
from support import HANG, unique_label, wait_until

if TYPE_CHECKING:
    from faults.trial import Processes

HOUR = 3600
TEN_YEARS = 10 * 365 * 24 * HOUR
ROLES = ("master", "worker")
STEPS = (HOUR, 0, -HOUR, TEN_YEARS, 0, -TEN_YEARS)


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What sets the time of day off for one process."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler is here to make what sets a process's clock")
    made = tmp_path_factory.mktemp("clock") / "clock.so"
    source = Path(__file__).with_name("clock.c")
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(made), str(source), "-ldl"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=HANG)
    if done.returncode:
        pytest.skip(f"the C compiler does not work: {done.stderr[:300]}")
    return made


def set_off(path: Path, seconds: int) -> None:
    """Set the clock of those who look at this file, while they look at it."""
    with path.open("r+b" if path.exists() else "wb") as file:
        file.write(struct.pack("q", seconds))


@pytest.mark.parametrize("whose", telling(1, {who: who for who in ("both", *ROLES)}))
def test_b15_steps_of_the_clock_cost_nothing(processes: Processes, shim: Path, whose: str) -> None:
    """Nobody is lost, and nothing is executed twice; who falls silent afterwards is noticed."""
    clock = processes.folder / "clock"
    set_off(clock, 0)
    set_by_us = {"LD_PRELOAD": str(shim), "CLOCK_OFF_BY": str(clock)}
    for_master, for_worker = (set_by_us if whose in {who, "both"} else {} for who in ROLES)
    label = unique_label("clock")
    boss = processes.run(
        *("-m", "faults.boss", str(processes.folder), label, "--tasks", "300"), **for_master
    )
    boss.says("port")
    hands = [
        processes.run(
            "-m", "faults.hand", label, "--heartbeat", "0.5", "--reconnect", "2", **for_worker
        )
        for _ in range(2)
    ]
    for number, step in enumerate(STEPS):
        wait_until(lambda n=number: check(processes.folder).delivered > 20 * n, HANG, "it goes on")
        set_off(clock, step)
    wait_until(lambda: check(processes.folder).delivered > 150, HANG, "it goes on")
    assert check(processes.folder).recovered == []
    hit(processes.folder, "stop", signal.SIGSTOP, hands[0].pid)  # silence is noticed as ever
    boss.good()
    hands[1].good()
    os.kill(hands[0].pid, signal.SIGCONT)
    assert "lost members 1" in boss.out
    verdict = check(processes.folder)
    assert verdict.sound
    assert verdict.delivered == 300


def test_b15_the_clock_is_set(processes: Processes, shim: Path) -> None:
    """The trials above do what they say."""
    clock = processes.folder / "clock"
    set_off(clock, TEN_YEARS)
    told = processes.run(
        *("-c", "import time; print(time.time(), time.monotonic())"),
        LD_PRELOAD=str(shim),
        CLOCK_OFF_BY=str(clock),
    ).good()
    wall, monotonic = map(float, told.out.split())
    assert wall > time.time() + TEN_YEARS - HOUR
    assert abs(monotonic - time.monotonic()) < HOUR
