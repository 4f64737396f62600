"""A long job under a rain of faults: PYTHONPATH=tests python -m faults.chaos --minutes 10

One master with its driver; workers under several `task_manager worker` supervisors, half of them
over a line that is cut now and then; on average a fault each second. Prints a table; the exit
status is not 0 if anything was lost, unexpected or doubled, or did not end.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import logging
import os
import random
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from faults.checker import check
from faults.driver import BY_TAG, CALL, Driver, hit, is_gone
from faults.proxy import Cutter
from faults.records import FAULT, MEMORY, lines, note
from faults.table import Report, table
from faults.trial import Trial
from masterworker.master import engine_of
from masterworker.transport.address import Address

if TYPE_CHECKING:
    from e2e.desk import Running

#: Share of the tasks, what they do, and for how many seconds: 15 ms on average.
MIX = (
    (0.50, "nothing", 0.0),
    (0.25, "pause", 0.005),
    (0.15, "spin", 0.002),
    (0.09, "pause", 0.1),
    (0.01, "pause", 0.5),
)
#: Share of the faults, by kind.
KINDS = {"kill": 4, "stop": 3, "cut": 3, "join": 2, "leave": 2, "kill supervisor": 1}
HEARTBEAT = 1.0
#: Workers of one supervisor.
GROUP = 2
#: How many tasks are under way at most, of each way of asking.
BATCH, WINDOW = 100, 300
#: Bound of every wait (seconds).
BOUND = 90.0


class Chaos:
    """One soak.

    Args:
        folder: For all logs.
        seed: Of the faults and tasks. (Which process has which task is the system's to say.)
        workers: How many there should be.
        rate: Faults in a second, on average.
    """

    def __init__(self, folder: Path, seed: int, workers: int, rate: float) -> None:
        self.trial = Trial(folder)
        self.trial.beat(HEARTBEAT)
        self.folder, self.rate = folder, rate
        self.driver = Driver(folder, self.trial.master, keep=False)
        self._random = random.Random(seed)
        self._tasks = random.Random(seed + 1)
        self._wanted = max(1, workers // GROUP)
        server = engine_of(self.trial.master).server
        assert server is not None
        self._line = Cutter(Address(server.address.host, server.address.port))
        self._supervisors: list[Running] = []
        self._over_line: set[int] = set()
        self._sleeping: list[tuple[float, int]] = []
        self._stop = threading.Event()
        self._problems: list[str] = []

    def run(self, seconds: float) -> Report:
        """Let it rain for so long; then wait for what is under way."""
        for _ in range(self._wanted):
            self._do_join()
        threads = [
            threading.Thread(target=self._guarded, args=(ask,), name="chaos", daemon=True)
            for ask in (self._call, self._request, self._watch)
        ]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        end = began + seconds
        due = began + self._random.expovariate(self.rate)
        while time.monotonic() < end:
            self._stop.wait(max(0.0, min(due - time.monotonic(), 0.1)))
            self._wake_up()
            if time.monotonic() >= due:
                due += self._random.expovariate(self.rate)
                self._fault()
        self._wake_up(everybody=True)
        self._stop.set()
        for thread in threads:
            thread.join(2 * BOUND)
            if thread.is_alive():
                self._problems.append(f"hangs: {thread}")
        self.driver.collect(BOUND)
        took = time.monotonic() - began
        verdict = self.driver.verdict()
        engine_of(self.trial.master).manager.check()
        return Report(verdict, took, self._memory(), self._problems)

    def close(self) -> None:
        """End everything."""
        self._wake_up(everybody=True)
        self.trial.close()
        self._line.close()

    # -- the load ---------------------------------------------------------------------------

    def _guarded(self, work: object) -> None:
        try:
            work()  # type: ignore[operator]
        except Exception as error:
            self._problems.append(f"{type(error).__name__}: {error}")

    def _some(self, number: int, way: str) -> None:
        weights = [share for share, _, _ in MIX]
        for _, action, seconds in self._tasks.choices(MIX, weights, k=number):
            self.driver.submit(action, seconds, way=way)

    def _call(self) -> None:
        """Ask for calls, a few batches ahead."""
        while not self._stop.is_set():
            self._some(BATCH, CALL)
            if len(self.driver.waiting) > WINDOW:
                oldest, self.driver.waiting = (
                    self.driver.waiting[:BATCH],
                    self.driver.waiting[BATCH:],
                )
                self.driver.waiting += self.driver.collect_calls(time.monotonic() + BOUND, oldest)

    def _request(self) -> None:
        """Ask for tasks by tag, with a window."""
        while not self._stop.is_set():
            self._some(BATCH, BY_TAG)
            end = time.monotonic() + BOUND
            while self.driver.tagged > WINDOW and self.driver.collect_one_by_tag(end):
                pass

    def _watch(self) -> None:
        """Write down the memory of this process, which is the master."""
        me = psutil.Process()
        while not self._stop.wait(0.5):
            note(self.folder, "driver", MEMORY, me.memory_info().rss)

    def _memory(self) -> list[tuple[float, int]]:
        return [(line[1], line[2]) for line in lines(self.folder) if line[0] == MEMORY]

    # -- the faults -------------------------------------------------------------------------

    def _fault(self) -> None:
        kind = self._random.choices(list(KINDS), list(KINDS.values()))[0]
        with contextlib.suppress(ProcessLookupError, psutil.Error):
            getattr(self, "_do_" + kind.replace(" ", "_"))()
        self._supervisors = [s for s in self._supervisors if s.process.poll() is None]
        while len(self._supervisors) < self._wanted:
            self._do_join()

    def _workers(self, of: set[int] | None = None) -> list[int]:
        """Process ids of all workers, or of those of some supervisors."""
        ours = {s.pid for s in self._supervisors} if of is None else of
        found = []
        for pid in sorted(self.driver.workers()):
            with contextlib.suppress(psutil.Error):
                if psutil.Process(pid).ppid() in ours:
                    found.append(pid)
        return found

    def _do_kill(self) -> None:
        if workers := self._workers():
            hit(self.folder, "kill", signal.SIGKILL, self._random.choice(workers))

    def _do_stop(self) -> None:
        if workers := self._workers():
            pid = self._random.choice(workers)
            hit(self.folder, "stop", signal.SIGSTOP, pid)
            pause = self._random.expovariate(1 / (2 * HEARTBEAT))
            self._sleeping.append((time.monotonic() + pause, pid))

    def _wake_up(self, *, everybody: bool = False) -> None:
        """Let those go on whose time has come."""
        now = time.monotonic()
        for until, pid in list(self._sleeping):
            if everybody or until <= now:
                self._sleeping.remove((until, pid))
                if not is_gone(pid):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGCONT)

    def _do_cut(self) -> None:
        note(self.folder, "test", FAULT, "cut", self._workers(self._over_line))
        self._line.cut()

    def _do_join(self) -> None:
        """Start a supervisor, over the line that is cut or not; if there are many, one goes."""
        over_line = self._random.random() < 0.5
        where = ("-m", str(self._line.address)) if over_line else ()
        started = self.trial.command("-n", str(GROUP), *where)
        self._supervisors.append(started)
        if over_line:
            self._over_line.add(started.pid)
        note(self.folder, "test", FAULT, "join", [])
        if len(self._supervisors) > 2 * self._wanted:
            self._do_leave()

    def _do_leave(self) -> None:
        leaving = self._random.choice(self._supervisors)
        hit(self.folder, "leave", signal.SIGTERM, leaving.pid)

    def _do_kill_supervisor(self) -> None:
        victim = self._random.choice(self._supervisors)
        note(self.folder, "test", FAULT, "kill supervisor", self._workers({victim.pid}))
        victim.process.kill()


def main() -> int:
    parser = argparse.ArgumentParser(description="a job under a rain of faults")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seconds", type=float, help="in place of --minutes")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--rate", type=float, default=1.0, help="faults in a second")
    options = parser.parse_args()
    seconds = options.seconds or 60.0 * options.minutes
    seed = random.SystemRandom().randrange(1 << 31) if options.seed is None else options.seed
    faulthandler.dump_traceback_later(seconds + 5 * BOUND, exit=True)
    logging.getLogger("masterworker").setLevel(logging.CRITICAL)  # losses are what we are here for
    with tempfile.TemporaryDirectory(prefix="mwchaos") as folder:
        os.environ.setdefault("MASTERWORKER_RUNTIME", folder)
        chaos = Chaos(Path(folder), seed, options.workers, options.rate)
        try:
            report = chaos.run(seconds)
        finally:
            chaos.close()
        sys.stdout.write(table(report, seed))
        late = check(folder)  # also what came during the shutdown
    return 0 if report.sound and late.sound else 1


if __name__ == "__main__":
    sys.exit(main())
