"""A rain of signals on a program that goes on: what it was promised comes, whatever is broken off.

    PYTHONPATH=tests python -m interruptions.rain --interrupts 100000 --seed 1

One thread interrupts the main thread again and again, 0.2 to 30 ms apart; that one makes calls of
all kinds, catches what comes, and goes on. Every few thousand times it is dry for a moment: every
future must have its outcome, every task by tag its one outcome, `check` must find nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import importlib
import itertools
import logging
import os
import pkgutil
import random
import signal
import sys
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import masterworker
from masterworker import Master, Worker
from masterworker.errors import TaskCancelled
from masterworker.master import engine_of
from masterworker.signals import signals
from masterworker.testing import connection

if TYPE_CHECKING:
    from collections.abc import Callable

#: Between two signals (seconds).
NEAREST, FARTHEST = 0.0002, 0.03
#: Nothing takes so long, unless it hangs (seconds).
HANG = 20.0
#: Exit status of a program that hangs.
WEDGED = 3
#: Signals between two looks.
ROUND = 2000
TAG = "anything"


class Blow(BaseException):
    """What a handler of the user's raises, as `sys.exit` does."""


class Cloud:
    """Sends signals to the main thread, from a thread of its own.

    Args:
        numbers: Which ones.
        seed: For when.
    """

    def __init__(self, numbers: list[int], seed: int) -> None:
        self.sent = 0
        self._numbers = numbers
        self._random = random.Random(seed)
        self._raining = threading.Event()
        self._dry = threading.Event()
        self._target = threading.main_thread().ident or 0
        threading.Thread(target=self._run, daemon=True).start()

    def open(self) -> None:
        self._dry.clear()
        self._raining.set()

    def close(self) -> None:
        """When this returns no further signal comes."""
        self._raining.clear()
        while not self._dry.wait(0.001):
            pass

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            if not self._raining.is_set():
                self._dry.set()
                self._raining.wait()
            pause.wait(NEAREST * (FARTHEST / NEAREST) ** self._random.random())
            if self._raining.is_set():
                self.sent += 1
                signal.pthread_kill(self._target, self._random.choice(self._numbers))


class Program:
    """The main thread's half.

    Args:
        master: Of the job.
        seed: For what it does.
    """

    def __init__(self, master: Master, seed: int) -> None:
        self.master = master
        self.caught = 0
        self.calls = 0
        self.futures: list[tuple[Any, Any]] = []
        self.unsure: list[Any] = []
        self.asked: list[str] = []
        self.found: list[str] = []
        self._random = random.Random(seed)
        self._numbers = itertools.count(1)
        self._steps = [
            value for name, value in sorted(vars(Program).items()) if name.startswith("do_")
        ]

    def run(self, over: Callable[[], bool]) -> None:
        """Make calls until it is over, and catch whatever a signal raises."""
        self._survive(over, 10)

    def _survive(self, over: Callable[[], bool], depth: int) -> None:
        """Go on and on. A signal may come while the last one is being caught: so there are more."""
        while True:
            try:
                if depth:
                    self._survive(over, depth - 1)
                    return
                while not over():
                    self.calls += 1
                    self._random.choice(self._steps)(self)
            except (KeyboardInterrupt, Blow):
                self.caught += not depth
                continue
            return

    # -- calls ------------------------------------------------------------------------------

    def do_submit(self) -> None:
        for number in range(self._random.randrange(1, 30)):
            self.futures.append((number, self.master.submit(abs, -number)))

    def do_submit_and_wait(self) -> None:
        for number in range(self._random.randrange(1, 10)):
            future = self.master.submit(abs, -number)
            self.futures.append((number, future))
            assert future.result(HANG) == number

    def do_wait_for_old_ones(self) -> None:
        for expected, future in self.futures[-3:]:
            assert future.result(HANG) == expected

    def do_poll(self) -> None:
        future = self.master.submit(abs, -1)
        self.futures.append((1, future))
        end = time.monotonic() + HANG
        while not future.done():
            assert time.monotonic() < end, "it is never done"

    def do_map(self) -> None:
        size = self._random.randrange(1, 400)
        numbers = range(-size, 0)
        ordered = self._random.random() < 0.5
        assert sorted(self.master.map(abs, numbers, ordered=ordered)) == list(range(1, size + 1))

    def do_map_with_functions(self) -> None:
        assert list(self.master.map(lambda x: 2 * x, range(20))) == list(range(0, 40, 2))

    def do_as_completed(self) -> None:
        futures = [self.master.submit(abs, -number) for number in range(10)]
        self.futures.extend(enumerate(futures))
        assert sum(future.result() for future in self.master.as_completed(futures, HANG)) == 45

    def do_cancel(self) -> None:
        for _ in range(20):
            future = self.master.submit(abs, -1)
            self.unsure.append(future)
            future.cancel()

    def do_options(self) -> None:
        asking = self.master.options(priority=self._random.randrange(3), retries=1)
        self.futures.append((2, asking.submit(abs, -2)))

    def do_request(self) -> None:
        for _ in range(self._random.randrange(1, 20)):
            self.asked.append(self.master.request_task(TAG, next(self._numbers)))

    def do_retrieve(self) -> None:
        with contextlib.suppress(TimeoutError):
            for _ in range(self._random.randrange(1, 20)):
                self.found.append(self.master.retrieve_result(TAG, 0.01)[0])

    def do_results(self) -> None:
        for outcome in self.master.results(TAG):
            self.found.append(outcome[0])

    def do_status(self) -> None:
        for number in range(50):
            self.futures.append((number, self.master.submit(abs, -number)))
            assert self.master.status().done >= 0
        assert self.master.number_of_workers >= 0

    def do_share(self) -> None:
        with self.master.share(x=7) as shared:
            assert self.master.submit(max, 3, shared.x).result(HANG) == 7

    # -- when it is dry ---------------------------------------------------------------------

    def look(self) -> None:
        """Nothing is lost, nothing is broken, and the job goes on."""
        for expected, future in self.futures:
            assert future.result(HANG) == expected
        for future in self.unsure:
            with contextlib.suppress(TaskCancelled):
                assert future.result(HANG) == 1
        self.do_results()
        assert sorted(self.asked) == sorted(self.found), "tasks by tag"
        engine_of(self.master).manager.check()
        assert self.master.submit(abs, -5).result(HANG) == 5
        assert not engine_of(self.master).router.sleepers
        end = time.monotonic() + HANG
        while engine_of(self.master).manager.core.tasks or engine_of(self.master).router.futures:
            assert time.monotonic() < end, "something is left behind"
            threading.Event().wait(0.01)
        for kept in (self.futures, self.unsure, self.asked, self.found):
            kept.clear()


