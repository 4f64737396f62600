"""B7, B8, B9: connections that break in the middle of a message, lose, repeat and delay."""

from __future__ import annotations

import contextlib
import os
import threading
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from faults.driver import BY_TAG, CALL, TAG
from faults.proxy import Cutter
from faults.trial import Trial, telling
from faults.work import recorded
from masterworker import Worker
from masterworker.errors import TransportError
from masterworker.manager import Service
from masterworker.master import engine_of
from masterworker.security.peer import OWNER
from masterworker.testing import Faults, MemoryConnection, connection
from masterworker.transport.address import Address
from masterworker.transport.pyro.connection import connect
from support import HANG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from masterworker.transport.base import Connection


#: Cut a conversation at each byte whose number can be divided by this.
STEP = int(os.environ.get("MASTERWORKER_CUT_EVERY", "31"))


@contextlib.contextmanager
def line(trial: Trial, *, reset: bool = False) -> Iterator[Cutter]:
    """A line to the master that does what it is told."""
    assert engine_of(trial.master).server is not None
    address = engine_of(trial.master).server.address
    cutter = Cutter(Address(address.host, address.port), reset=reset)
    try:
        yield cutter
    finally:
        cutter.close()


@contextlib.contextmanager
def worker_over(label: str, dial: Callable[[], Connection]) -> Iterator[None]:
    """A worker in a thread, which leaves in good order in the end.

    One whose very first words are lost ends, as a worker process does; a new one is made then.
    """
    leaving = threading.Event()

    class Leaving(Worker):
        def wants_to_stop(self) -> bool:
            return leaving.is_set()

    def work() -> None:
        while not leaving.is_set():
            with contextlib.suppress(TransportError):
                worker = Leaving(
                    label,
                    handlers={TAG: recorded},
                    heartbeat=0.1,
                    reconnect=10.0,
                    connect=dial,
                )
                worker.run()

    thread = threading.Thread(target=work, name="test-worker", daemon=True)
    thread.start()
    try:
        yield
    finally:
        leaving.set()
        thread.join(HANG)
        assert not thread.is_alive(), "the worker does not leave"


def conversation(trial: Trial, cutter: Cutter, cuts: tuple[int | None, int | None]) -> None:
    """A worker joins, executes two tasks, one of each kind, and leaves; somewhere it is cut off."""
    cutter.up = cutter.down = 0
    cutter.cut_up_at, cutter.cut_down_at = cuts
    trial.driver.submit(way=CALL)
    trial.driver.submit(way=BY_TAG)
    try:
        with worker_over(trial.label, lambda: connect(cutter.address, trial.label)):
            trial.driver.collect()
    finally:
        cutter.cut_up_at = cutter.cut_down_at = None


@pytest.mark.parametrize(
    ("direction", "reset"),
    telling(
        2,
        {
            "request FIN": ("up", False),
            "reply RST": ("down", True),
            "request RST": ("up", True),
            "reply FIN": ("down", False),
        },
    ),
)
def test_b7_cut_at_every_byte(tmp_path: Path, direction: str, *, reset: bool) -> None:
    """Of a whole conversation: no half message has an effect, and each task has one outcome.

    Here at some bytes; at all of them with MASTERWORKER_CUT_EVERY=1.
    """
    trial = Trial(tmp_path)
    try:
        with line(trial, reset=reset) as cutter:
            conversation(trial, cutter, (None, None))
            length = cutter.up if direction == "up" else cutter.down
            cuts, done = range(STEP // 2 if reset else 0, length, STEP), 0
            for k in cuts:
                before = cutter.cuts
                conversation(trial, cutter, (k, None) if direction == "up" else (None, k))
                done += cutter.cuts > before
            assert done > len(cuts) // 2  # how long a conversation is varies a little
        verdict = trial.sound()
        assert verdict.delivered == verdict.submitted
    finally:
        trial.close()


OPERATIONS = ("join", "exchange", "leave")


@pytest.mark.parametrize("what", ["lose_request", "lose_reply"])
def test_b8_each_operation_is_lost(trial: Trial, what: str) -> None:
    """A worker in this process, whose messages are lost, one operation at a time."""
    faults = Faults()
    dial = partial(connection, engine_of(trial.master).manager, faults)
    for operation in OPERATIONS:
        for _ in range(3):
            getattr(faults, what)[operation] = 1
            trial.driver.submit(number=5)
            trial.driver.submit(number=5, way=BY_TAG)
            with worker_over("any", dial):
                trial.driver.collect()
            assert getattr(faults, what)[operation] == 0, f"{operation} was never asked for"
    assert trial.sound().delivered == 90


class Repeating(MemoryConnection):
    """Each message arrives twice, and outcomes a third time at the very end.

    The copy of an exchange asks for nothing: a network repeats what it carries and not the reply.
    """

    outcomes: ClassVar[list[Any]] = []

    def call(self, operation: str, *args: Any) -> Any:
        if operation == "exchange":
            number, outcomes, *_ = args
            self.outcomes += outcomes
            super().call("exchange", number, outcomes, [], 0, 0, 0.0, None)
        elif operation != "join":
            super().call(operation, *args)
        reply = super().call(operation, *args)
        if operation == "leave":
            super().call("exchange", args[0], self.outcomes, [], 0, 0, 0.0, None)
        return reply


def test_b9_each_message_comes_twice(trial: Trial) -> None:
    """Old ones once more, long after their tasks are settled and their sender has left."""
    manager = engine_of(trial.master).manager
    Repeating.outcomes.clear()
    for _ in range(3):
        trial.driver.submit(number=20)
        trial.driver.submit(number=20, way=BY_TAG)
        with worker_over("any", lambda: Repeating(Service(manager, OWNER))):
            trial.driver.collect()
    assert trial.sound().recovered == []
    assert manager.core.tally.duplicates >= 120


@pytest.mark.parametrize("what", ["lose_request", "lose_reply"])
def test_b8_real_processes_lose_messages(trial: Trial, what: str) -> None:
    """Again and again, at any of their messages, while they work."""
    with line(trial) as cutter:
        trial.hands(2, master=str(cutter.address))
        trial.driver.submit("pause", 0.002, number=400)
        trial.driver.submit("pause", 0.002, number=400, way=BY_TAG)
        stop = threading.Event()

        def harm() -> None:
            while not stop.wait(0.07):
                getattr(cutter, what)()

        harming = threading.Thread(target=harm, daemon=True)
        harming.start()
        try:
            trial.driver.collect()
        finally:
            stop.set()
            harming.join(HANG)
        assert cutter.connections > 4
        assert trial.sound().delivered == 800


def test_b9_slow_line(trial: Trial) -> None:
    """Each message is late, so that those of several connections come in another order."""
    with line(trial) as cutter:
        cutter.delay = 0.05
        trial.hands(3, master=str(cutter.address))
        for _ in range(20):
            trial.driver.submit("pause", 0.005, number=10)
            trial.driver.submit("pause", 0.005, number=10, way=BY_TAG)
        trial.driver.collect()
        verdict = trial.sound()
        assert verdict.delivered == 400
        assert verdict.recovered == []
