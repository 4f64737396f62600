"""B5, B6: a network that carries nothing, in one direction or both, and hosts that vanish.

Master and worker run on two hosts with an address each (see `network`). The worker's heartbeat is
short, so its silence bound is a second.
"""

from __future__ import annotations

import contextlib
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest

from faults.checker import check
from faults.network import HERE, THERE
from faults.records import FAULT, START, lines, note
from faults.trial import SHORT, SILENCE, telling
from support import HANG, unique_label, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from e2e.desk import Running
    from faults.network import Network
    from faults.trial import Processes


def begin(
    processes: Processes, network: Network, *, reconnect: float = 20.0, answer: float = 8.0
) -> tuple[Running, Running, int]:
    """Start a master here and a worker there; wait until a task is being executed.

    Returns:
        Both, and the worker's process id.
    """
    label = unique_label("network")
    boss = processes.run(
        "-m",
        "faults.boss",
        str(processes.folder),
        label,
        *("--host", HERE, "--held", "1"),
        prefix=network.prefix(HERE),
    )
    boss.says("port")
    port = boss.first_line().split()[1]
    hand = processes.run(
        *("-m", "faults.hand", label, "--master", f"{HERE}:{port}"),
        *("--heartbeat", str(SHORT), "--reconnect", f"{reconnect}", "--answer", f"{answer}"),
        prefix=network.prefix(THERE),
    )
    pid = wait_until(lambda: began(processes.folder), HANG, "a task is executed")
    return boss, hand, pid


def began(folder: Path) -> int:
    """The process that began the held task, if it has begun."""
    return next((n[3] for n in lines(folder) if n[0] == START and n[2].startswith("hold")), 0)


@contextlib.contextmanager
def partition(folder: Path, network: Network, who: tuple[str, ...], pid: int) -> Iterator[None]:
    """Within this, what these hosts send does not arrive."""
    note(folder, "test", FAULT, f"partition of {len(who)}", [pid])
    for host in who:
        network.deafen(host)
    yield
    for host in who:
        network.hear(host)


@pytest.mark.parametrize(
    ("who", "times"),
    telling(
        2,
        {
            "short": ((HERE, THERE), 1.0),
            "worker": ((THERE,), 2.0),
            "master": ((HERE,), 2.0),
            "long": ((HERE, THERE), 10.0),
        },
    ),
)
def test_b5_partition_heals_by_itself(
    processes: Processes, network: Network, who: tuple[str, ...], times: float
) -> None:
    """Without any restart all tasks are done; what the worker finished meanwhile counts."""
    boss, hand, pid = begin(processes, network)
    with partition(processes.folder, network, who, pid):
        (processes.folder / "open").touch()
        threading.Event().wait(times * SILENCE)
    boss.good(2 * HANG)
    hand.good(2 * HANG)
    verdict = check(processes.folder)
    assert verdict.sound
    assert verdict.delivered == verdict.submitted == 101
    assert verdict.faults == {f"partition of {len(who)}": 1}


def test_b6_host_of_the_worker_vanishes(processes: Processes, network: Network) -> None:
    """Without a word; its silence is noticed, and another worker does its task."""
    boss, hand, pid = begin(processes, network)
    note(processes.folder, "test", FAULT, "host gone", [pid])
    network.unplug(THERE)
    hand.kill()
    network.delete(THERE)
    (processes.folder / "open").touch()
    port = boss.first_line().split()[1]
    label = str(boss.process.args[boss.process.args.index("faults.boss") + 2])
    second = processes.run(
        *("-m", "faults.hand", label, "--master", f"{HERE}:{port}", "--heartbeat", str(SHORT)),
        prefix=network.prefix(HERE),
    )
    boss.good()
    second.good()
    verdict = check(processes.folder)
    assert verdict.sound
    assert len(verdict.recovered) == 1
    assert "lost members 1" in boss.out


def test_b6_host_of_the_master_vanishes(processes: Processes, network: Network) -> None:
    """A worker that works for nobody any more ends, with the status that says so."""
    boss, hand, _ = begin(processes, network, reconnect=2.0, answer=2.0)
    network.unplug(HERE)
    boss.kill()
    network.delete(HERE)
    assert hand.status(2 * HANG) == 4, hand.err
    processes.all_gone()


def test_b5_connection_is_killed_by_the_system(processes: Processes, network: Network) -> None:
    """With `ss -K`, as an administrator does; skipped where the kernel cannot."""
    boss, hand, pid = begin(processes, network)
    note(processes.folder, "test", FAULT, "ss -K", [pid])
    killed = subprocess.run(
        [*network.prefix(THERE), "ss", "-K", "dst", HERE],
        check=False,
        capture_output=True,
        text=True,
        timeout=HANG,
    )
    if HERE not in killed.stdout:
        pytest.skip(f"`ss -K` does nothing here: {killed.stderr or killed.stdout}")
    (processes.folder / "open").touch()
    boss.good()
    hand.good()
    assert check(processes.folder).sound
