"""B23 to B26: results, exceptions and output that harm nobody, and workers that do not fit.

What becomes of each kind in detail is shown in `integration/test_bad_tasks.py`; here all of them
come together, among good tasks, over real processes.
"""

from __future__ import annotations

import subprocess
import textwrap
from typing import TYPE_CHECKING

import psutil

from faults.checker import check
from masterworker import wire
from support import HANG, unique_label, wait_until

if TYPE_CHECKING:
    from faults.trial import Processes, Trial

#: A deed, and what its error says.
RESULTS = {
    "return_lock": "cannot pickle",
    "return_nest": "recursion",
    "return_mine": "not this one",
}
EXCEPTIONS = {
    "raise_unknown": "Unheard: of",
    "raise_odd": "1 and two",
    "raise_group": "both",
    "raise_long": "xxxx",
    "raise_chain": "second",
    "raise_with_lock": "it holds a lock",
}


def test_b23_b24_bad_results_and_exceptions_fail_their_tasks_only(trial: Trial) -> None:
    """The same two workers do everything; each error says what it was."""
    hands = trial.hands(2)
    said: dict[str, str] = {}
    for deed, told in {**RESULTS, **EXCEPTIONS}.items():
        trial.driver.submit("pause", 0.002, number=10)
        [key] = trial.driver.submit(deed)
        said[key] = told
    verdict = trial.sound(failed=set(said))
    assert verdict.delivered == 90
    assert verdict.recovered == []
    for key, told in said.items():
        error = trial.driver.errors[key]
        assert told in f"{type(error).__name__}: {error}"
        assert len(str(error)) < 1_000_000
    assert trial.driver.workers() == {hand.pid for hand in hands}


def test_b25_worker_of_another_python_is_refused(trial: Trial) -> None:
    """With both versions named and a status of its own; the job goes on."""
    trial.hands(1)
    trial.driver.submit("pause", 0.005, number=50)
    (trial.folder / "sitecustomize.py").write_text(
        textwrap.dedent("""
            import masterworker.wire.hello
            masterworker.wire.hello.python_version = lambda: "3.2"
        """),
        encoding="utf-8",
    )
    other = trial.command(PYTHONPATH=str(trial.folder))
    assert other.status() == 5, other.err
    assert "3.2" in other.err
    assert wire.python_version() in other.err
    assert trial.sound().delivered == 50
    assert len(trial.driver.workers()) == 1


FLOOD = 96 << 20


def test_b26_flood_of_output_harms_nobody(processes: Processes) -> None:
    """Of workers that the master launched: no text, no line ends; its memory stays as it was."""
    nowhere = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    boss = processes.run(
        *("-m", "faults.boss", str(processes.folder), unique_label("flood"), "--workers", "2"),
        *("--deed", "flood", str(FLOOD), "--wait", "--tasks", "50"),
        **nowhere,
    )
    master = psutil.Process(boss.pid)
    wait_until(lambda: check(processes.folder).executions, HANG, "it has begun")
    before, most = master.memory_info().rss, 0

    def all_done() -> bool:
        nonlocal most
        most = max(most, master.memory_info().rss)
        return check_ends(processes) == 26

    wait_until(all_done, 2 * HANG, "everything has been executed")
    (processes.folder / "collect").touch()
    assert boss.status() == 0
    verdict = check(processes.folder)
    assert verdict.sound
    assert (verdict.delivered, verdict.recovered) == (26, [])
    assert most - before < FLOOD / 3


def check_ends(processes: Processes) -> int:
    """How many executions have ended."""
    return sum(path.read_bytes().count(b'["end"') for path in processes.folder.glob("worker-*.log"))