def rain(
    number: int, seed: int, numbers: list[int], bound: float, seconds: float | None = None
) -> str:
    """Let it rain, and return what is to be said about it; end the process if nothing goes on."""
    began = time.monotonic()
    with Master(workers=2) as master:
        worker = Worker(
            "any", handlers={TAG: abs}, connect=partial(connection, engine_of(master).manager)
        )
        thread = threading.Thread(target=worker.run, daemon=True)
        thread.start()
        cloud, program = Cloud(numbers, seed), Program(master, seed)
        while cloud.sent < number and (seconds is None or time.monotonic() - began < seconds):
            end = min(number, cloud.sent + ROUND)
            moment = time.monotonic() + (HANG if seconds is None else seconds / 4)
            cloud.open()
            program.run(lambda: cloud.sent >= end or time.monotonic() > moment)  # noqa: B023
            program.run(lambda: cloud.close() is None)
            program.look()
            faulthandler.dump_traceback_later(bound, exit=True)
    thread.join(HANG)
    took = time.monotonic() - began
    told = f"{cloud.sent} signals in {took:.0f} s, {program.caught} caught in {program.calls} calls"
    return f"{told}: 0 lost, 0 wedged, check() clean"


def load() -> None:
    """Import what is imported late.

    An exception of a handler at one step of an import leaves the lock of all imports held (in
    `_get_module_lock` of importlib, seen with 3.11), and then no thread of any program goes on.
    """
    for found in pkgutil.walk_packages(masterworker.__path__, "masterworker."):
        if found.name.split(".")[1] not in {"cli", "joblib"}:  # the former is for programs
            importlib.import_module(found.name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--interrupts", type=int, default=100_000)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--signals", default="SIGINT", help="with commas")
    parser.add_argument("--unprotected", action="store_true", help="plant a bug")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    load()
    bound = 15.0 if options.unprotected else 4 * HANG
    faulthandler.dump_traceback_later(bound, exit=True)
    numbers = [signal.Signals[name] for name in options.signals.split(",")]

    def strike(*_: object) -> None:
        raise Blow

    for number in numbers:
        if number != signal.SIGINT:
            signal.signal(number, strike)
    if options.unprotected:
        signals.hold = signals.release = lambda: None  # type: ignore[method-assign]
    try:
        print(rain(options.interrupts, options.seed, list(numbers), bound, options.seconds))  # noqa: T201
    except BaseException:
        if options.unprotected:
            print("found", flush=True)  # noqa: T201
            faulthandler.cancel_dump_traceback_later()
            os._exit(WEDGED)
        raise
    sys.stdout.flush()


if __name__ == "__main__":
    main()
