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
            file.write(f"{x}\\n")
        return x, random.random()

    class Window:
        def __init__(self, master, number):
            self.master, self.numbers, self.futures = master, iter(range(number)), []

        def __iter__(self):
            with open("asked", "a") as asked:
                while True:
                    for x in self.numbers:
                        self.futures.append(self.master.submit(work, x))
                        asked.write(f"{x} {time.monotonic()}.\\n")
                        asked.flush()
                        if len(self.futures) >= 30:
                            break
                    if not self.futures:
                        return
                    yield self.futures.pop(0).result()

    if __name__ == "__main__":
        label, number, way = sys.argv[1], int(sys.argv[2]), sys.argv[3]
        with Master(label, **JOURNAL) as master, open("told", "a") as told:
            if not os.path.exists("ticket"):
                with open(os.open("ticket", os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
                    file.write(master.ticket())
            print("begun", flush=True)
            outcomes = master.map(work, range(number)) if way == "map" else Window(master, number)
            for x, value in outcomes:
                told.write(f"{x} {value!r}.\\n")
                told.flush()
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
        self._path = python_script(
            folder, "program.py", PROGRAM.replace("**JOURNAL", f"**{journal}")
        )
        self.workers: list[subprocess.Popen[bytes]] = []
        self.killed: list[float] = []

    def master(self) -> Script:
        """Start the master."""
        return Script(self._path, self.label, str(self.number), self.way)

    def worker(self, *words: str, number: int = 1, patience: float = 60.0) -> None:
        """Start workers under one supervisor, as a user does it."""
        command = [sys.executable, "-m", "masterworker.cli", "worker", *words, "-n", str(number)]
        environment = {**os.environ, "MASTERWORKER_RECONNECT": str(patience)}
        log = (self.folder / f"workers-{len(self.workers)}").open("wb")
        with log:
            self.workers.append(
                subprocess.Popen(command, cwd=self.folder, env=environment, stdout=log, stderr=log)
            )

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
        path = self.folder / "executed"
        return Counter(map(int, path.read_text().split() if path.exists() else ()))

    def asked_late(self) -> set[int]:
        """The tasks that were asked for in the last 0.1 s before a kill."""
        return {
            int(number)
            for number, when in self._lines("asked")
            if any(0 <= killed - float(when) < 0.1 for killed in self.killed)
        }

    def until_executed(self, number: int, master: Script) -> None:
        """Wait until this many tasks were executed, or the master has ended."""

        def holds() -> bool:
            return master.process.poll() is not None or self.executed().total() >= number

        wait_until(holds, 4 * HANG, what=master.told)

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
