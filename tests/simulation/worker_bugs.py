"""Bugs to plant in the worker's half: what it says twice, forgets, or takes for something else.

Each is the product's own session or lookout with one defect; `tune` says in which world it is at
work soonest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from masterworker import wire
from masterworker.conversation.worker import effects
from masterworker.conversation.worker.lookout import Look, Lookout
from masterworker.conversation.worker.session import WorkerSession
from masterworker.conversation.worker.states import STOPS
from simulation.bugs import cancelled_as_they_wait
from simulation.conversation_bugs import supervised

if TYPE_CHECKING:
    from masterworker.conversation.worker.session import Steps
    from masterworker.core.task import Lease
    from simulation.swarm import Swarm


def long_tasks(swarm: Swarm) -> None:
    """Tasks take longer than a worker may be silent."""
    for batch in swarm.batches:
        batch.options = None
        for spec in batch.specs:
            spec.seconds, spec.poison, spec.further = 2.0 * swarm.silence, False, 0


def asked_back(swarm: Swarm) -> None:
    """Tasks are often asked back from workers that have several."""
    supervised(swarm)
    swarm.faults_end, swarm.revoke = max(swarm.faults_end, 5.0), 20.0
    for batch in swarm.batches:
        batch.options = None


class AppliesRepliesTwice(WorkerSession):
    """The leases of a reply are taken in twice."""

    def exchange(self, *args: Any) -> Steps[wire.Reply]:
        reply = yield from super().exchange(*args)
        self.hand.take(reply.leases)
        return reply


class StopIsLost(WorkerSession):
    """A worker that is told to stop goes on."""

    def _obey(self, order: str, argument: int) -> Steps[None]:
        if order != wire.STOP:
            yield from super()._obey(order, argument)


class LosesWhatCameTooLate(WorkerSession):
    """Tasks that come in the same instant as the outcome are neither executed nor given back."""

    tune = staticmethod(cancelled_as_they_wait)

    def give_back(self, leases: list[Lease]) -> Steps[Any]:
        return wire.Reply([], [], [], 0.0)
        yield


class StaysWhoItWas(WorkerSession):
    """After it has joined again, it speaks under its former number."""

    def join(self) -> Steps[None]:
        before = self.member_id
        yield from super().join()
        self.member_id = self.member_id if before is None else before


class NeverGivesUp(WorkerSession):
    """The end of the job is taken for one more broken connection."""

    def _join_again(self) -> Steps[None]:
        while True:
            before = self.state
            yield from super()._join_again()
            if self.state not in STOPS or before in STOPS:
                return
            self.state = before
            yield effects.Pause(1.0, 0.0, 0.0)


class IsNeverHeardOf(Lookout):
    """The courier gives no sign of life during a long task."""

    tune = staticmethod(long_tasks)

    def look(self, now: float) -> Look:
        what = super().look(now)
        return Look.NOTHING if what is Look.BEAT else what


class NeverGivesBack(Lookout):
    """What waits behind a task that takes long stays there."""

    def look(self, now: float) -> Look:
        what = super().look(now)
        return Look.NOTHING if what is Look.GIVE_BACK else what


class GivesBackWhatItHasBegun(WorkerSession):
    """What it is asked back it gives back, whether it has begun or not."""

    tune = staticmethod(asked_back)

    def exchange(self, want: int, wait: float, returned: list[int]) -> Steps[wire.Reply]:
        reply = yield from super().exchange(want, wait, returned)
        asked = [argument for order, argument in reply.orders if order == wire.REVOKE]
        if begun := [each for each in asked if each == self.hand.current]:
            yield from super().exchange(0, 0.0, begun)
        return reply


class KeepsWhatItGivesBack(WorkerSession):
    """What it is asked back it gives back, and executes it all the same."""

    tune = staticmethod(asked_back)

    def exchange(self, want: int, wait: float, returned: list[int]) -> Steps[wire.Reply]:
        kept = list(self.hand.leases)
        reply = yield from super().exchange(want, wait, returned)
        if any(order == wire.REVOKE for order, _ in reply.orders):
            self.hand.leases.clear()
            self.hand.leases.extend(kept)
        return reply


class BorrowsNothing(WorkerSession):
    """A worker that waits borrows nothing else, so a job with one worker does not go on."""

    def collect(self, *args: Any, **kwargs: Any) -> Steps[Any]:
        steps = super().collect(*args, **kwargs)
        answer = None
        try:
            while True:
                effect = steps.send(answer)
                if isinstance(effect, effects.Collect):
                    effect = effects.Collect(
                        effect.member_id, effect.tag, effect.wait, wire.NOTHING, effect.mine
                    )
                answer = yield effect
        except StopIteration as end:
            return end.value
