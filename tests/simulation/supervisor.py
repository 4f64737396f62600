"""A supervisor in virtual time: it knows how its workers end, and vouches for those that are well.

Follows `masterworker.launch.reporter`: one connection waits for orders, one delivers news.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from masterworker import wire
from masterworker.errors import TransportError
from masterworker.launch.health import KILL_GRACE_SECONDS
from simulation.peers import Peer

if TYPE_CHECKING:
    from simulation.kernel import Run
    from simulation.worker import SimWorker
    from simulation.world import World

#: One call waits for orders for so long (seconds).
TURN: Final = 1.0
#: A supervisor looks at its workers so often (seconds).
GLANCE: Final = 0.05


class SimSupervisor:
    """Watches the workers of one host."""

    def __init__(self, world: World, host: int, serial: int) -> None:
        self.world = world
        self.host = host
        self.name = f"supervisor{host}/{serial}"
        self._endings: list[tuple[str, wire.Ending]] = []
        self._over = False
        self._listener = Peer(world, f"host{host}", serial)
        self._messenger = Peer(world, f"host{host}", -serial)
        self._listener.spawn(self._listen())
        self._messenger.spawn(self._tell())

    @property
    def alive(self) -> bool:
        return self._listener.alive

    def die(self) -> None:
        """End, with both connections."""
        for peer in (self._listener, self._messenger):
            peer.die()
            self.world.net.process_died(peer)

    def ended(
        self, worker: SimWorker, how: str, blame: bool, outcome: tuple[int, bytes] | None
    ) -> None:
        """A worker process has ended: by itself, or because it was told to."""
        member = -1 if worker.member is None else worker.member
        run = wire.number_of_run(worker.hand.instance)
        ending = wire.Ending(
            member, worker.client, worker.executing, how, blame, "", outcome, run=run
        )
        pause = GLANCE * self.world.kernel.random.random()
        news = worker.hand.instance, ending
        self.world.kernel.after(pause, self._endings.append, news)

    def _mine(self) -> list[SimWorker]:
        return [w for w in self.world.workers if w is not None and w.supervisor == self.name]

    def _well(self) -> list[tuple[str, int]]:
        well = [w for w in self._mine() if not w.stopped]
        return [(w.hand.instance, w.member) for w in well if w.member is not None]

    def _listen(self) -> Run:
        while True:
            try:
                orders = yield from self._attend(self._listener, [], TURN)
            except TransportError:
                yield 0.5
                continue
            self._obey(orders)
            if self._over:
                return

    def _obey(self, orders: list[tuple[str, int, int]]) -> None:
        for order, member, task in orders:
            if order == wire.STOP:
                self._over = True
            for worker in self._mine():
                if worker.member != member:
                    continue
                worker.orders += 1
                if order == wire.CANCEL:
                    worker.break_off(task)
                    if worker.deaf and worker.executing == task:
                        self.world.kernel.after(KILL_GRACE_SECONDS, self._insist, worker, task)

    def _insist(self, worker: SimWorker, task: int) -> None:
        if self.alive and worker.alive and worker.executing == task:
            self.world.kill(worker, "its task was cancelled", asked=True)

    def _tell(self) -> Run:
        told: list[tuple[str, int]] = []
        while not self._over:
            endings, well = list(self._endings), self._well()
            if endings or not set(well) <= set(told):
                try:
                    orders = yield from self._attend(self._messenger, endings, 0.0)
                except TransportError:
                    yield 0.5
                    continue
                self._obey(orders)
                told = well
                del self._endings[: len(endings)]
            yield GLANCE

    def _attend(self, peer: Peer, endings: list[tuple[str, wire.Ending]], wait: float) -> Run:
        return (yield from peer.call("it", "attend", self.name, self._well(), endings, wait))
