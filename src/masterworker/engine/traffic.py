"""Lanes that ask for work, bundles that leave, and answers that come back.

A lane is a member of the job. There are as many as the engine has slots, and as many again while
tasks are short: those have a bundle at the engine that begins as soon as a slot is free.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

from masterworker import wire
from masterworker.core.hand import MAX_WANT
from masterworker.core.task import ids_of, size_of
from masterworker.engine.adapters.base import Died, Gone, Unfit, Withdrawn
from masterworker.engine.blame import Blame
from masterworker.engine.lane import Lane, Stage
from masterworker.engine.meanwhile import not_begun
from masterworker.engine.parcel import Answer
from masterworker.errors import RejectedError
from masterworker.machine import random_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from masterworker.core.grain import Spent
    from masterworker.core.task import Outcome
    from masterworker.engine.adapters.base import Verdict
    from masterworker.engine.use import Use
    from masterworker.errors import EngineError

#: Seconds that a lane waits for work in one call.
WAIT = 5.0


class Later:
    """Takes a deferred reply of the manager, and hands it to the thread.

    Args:
        put: Is given the reply; None: there is none.
    """

    __slots__ = ("_put",)

    def __init__(self, put: Callable[[Any], None]) -> None:
        self._put = put

    def send(self, reply: Any) -> None:
        """See `transport.base.Later`."""
        self._put(reply)

    def give_up(self) -> None:
        """See `transport.base.Later`."""
        self._put(None)


class Traffic:
    """The lanes of one job. For one thread.

    Args:
        use: The engine.
        name: Random name of the one that looks after the members.
        put: Lets the thread call a function; may be called by any.
        fail: Called when the engine is gone.
    """

    def __init__(
        self,
        use: Use,
        name: str,
        put: Callable[..., None],
        fail: Callable[[EngineError], None],
    ) -> None:
        self._use, self._manager, self._name = use, use.manager, name
        self._put, self._fail = put, fail
        self.lanes: list[Lane] = []
        self._ready: deque[Lane] = deque()
        self._blame = Blame(use, self._lost)

    # -- how many ---------------------------------------------------------------------------

    def adjust(self) -> None:
        """Let there be as many lanes as are of use, and let them ask."""
        number = self._use.number
        wanted = 2 * number if self._use.is_short and not self._blame.in_doubt else number
        while len(self.lanes) < wanted:
            self.lanes.append(Lane(len(self.lanes) + 1))
        for lane in self.lanes:
            if lane.stage is Stage.SENT:  # also where there is no slot for it any more
                self._tell_begun(lane)
            elif lane.number > wanted:
                self._dismiss(lane)
            elif self._use.tags is None:
                continue
            elif lane.stage is Stage.AWAY:
                self._join(lane)
                self.ask(lane)
            elif lane.stage is Stage.IDLE:
                self.ask(lane)
        self.send_ready()

    def _dismiss(self, lane: Lane) -> None:
        """There is no slot for a lane: it leaves; one that has a bundle, when that is done."""
        if lane.stage is Stage.READY:
            self._ready.remove(lane)
            self.ask(lane, returned=lane.task_ids)
        elif lane.stage in {Stage.ASKING, Stage.IDLE}:
            self.part(lane)

    def _tell_begun(self, lane: Lane) -> None:
        """Say that a task that is alone in its bundle has begun, as far as the engine says so."""
        is_running = getattr(lane.future, "running", lambda: True)
        if not lane.has_told and len(lane.task_ids) == 1 and is_running():
            lane.has_told = True
            self._manager.exchange(wire.Exchange(lane.member_id, started=lane.task_ids[0]))

    def part_idle(self) -> None:
        """Sign off the lanes that have no bundle."""
        for lane in self.lanes:
            if lane.stage in {Stage.ASKING, Stage.IDLE}:
                self.part(lane)

    def end(self) -> None:
        """The job is over: cancel what the engine has not begun."""
        self._ready.clear()
        for lane in self.lanes:
            if lane.stage is not Stage.SENT or lane.future.cancel():
                self.part(lane)

    def stop(self) -> None:
        """Wait for nothing more."""
        for lane in self.lanes:
            if lane.future is not None:
                lane.future.cancel()
            self._manager.remote.discard(lane.member_id)

    def _join(self, lane: Lane) -> None:
        use, info = self._use, f"slot {lane.number} of {self._use.adapter.name}"
        hello = wire.introduce(info, use.tags, None, random_name(), use.program, self._name)
        try:
            lane.member_id = self._manager.join(hello).member_id
        except RejectedError:  # another program was stored in this instant
            return
        self._manager.remote.add(lane.member_id)
        lane.next_turn(Stage.IDLE)

    def part(self, lane: Lane) -> None:
        """Sign a lane off."""
        if lane.stage is not Stage.AWAY:
            lane.next_turn(Stage.AWAY)
            self._manager.remote.discard(lane.member_id)
            self._manager.leave(lane.member_id)
            self._manager.notify()

    # -- asking -----------------------------------------------------------------------------

    def ask(
        self,
        lane: Lane,
        outcomes: Sequence[Outcome] = (),
        returned: Sequence[int] = (),
        spent: Sequence[Spent] = (),
    ) -> None:
        """Deliver what a lane has, and ask for more."""
        if lane.stage is Stage.AWAY:
            return
        use = self._use
        most = 2 * use.number if use.is_short else use.number
        stop = use.is_over or use.tags is None or lane.number > most
        turn = lane.next_turn(Stage.IDLE if stop else Stage.ASKING)
        lane.put_down()
        asked = wire.Exchange(
            *(lane.member_id, list(outcomes), list(returned), 0),
            *((0, 0.0) if stop else (MAX_WANT, WAIT)),
            seconds=use.engine.bundle_seconds,
            spent=tuple(spent),
        )
        later = Later(partial(self._put, self._on_reply, lane, turn))
        reply = self._manager.exchange_later(later, asked)
        if stop:
            self.part(lane)
        elif reply is not None:
            self._put(self._on_reply, lane, turn, [True, reply])

    def listen(self, member_id: int) -> None:
        """There is an order for a lane: is anything asked back that it has?"""
        lane = next((each for each in self.lanes if each.member_id == member_id), None)
        if lane is None or lane.stage not in {Stage.SENT, Stage.READY}:
            return
        reply = self._manager.exchange(wire.Exchange(member_id))
        asked_back = [task_id for order, task_id in reply.orders if order == wire.REVOKE]
        if not asked_back:
            return
        if lane.stage is Stage.READY:
            self._ready.remove(lane)
        elif not lane.future.cancel():
            for task_id in asked_back:  # or it is about to: an engine does not say
                self._manager.exchange(wire.Exchange(member_id, started=task_id))
            return
        self.ask(lane, returned=lane.task_ids)

    def _on_reply(self, lane: Lane, turn: int, reply: Any) -> None:
        """The manager has something for a lane."""
        answer: wire.Reply | None = reply[1] if reply and reply[0] else None
        if lane.turn != turn:
            if answer is not None and answer.leases and lane.stage is not Stage.AWAY:
                ids = [number for lease in answer.leases for number in ids_of(lease)]
                self._manager.exchange(wire.Exchange(lane.member_id, [], ids))
            return
        orders = set() if answer is None else {order for order, _ in answer.orders}
        if answer is None or orders & {wire.STOP, wire.REJOIN}:
            self.part(lane)
        elif answer.leases:
            lane.leases = list(answer.leases)
            lane.next_turn(Stage.READY)
            self._ready.append(lane)
            self.send_ready()
        else:
            self.ask(lane)

    # -- sending ----------------------------------------------------------------------------

    def send_ready(self) -> None:
        """Send what is ready: what is in doubt alone, everything else at once."""
        if self._use.number < 1:  # until there are workers
            return
        under_way = [lane for lane in self.lanes if lane.stage is Stage.SENT]
        if any(lane.alone for lane in under_way):
            return
        for lane in list(self._ready):
            alone = self._blame.is_doubtful(lane.task_ids)
            if alone and under_way:
                continue
            self._ready.remove(lane)
            if self._blame.has_struck(lane):
                continue
            turn = lane.next_turn(Stage.SENT)
            lane.alone = alone
            done = partial(self._put, self._on_done, lane, turn)
            lane.future = self._use.send(lane.leases, lane.member_id, lane.missing, done)
            under_way.append(lane)
            if alone:
                return

    # -- what has become of it ----------------------------------------------------------------

    def _on_done(self, lane: Lane, turn: int, future: Any) -> None:
        """A future of the engine is done: perhaps twice, perhaps too late."""
        if lane.turn != turn:
            return
        found = self._use.outcome(future)
        if not isinstance(found, Answer):
            self._on_nothing(lane, found)
        elif found.refusal:
            self._give_up(lane, found.refusal)
        elif found.missing:
            lane.missing = found.missing
            lane.next_turn(Stage.READY)
            self._ready.appendleft(lane)
        else:
            self._take_in(lane, found)
        self.send_ready()

    def _on_nothing(self, lane: Lane, verdict: Verdict) -> None:
        """A bundle has brought no answer."""
        if isinstance(verdict, Withdrawn):
            self._use.number = self._use.adapter.slots()  # none, perhaps
            self.ask(lane, returned=lane.task_ids)
        elif isinstance(verdict, Gone) or (isinstance(verdict, Unfit) and verdict.is_final):
            self._give_up(lane, verdict.text)
        else:
            died = verdict if isinstance(verdict, Died) else Died(verdict.text)
            sent = [each for each in self.lanes if each.stage is Stage.SENT]
            if not self._blame.on_death(lane, died, sent):
                self._fail(self._use.error(died.text))

    def _take_in(self, lane: Lane, answer: Answer) -> None:
        self._blame.is_well(lane)
        for further in answer.further:
            number = self._manager.request(further.tag, (further.payload,), further.options)
            if further.kind >= 0:
                self._manager.settle(number, further.kind, further.outcome)
        if answer.spent:
            seconds = sum(spent.seconds for spent in answer.spent)
            mean = seconds / max(1, sum(spent.tasks for spent in answer.spent))
            short = mean < self._use.engine.bundle_seconds / 2
            if short and not self._use.is_short and size_of(lane.leases) > 1:
                self._put(self.adjust)
            self._use.is_short = short and (self._use.is_short or size_of(lane.leases) > 1)
        self.ask(lane, answer.outcomes, not_begun(lane.leases, answer), answer.spent)

    def _lost(self, lane: Lane, why: str, blame: bool) -> None:
        """Take what a lane has out of its hands, and let it begin anew."""
        lane.next_turn(Stage.AWAY)
        lane.put_down()
        self._manager.remote.discard(lane.member_id)
        self._manager.lost(lane.member_id, why, blame=blame)
        if not self._use.is_over and self._use.tags is not None:
            self._join(lane)
            self.ask(lane)

    def _give_up(self, lane: Lane, said: str) -> None:
        error = self._use.error(said)
        self._use.is_over = True
        self._lost(lane, said, blame=False)
        self._fail(error)
