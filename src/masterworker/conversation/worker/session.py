"""The worker's half of the conversation: what it says to the manager, and what it makes of replies.

A plain state machine around what the worker has in its hand. Each *procedure* (`join`, `exchange`,
`collect`, ...) is a generator: it yields what the shell has to do (`effects`), one at a time, and
is sent the answer, or has thrown into it what the call has failed with. No locks, threads, sockets,
clocks, signals or logging may ever live here, so the same answers always lead to the same effects,
and the simulation drives this very object.

    time, answers --> [ WorkerSession: hand, pace, state ] --> Exchange, Join, Pause, BreakOff, ...

The procedures of one session are carried out one after the other: the shell has one lock, and sets
`now` before each step. Of its fields the main thread reads `hand`, `pace`, `run`, `inside` and the
state without that lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from masterworker import wire
from masterworker.conversation.worker import effects
from masterworker.conversation.worker.states import STOPS, TRANSITIONS, Event, State
from masterworker.core.hand import Hand, Pace
from masterworker.errors import (
    CredentialError,
    JobEndedError,
    MasterNotFoundError,
    NotRegisteredError,
    RejectedError,
    Terminated,
    TransportError,
)

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import TypeVar

    from masterworker.conversation.worker.effects import Answer, Effect
    from masterworker.core.row import Pack
    from masterworker.core.task import Finished, Lease

    T = TypeVar("T")
    #: A procedure: what it yields, is sent, and returns.
    Steps = Generator[Effect, Answer, T]

#: Longest time between signs of life (seconds).
HEARTBEAT = 5.0
#: How long a worker looks for a master that is gone, before it ends (seconds).
RECONNECT = 20.0
#: The same for a master with a journal, which may be started again.
PATIENCE = 600.0
#: First and longest pause between two attempts (seconds).
PAUSES = (0.05, 2.0)
#: While a handler waits for further tasks, its worker executes others; so deep, whatever they are,
#: and deeper only such as the handler waits for.
MAX_DEPTH = 16

_JOIN, _MAY_GO_ON, _IS_PENDING = effects.Join(), effects.MayGoOn(), effects.IsPending()
_NOTHING_MORE = wire.Reply([], [], [], 0.0)


class WorkerSession:
    """What one worker knows of its conversation.

    Args:
        pack: Pickles the results of a row that are kept as values.
        heartbeat: Longest time between signs of life (seconds).
        reconnect: How long a master that is gone is looked for (seconds).
        patience: How long one that may come back is looked for (seconds); 0: as any other.
        max_depth: Depth of tasks inside tasks up to which any other is executed while one waits.
        now: Seconds on the worker's clock.
    """

    def __init__(
        self,
        pack: Pack,
        heartbeat: float,
        reconnect: float,
        now: float,
        max_depth: int = MAX_DEPTH,
        patience: float = PATIENCE,
    ) -> None:
        self.now = now
        self.heartbeat = heartbeat
        self.reconnect, self.patience = reconnect, patience
        self._max_depth = max_depth
        #: A call that waits is a sign of life only when it begins and ends.
        self.longest_wait = min(wire.LONGEST_WAIT, heartbeat)
        self.hand = Hand(pack)
        self.pace = Pace()
        self.state = State.OUTSIDE
        #: The number under which the manager knows this process, or has known it; None: never yet.
        self.member_id: int | None = None
        #: The master takes no pickles from this process.
        self.data_only = False
        #: It has an old version of some module, so it takes no more tasks.
        self.outdated = False
        #: Of which run of the manager the task is that is being executed; "" for none.
        self.run = ""
        #: The tasks that wait for others, outermost first, inside which this worker executes one.
        self.inside: list[int] = []
        #: The task that was being executed when the manager was last told of that; 0: none.
        self.started = 0
        #: When the last call ended.
        self.last_call = now
        #: The job was ended in good order, and its manager is gone.
        self._is_over = False
        #: A manager has said that the job is over.
        self._was_told = False

    @property
    def stopped(self) -> bool:
        """Whether it asks for no more tasks."""
        return self.state in STOPS

    def happens(self, event: Event) -> None:
        """Change the state as the table says.

        Raises:
            KeyError: In this state that cannot happen.
        """
        self.state = TRANSITIONS[self.state, event]

    def require_same_run(self) -> None:
        """A task of a run of the manager that is over must not ask another run for anything.

        Raises:
            NotRegisteredError: It is of such a one.
        """
        if self.run and self.run != self.hand.instance:
            raise NotRegisteredError("the master that has asked for this task is gone")

    # -- coming and going -------------------------------------------------------------------

    def join_first(self) -> Steps[bool]:
        """Join for the first time. Returns False: the job is over."""
        if self.stopped:
            return False
        try:
            try:
                yield from self.join()
            except (MasterNotFoundError, CredentialError, RejectedError):
                raise
            except TransportError:  # the connection broke: is that the end of the job?
                yield from self.join()
        except Terminated:
            self.happens(Event.STOPPED)
            return False
        return True

    def join(self) -> Steps[None]:
        """Join, now or not at all."""
        welcome: wire.Welcome = yield _JOIN
        self.last_call = self.now
        another_run = self.hand.instance not in {"", welcome.instance}
        self.hand.joined(welcome.instance, welcome.job)
        self.data_only = welcome.results == wire.PLAIN
        self.member_id = welcome.member_id
        self.happens(Event.WELCOMED)
        if (yield effects.Joined(welcome.member_id, another_run)):
            self.outdated = True

    def resign(self) -> Steps[None]:
        """Sign off, to join again as another one."""
        if self.member_id is not None:
            yield effects.Leave(self.member_id)
            self.happens(Event.RESIGNED)

    def leave(self) -> Steps[None]:
        """Deliver what is finished, and sign off. What is in the hand goes to others."""
        self.hand.cut_off()
        member_id = self.member_id
        try:
            if member_id is not None and self.state is not State.LEFT:
                yield from self._bring(member_id)
                if pending := self.hand.to_send():
                    yield wire.Exchange(member_id, pending)
                    self.hand.take(())
                yield effects.Leave(member_id)
        except (TransportError, Terminated):
            pass
        if self.state is not State.LEFT:
            self.happens(Event.SIGNED_OFF)

    def _join_again(self) -> Steps[None]:
        """Join as long as a master may be gone, from its last answer on."""
        began = self.now
        returns = bool(self.hand.job) and self.patience > 0
        end = self.last_call + (self.patience if returns else self.reconnect)
        pause, longest = PAUSES
        while True:
            try:
                yield from self.join()
            except RejectedError:
                raise
            except (Terminated, JobEndedError) as error:
                if self.member_id is None:
                    raise
                # A manager that says so still takes what is finished; but not one of another run.
                self._is_over = self._was_told or isinstance(error, JobEndedError)
                self._was_told = True
                self.happens(Event.STOPPED)
                return
            except TransportError as error:
                sought, left = self.now - began, end - self.now
                if pause > left or not (yield effects.Pause(pause, sought, left)):
                    raise MasterNotFoundError(f"the master is gone: {error}") from error
                pause = min(2 * pause, longest)
            else:
                return

    def _find_again(self, error: TransportError) -> Steps[None]:
        """The connection broke: look for the master, and join again."""
        self.hand.cut_off()
        self.happens(Event.BROKEN)
        try:
            yield effects.CutOff(error, PAUSES[0])
            yield from self._join_again()
        except TransportError as gone:
            self.happens(Event.STOPPED)
            yield effects.GaveUp(str(gone))
            raise

    # -- exchange ---------------------------------------------------------------------------

    def deliver(self, *, give_back: bool) -> Steps[wire.Reply]:
        """Send what is finished and what is being executed; get nothing new."""
        returned = self.hand.put_down() if give_back else []
        return (yield from self.exchange(0, 0.0, returned))

    def exchange(self, want: int, wait: float, returned: list[int]) -> Steps[wire.Reply]:
        """Deliver outcomes, give back leases, and ask for new ones.

        Args:
            want: How many tasks it wants, at most.
            wait: Seconds to wait for one.
            returned: Ids of tasks that it does not have in its hand any more.
        """
        if self.state is State.LEFT:
            return _NOTHING_MORE
        hand, pace = self.hand, self.pace
        seconds, spent = (pace.seconds, pace.report()) if want else (0.0, ())
        while True:
            executing, began = hand.current, self.now
            current = executing if hand.executing and self.run == hand.instance else 0
            try:
                member_id = self.member_id
                if member_id is None:
                    yield from self.join()
                    continue
                yield from self._bring(member_id)
                reply: wire.Reply = yield wire.Exchange(
                    member_id,
                    hand.to_send(),
                    returned,
                    current,
                    want,
                    wait,
                    seconds=seconds,
                    spent=spent,
                )
            except TransportError as error:
                yield from self._find_again(error)
                if self._is_over:
                    return _NOTHING_MORE
                returned = []
                continue
            break
        self.started = executing
        self.last_call = now = self.now
        pace.observe_round_trip(now - began - reply.waited)
        hand.take(reply.leases, reply.mark, reply.kept)
        asked_back = False
        for order, argument in reply.orders:
            asked_back = asked_back or order == wire.REVOKE
            yield from self._obey(order, argument)
        if asked_back:  # a caller waits: what is not given back has begun
            yield from self.exchange(0, 0.0, hand.put_down())
        return reply

    def _bring(self, member_id: int) -> Steps[None]:
        """Deliver what is finished of earlier runs of the master, under its old ids."""
        held = self.hand.held
        while (what := held.next()) is not None:
            run, outcomes = what
            proofs = held.proofs(run, outcomes)
            reply: wire.Reply = yield wire.Exchange(member_id, outcomes, run=run, proofs=proofs)
            if reply.orders:  # it does not know us any more: the next exchange gets the same order
                return
            held.brought(reply.mark, reply.kept, run)

    def _obey(self, order: str, argument: int) -> Steps[None]:
        if order == wire.STOP:
            self.happens(Event.STOPPED)
            if argument:
                yield effects.TicketOver(argument)
        elif order == wire.FORGET:
            yield effects.Forget(argument)
        elif order == wire.RENEW:
            if (yield effects.Renew(argument)):
                self.outdated = True
        elif order == wire.REJOIN:
            self.hand.cut_off()
            self.happens(Event.UNKNOWN)
            yield from self._join_again()
        elif order == wire.STACK:
            if self.member_id is not None:
                yield effects.TellStack(self.member_id, argument)
        elif order == wire.CANCEL:
            here = self.hand.drop(argument)
            mine = self.run in {"", self.hand.instance}  # else its number means another task
            if not here and mine and argument in {self.hand.current, *self.inside}:
                yield effects.BreakOff(argument)

    # -- outcomes of further tasks ----------------------------------------------------------

    def collect(
        self, tag: str | None, wait: float, *, mine: bool
    ) -> Steps[tuple[Finished | None, list[Lease]]]:
        """Ask once for an outcome, or for tasks to execute meanwhile.

        Args:
            tag: Only of tasks of this tag.
            wait: Seconds.
            mine: The task that is being executed asks, not another thread.

        Returns:
            An outcome; or what is to be executed before this is called again.
        """
        if self.state is State.LEFT:  # a thread that a task has left waits still
            raise Terminated("this worker has left the job")
        lend, began = wire.NOTHING, self.now
        if mine:
            lend = wire.ANY if len(self.inside) < self._max_depth else wire.AWAITED
        self.require_same_run()
        if mine:
            yield _MAY_GO_ON
        try:
            if self.member_id is None:
                yield from self.join()
            assert self.member_id is not None  # noqa: S101  for the type checker
            current = self.hand.current
            finished, leases = yield effects.Collect(self.member_id, tag, wait, lend, mine, current)
        except TransportError as error:
            yield from self._find_again(error)
            if self._is_over:
                raise Terminated("the job is over") from error
            return None, []
        self.last_call = self.now
        if self.hand.job:
            self.hand.held.handed(self.hand.instance, leases)
        broken = mine and not finished and (yield _IS_PENDING)
        if leases and (finished or broken):  # both came in the same instant
            yield from self.give_back(leases)
            leases = []
        if broken:
            yield _MAY_GO_ON
        if mine and not finished and not leases and self.now - began < wait / 2:
            yield from self.deliver(give_back=False)  # it was woken: an order is waiting
        return (finished[0] if finished else None), leases

    def give_back(self, leases: list[Lease]) -> Steps[Any]:
        """Give back what was lent, since it is not going to be executed here."""
        return self.exchange(0, 0.0, [lease.task_id for lease in leases])
