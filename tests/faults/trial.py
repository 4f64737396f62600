"""One fault trial: a master with its driver, and the processes that serve it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from e2e.desk import Running
from faults import driver, records
from faults.driver import Driver
from faults.hand import Hand
from masterworker import Master, program
from masterworker.data.pickling import dumps
from masterworker.master import engine_of
from support import HANG, unique_label, wait_until

if TYPE_CHECKING:
    from faults.checker import Verdict

TESTS = Path(__file__).parents[1]
#: Marks every process of one trial, and what those start in turn.
MARK = "MASTERWORKER_FAULT_TRIAL"
#: The heartbeat of trials where silence is to be noticed soon; lost after four of them.
SHORT = 0.25
SILENCE = 4 * SHORT


#: With this, all variations of each trial are executed, and not only the most telling ones.
ALL = os.environ.get("MASTERWORKER_FAULTS") == "all"


def telling(number: int, variations: dict[str, Any]) -> list[Any]:
    """Return the first few of the variations of a trial, or all (see `ALL`), with their names."""
    chosen = list(variations.items())[: len(variations) if ALL else number]
    return [
        pytest.param(*(value if isinstance(value, tuple) else (value,)), id=name)
        for name, value in chosen
    ]


class Processes:
    """Programs that were started for one trial, all of which are ended with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[Running] = []
        self._mark = uuid.uuid4().hex

    def run(self, *arguments: str, prefix: tuple[str, ...] = (), **options: Any) -> Running:
        """Start a Python program; options in capitals go to the environment."""
        paths = os.pathsep.join(filter(None, [str(TESTS), os.environ.get("PYTHONPATH")]))
        env = {**os.environ, MARK: self._mark, "PYTHONPATH": paths, "PYTHONUNBUFFERED": "1"}
        env |= {name: options.pop(name) for name in list(options) if name.isupper()}
        command = [*prefix, sys.executable, *arguments]
        self.started.append(Running(command, self.folder, env, cwd=self.folder, **options))
        return self.started[-1]

    def living(self) -> list[psutil.Process]:
        """All that were started here, or by what was started here, and have not ended."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.status() != "zombie" and process.environ().get(MARK) == self._mark:
                    found.append(process)
        return found

    def all_gone(self, seconds: float = HANG) -> None:
        """Wait until everything that was started here has ended."""
        left: list[psutil.Process] = []

        def none() -> bool:
            left[:] = self.living()
            return not left

        try:
            wait_until(none, seconds)
        except AssertionError:
            told = [(p.pid, p.ppid(), p.cmdline()) for p in left if p.is_running()]
            raise AssertionError(f"left after {seconds} s: {told}") from None

    def clear(self) -> None:
        """End what is left, each by its own id."""
        for running in self.started:
            if running.process.poll() is None:
                running.process.send_signal(signal.SIGCONT)
                running.kill()
        for process in self.living():
            with contextlib.suppress(psutil.Error):
                process.kill()
        records.close_all(self.folder)


class Trial(Processes):
    """One master in this process, and workers around it."""

    def __init__(self, folder: Path, **options: Any) -> None:
        super().__init__(folder)
        self.master = Master(unique_label("fault"), **options)
        self.label = self.master.label
        self.driver = Driver(folder, self.master)

    def hands(
        self, number: int = 1, *, heartbeat: float = 5.0, wait: bool = True, **options: Any
    ) -> list[Running]:
        """Start worker programs, and wait for them to join.

        Args:
            number: How many.
            heartbeat: See `Worker`; lost after four of them.
            wait: Wait for them.
            options: `master` and `reconnect` go to the worker, others to `run`.
        """
        arguments = ["-m", "faults.hand", self.label, "--heartbeat", str(heartbeat)]
        for name in ("master", "reconnect"):
            if name in options:
                arguments += [f"--{name}", str(options.pop(name))]
        found = [self.run(*arguments, **options) for _ in range(number)]
        if wait:
            self.joined(*(hand.pid for hand in found))
        return found

    def command(self, *arguments: str, **options: Any) -> Running:
        """Start `task_manager worker LABEL` with further arguments."""
        return self.run("-m", "masterworker.cli", "worker", self.label, *arguments, **options)

    def beat(self, heartbeat: float) -> None:
        """Workers that are started from the label alone have this heartbeat from now on."""
        engine_of(self.master).program.store(
            program.of_class(dumps((Hand, "run", {"heartbeat": heartbeat})))
        )

    def workers_here(self, number: int, seconds: float = HANG) -> set[int]:
        """Wait until so many workers are here; return their process ids."""

        def enough() -> set[int]:
            found = self.driver.workers()
            return found if len(found) == number else set()

        return set(wait_until(enough, seconds, f"{number} workers are here"))

    def joined(self, *pids: int) -> None:
        """Wait until these processes have joined."""

        def all_here() -> bool:
            for running in self.started:
                if running.pid in pids and running.process.poll() is not None:
                    raise AssertionError(f"a worker ended: {running.err}")
            return set(pids) <= self.driver.workers()

        wait_until(all_here, HANG, "the workers join")

    def lost(self, number: int = 1, seconds: float = HANG) -> None:
        """Wait until so many members have been given up as lost, since the beginning."""
        tally = engine_of(self.master).manager.core.tally
        wait_until(lambda: tally.lost_members >= number, seconds, f"{number} members are lost")

    def kill(self, *pids: int) -> None:
        """End worker processes at once."""
        driver.kill(self.folder, *pids)

    def hit(self, kind: str, number: int, *pids: int) -> None:
        """Send a signal."""
        driver.hit(self.folder, kind, number, *pids)

    def sound(self, *, failed: set[str] | frozenset[str] = frozenset()) -> Verdict:
        """Collect everything; nothing is lost, unexpected or duplicated, and only these failed."""
        self.driver.collect()
        verdict = self.driver.verdict()
        assert verdict.sound, verdict
        assert set(verdict.failed) == set(failed), verdict.failed
        engine_of(self.master).manager.check()
        return verdict

    def close(self) -> None:
        """End the job, and everything that was started for it."""
        try:
            for process in self.living():
                with contextlib.suppress(psutil.Error):
                    process.resume()
            self.master.shutdown(grace=2.0)
        finally:
            self.clear()
