"""One master after the other: to each, the numbers of the last one mean nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from masterworker.core.scheduler import Scheduler
from masterworker.data.items import single
from masterworker.errors import MasterworkerError
from masterworker.wire import number_of_run
from simulation.desk import Desk, finished_of
from simulation.network import Network
from simulation.oracle import Oracle
from simulation.watched import watched

if TYPE_CHECKING:
    from simulation.kernel import Kernel
    from simulation.swarm import Batch, Swarm


class Masters:
    """The master that is there now, and what its own program does."""

    core_class = Scheduler
    desk_class = Desk
    oracle_class = Oracle

    kernel: Kernel
    swarm: Swarm
    tags: tuple[str | None, ...]

    def _first_master(self) -> None:
        self.down = False
        #: Who judges each run of the master.
        self.oracles: dict[str, Oracle] = {}
        self._requesters = 1
        #: What its own program asks for; it has done so.
        self._own: list[tuple[Batch, list[bytes]]] = []
        self._asked = False
        self._new_master()
        self.net = Network(self.kernel, self.swarm, self.desk)

    def _new_master(self) -> None:
        self.core = self.make_core()
        self.core.__class__ = watched(self.core.__class__)
        self.oracle = self.oracle_class(self.core, self.trace)
        self.core.oracle, self.core.kernel = self.oracle, self.kernel
        self.desk = self.desk_class(self.kernel, self.swarm, self.core, self.oracle)
        self.desk.instance = f"run {len(self.oracles) + 1}"
        self.desk.machine.supervision.run = number_of_run(self.desk.instance)
        self.oracles[self.desk.instance] = self.oracle

    def make_core(self) -> Any:
        return self.core_class(single=single)

    def trace(self, text: str) -> None:
        raise NotImplementedError

    # -- its own program --------------------------------------------------------------------

    def _run_program(self) -> None:
        """Ask for tasks, and collect outcomes."""
        for batch, payloads in self._own:
            pause = max(0.0, batch.when - self.kernel.now)
            self.kernel.after(pause, self._request_here, self.desk, batch, payloads)
        self.kernel.after(0.0, self._join_here, self.desk)
        pause = max(0.0, self.swarm.batches[-1].when - self.kernel.now)
        self.kernel.after(pause, self._requested_here, self.desk)

    def _join_here(self, desk: Desk) -> None:
        self._master = self.core.on_joined("master", frozenset(), None, self.kernel.now)
        self._collect_here(desk)

    def _request_here(self, desk: Desk, batch: Batch, payloads: list[bytes]) -> None:
        if not desk.held_up(self._request_here, desk, batch, payloads):
            if batch.direct and batch.singly:
                desk.submit_here(batch.tag, payloads, batch.options)
            else:
                desk.request_here(batch.tag, payloads, batch.options, direct=batch.direct)

    def _collect_here(self, desk: Desk) -> None:
        """The master itself picks outcomes up."""
        if desk.held_up(self._collect_here, desk):
            return

        def end(reply: Any) -> None:
            if isinstance(reply, MasterworkerError):
                return
            for outcome in finished_of(reply):
                desk.oracle.received(outcome)
            self.kernel.after(0.2 * self.kernel.random.random(), self._collect_here, desk)

        desk.touched = True
        tag = self.kernel.random.choice(self.tags)
        wait = self.kernel.random.choice((0.0, 1.0, 5.0))
        desk._collect(end, "", self._master, tag, 1, wait, 0)

    def _requested_here(self, desk: Desk) -> None:
        if not desk.held_up(self._requested_here, desk):
            self._asked = True
            self.requested()

    def requested(self) -> None:
        """One of those who ask for tasks has asked for all of his."""
        self._requesters -= 1

    # -- the next one -----------------------------------------------------------------------

    def _end_master(self) -> None:
        """The master's process ends, unless the job is over."""
        if not self.core.terminated:
            self._lose_master()

    def _lose_master(self) -> None:
        """The master's process ends, and all that it knows is gone."""
        self.trace("the master dies")
        self.down = self.net.down = True
        self._requesters += self._asked
        self._asked = False
        self.desk.die()
        self.net.cut_all()
        self.kernel.after(self.swarm.down, self._begin_master)

    def _begin_master(self) -> None:
        self.trace("another master is there")
        self._new_master()
        self.down = self.net.down = False
        self.net.desk = self.desk
        self._run_program()
