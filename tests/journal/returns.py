"""A master with a journal, and workers that are started from outside and outlive it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from support import HANG, Script, python_script, unique_label, wait_until

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
    import os, random, sys, time
    from masterworker import Master

    def work(x):
        time.sleep(0.02 + 0.03 * random.Random(x).random())
        with open("executed", "a") as file:
            file.write(f"{x} {os.getpid()}.\\n")
        return x, random.random(), bytes(SIZE)

    def window(master, items):
        waiting, items = [], iter(items)
        with open("asked", "a") as asked:
            while True:
                for x in items:
                    waiting.append((x, master.submit(work, x)))
                    asked.write(f"{x} {time.monotonic()}.\\n")
                    asked.flush()
                    if len(waiting) >= 30:
                        break
                if not waiting:
                    return
                x, future = waiting.pop(0)
                yield x, future.result()

    if __name__ == "__main__":
        label, number, way = sys.argv[1], int(sys.argv[2]), sys.argv[3]
        with Master(label, **JOURNAL) as master, open("told", "a") as told:
            if not os.path.exists("ticket"):
                with open(os.open("ticket", os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
                    file.write(master.ticket())
            print("begun", flush=True)
            # In another order each time: a number of a task means another one in each run.
            items = random.sample(range(number), number)
            if way == "map":
                outcomes = zip(items, master.map(work, items))
            else:
                outcomes = window(master, items)
            for asked, (x, value, _) in outcomes:
                told.write(f"{x} {value!r}.\\n")
                told.flush()
                if asked != x:
                    sys.exit(f"{asked} was asked for, and {x} came")
        print("done", flush=True)
"""


class Rig:
    """One job in a folder: its master is started again and again, its workers once.

    Args:
        folder: Where.
        number: How many tasks there are.
        way: How they are asked for: "map" or "submit".
        journal: The keywords of `Master`.
    """

    def __init__(
        self,
        folder: Path,
        number: int,
        way: str = "map",
        journal: str = '{"journal": "job.journal"}',
    ) -> None:
        self.folder, self.number, self.way = folder, number, way
        self.label = unique_label()
        self.journal, self.log = journal, "executed"
        #: How many bytes each result has besides.
        self.size = 0
        self.workers: list[subprocess.Popen[bytes]] = []
        self.killed: list[float] = []

    def master(self) -> Script:
        """Start the master."""
        source = PROGRAM.replace("**JOURNAL", f"**{self.journal}").replace("executed", self.log)
        source = source.replace("SIZE", str(self.size))
        path = python_script(self.folder, "program.py", source)
        return Script(path, self.label, str(self.number), self.way)

    def worker(self, *words: str, number: int = 1, patience: float = 60.0) -> None:
        """Start workers under one supervisor, as a user does it."""
        command = [sys.executable, "-m", "masterworker.cli", "worker", *words, "-n", str(number)]
        self._start(command, patience)

    def plain_worker(self) -> None:
        """Start a worker that is a program of its own."""
        source = f"from masterworker import Worker\nWorker({self.label!r}).run()\n"
        path = python_script(self.folder, "worker.py", source)
        self._start([sys.executable, str(path)], 60.0)

    def kill(self, master: Script) -> None:
        """Kill the master."""
        master.kill()
        self.killed.append(time.monotonic())

    def told(self) -> dict[int, set[str]]:
        """What was told of each task, by all runs."""
        found = defaultdict(set)
        for number, value in self._lines("told"):
            found[int(number)].add(value)
        return found

    def executed(self) -> Counter[int]:
        """How many times each task was executed to its end."""
        return Counter(int(number) for number, _ in self._lines(self.log))

    def asked_late(self) -> set[int]:
        """The tasks that were asked for in the last 0.1 s before a kill."""
        return {
            int(number)
            for number, when in self._lines("asked")
            if any(0 <= killed - float(when) < 0.1 for killed in self.killed)
        }

    def until_all_work(self, number: int, master: Script) -> None:
        """Wait until this many workers have executed something, or the master has ended."""

        def holds() -> bool:
            ended = master.process.poll() is not None
            return ended or len({pid for _, pid in self._lines(self.log)}) >= number

        wait_until(holds, 4 * HANG, what=master.told + self.workers_said())

    def until_executed(self, number: int, master: Script) -> None:
        """Wait until this many tasks were executed, or the master has ended."""

        def holds() -> bool:
            return master.process.poll() is not None or self.executed().total() >= number

        wait_until(holds, 4 * HANG, what=master.told)

    def check(self) -> None:
        """All outcomes are there, each as in an undisturbed run, and the workers have ended well.

        What was finished was not executed again, but for what was asked for just before a kill.
        """
        told = self.told()
        assert sorted(told) == list(range(self.number))
        assert [x for x, values in told.items() if len(values) > 1] == []
        for worker in self.workers:
            assert worker.wait(HANG) == 0, self.workers_said()
        again = {x: times for x, times in self.executed().items() if times > 1}
        late = self.asked_late()
        assert [x for x in again if x not in late] == [], self.workers_said()

    def workers_said(self) -> str:
        """What the workers have written."""
        paths = sorted(self.folder.glob("workers-*"))
        return "\n".join(path.read_text(errors="replace") for path in paths)

    def end(self) -> None:
        """End what is left."""
        for worker in self.workers:
            if worker.poll() is None:
                worker.terminate()
        for worker in self.workers:
            try:
                worker.wait(HANG)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()

    def _lines(self, name: str) -> list[tuple[str, str]]:
        path = self.folder / name
        lines = path.read_text().splitlines() if path.exists() else []
        parts = [line[:-1].partition(" ") for line in lines if line.endswith(".")]
        return [(number, value) for number, _, value in parts]

    def _start(self, command: list[str], patience: float) -> None:
        environment = {**os.environ, "MASTERWORKER_RECONNECT": str(patience)}
        log = (self.folder / f"workers-{len(self.workers)}").open("wb")
        with log:
            self.workers.append(
                subprocess.Popen(command, cwd=self.folder, env=environment, stdout=log, stderr=log)
            )
