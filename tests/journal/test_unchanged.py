"""Programs that say nothing of a journal, under MASTERWORKER_JOURNAL: killed, and started again."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from support import HANG, Script, python_script, unique_label, wait_until

if TYPE_CHECKING:
    from pathlib import Path

TASKS = 40

CLASSIC = """
    import time
    from Scientific.DistributedComputing.MasterSlave import MasterProcess, SlaveProcess, runJob

    class Master(MasterProcess):
        def run(self):
            for n in range(40):
                self.requestTask("double", n)
            for _ in range(40):
                with open("told", "a") as file:
                    file.write(f"{self.retrieveResult('double')[2]}\\n")
            print("done")

    class Slave(SlaveProcess):
        def do_double(self, n):
            with open("executed", "a") as file:
                file.write(f"{n}\\n")
            time.sleep(0.1)
            return 2 * n

    runJob(LABEL, Master, Slave, launch_slaves=2)
"""


def lines(folder: Path, name: str) -> list[str]:
    """What was noted in a file."""
    path = folder / name
    return path.read_text().split() if path.exists() else []


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "kill -9"])
def test_a_classic_program_goes_on_where_it_was(tmp_path: Path, end: signal.Signals) -> None:
    (tmp_path / "journals").mkdir()
    env = {"MASTERWORKER_JOURNAL": str(tmp_path / "journals")}
    path = python_script(tmp_path, "program.py", CLASSIC.replace("LABEL", repr(unique_label())))
    script = Script(path, env=env)
    wait_until(lambda: len(lines(tmp_path, "told")) >= 10, 2 * HANG, what=lambda: script.told)
    script.process.send_signal(end)
    assert script.wait(2 * HANG) in {128 + end, -end}, script.told
    told = len(lines(tmp_path, "told"))
    assert told < TASKS
    before = lines(tmp_path, "executed")
    (tmp_path / "executed").unlink()
    (tmp_path / "told").unlink()
    script = Script(path, env=env)
    assert script.wait(2 * HANG) == 0, script.told
    assert sorted(map(int, lines(tmp_path, "told"))) == list(range(0, 2 * TASKS, 2))
    after = lines(tmp_path, "executed")
    assert len(after) == len(set(after)) <= TASKS - told
    assert set(before) | set(after) == set(map(str, range(TASKS)))


THREE = """
    import random, sys
    from masterworker import Master

    def sample(x):
        with open("executed", "a") as file:
            file.write(f"{x}\\n")
        return random.random()

    for _ in range(3):
        with Master(LABEL, workers=1) as master:
            print(list(master.map(sample, range(4))))
            print(master.submit(sample, 1).result())
"""


def test_three_masters_in_a_row(tmp_path: Path) -> None:
    """Each has samples of its own, and has the same ones in the next run."""
    (tmp_path / "journals").mkdir()
    env = {"MASTERWORKER_JOURNAL": str(tmp_path / "journals")}
    path = python_script(tmp_path, "program.py", THREE.replace("LABEL", repr(unique_label())))
    first = Script(path, env=env)
    assert first.wait(2 * HANG) == 0, first.told
    assert len(set(first.out.splitlines())) == 6
    assert len(lines(tmp_path, "executed")) == 15
    second = Script(path, env=env)
    assert second.wait(2 * HANG) == 0, second.told
    assert second.out == first.out
    assert len(lines(tmp_path, "executed")) == 15
