"""A master, and workers in threads of this process, which are joined in the end."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from contract.relay import Relay
from masterworker import Master, Worker
from masterworker.master import engine_of
from masterworker.transport.address import Address
from masterworker.transport.pyro.connection import connect
from masterworker.worker import engine_of as worker_engine_of
from support import HANG, unique_label, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable


class Hired:
    """A worker that runs in a thread."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, name="test-worker", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.worker.run()
        except BaseException as error:
            self.error = error

    def join(self, timeout: float = HANG) -> None:
        """Wait for its end, which must be a good one."""
        self.thread.join(timeout)
        assert not self.thread.is_alive(), "the worker does not end"
        if self.error is not None:
            raise self.error


class Crew:
    """One job."""

    def __init__(self, **options: Any) -> None:
        self.label = unique_label("crew")
        self.master = Master(self.label, **options)
        self.hired: list[Hired] = []
        self._relays: list[Relay] = []

    def hire(
        self,
        handlers: dict[str, Callable[..., Any]] | None = None,
        *,
        kind: type[Worker] = Worker,
        relay: Relay | None = None,
        **options: Any,
    ) -> Hired:
        """Let a worker begin, and wait until it has joined."""
        if relay is not None:
            options["connect"] = lambda: connect(relay.address, self.label)
        hired = Hired(kind(self.label, handlers=handlers, **options))
        self.hired.append(hired)
        wait_until(
            lambda: (
                hired.error or worker_engine_of(hired.worker).talk.session.member_id is not None
            ),
            what="the worker has joined",
        )
        return hired

    def relay(self) -> Relay:
        """A line to the master that can be cut."""
        assert engine_of(self.master).server is not None
        address = engine_of(self.master).server.address
        self._relays.append(Relay(Address(address.host, address.port)))
        return self._relays[-1]

    def results(self, number: int, tag: str | None = None) -> list[Any]:
        """The results of so many tasks, in the order of their arrival."""
        try:
            return [self.master.retrieve_result(tag, timeout=HANG)[2] for _ in range(number)]
        except TimeoutError as late:
            raise AssertionError(
                f"workers have ended with {[h.error for h in self.hired]}"
            ) from late

    def close(self) -> None:
        """End the job; every worker ends with it."""
        engine_of(self.master).manager.check()
        self.master.shutdown()
        for hired in self.hired:
            hired.thread.join(HANG)
        for relay in self._relays:
            relay.close()
        left = [h for h in self.hired if h.thread.is_alive()]
        assert not left, f"{len(left)} workers do not end"
