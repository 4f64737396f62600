"""What the parts of the machine need of the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable, Sequence

    from masterworker.conversation.backpressure import BackPressure
    from masterworker.conversation.effects import Effect
    from masterworker.conversation.numbered import Call, NumberedCalls
    from masterworker.conversation.orders import MemberOrders
    from masterworker.conversation.submissions import SubmissionBuffer
    from masterworker.conversation.troubles import Troubles
    from masterworker.conversation.waiting import Event, Waiter
    from masterworker.core.effects import Effects
    from masterworker.core.scheduler import Scheduler
    from masterworker.core.task import Finished, Lease


class Collectors(Protocol):
    """The part about processes that wait for outcomes."""

    def interrupt(self, member_id: int, now: float) -> None:
        """There is an order for a process: if it waits here, it comes for that."""

    def forget(self, member_id: int) -> None:
        """A process is gone."""

    def close(self, waiter: Waiter) -> None:
        """A call waits no more."""


class Supervisors(Protocol):
    """The part about supervisors, which wait for orders."""

    def waiters(self) -> list[Waiter]:
        """Return the calls that wait for orders."""

    def let_listen(self, member_id: int, now: float) -> None:
        """There is an order for a process, which may be busy: let its supervisor say so."""

    def still_for(self, member_id: int, now: float) -> float:
        """Return for how long a worker's own threads have not run (seconds); 0.0: they do."""

    def overdue(self, now: float) -> list[Waiter]:
        """Return the calls that have waited for orders for long enough."""

    def next_deadline(self) -> float:
        """Return when `overdue` is of use next."""


class Answers(Protocol):
    """The part about calls that wait."""

    def begin(self, waiter: Waiter, now: float) -> None:
        """A call waits from now on, with the claims that it has."""

    def answer(self, waiter: Waiter, why: Event, now: float) -> None:
        """There is something to say to a call that waits; once is enough."""


class Members(Protocol):
    """The part about processes that come and go."""

    def client_of(self, member_id: int) -> str:
        """Return the name of a process's client."""


class Returners(Protocol):
    """The part about workers that come back from an earlier run."""

    note: Callable[[str, bool], object] | None


class Askers(Protocol):
    """The part about cancelling what has not begun."""

    def close(self, waiter: Waiter) -> None:
        """A call waits no more."""

    def waiters(self) -> list[Waiter]:
        """Return the calls that wait."""


class Timed(Protocol):
    """A part that has calls which wait."""

    def overdue(self, now: float) -> list[Waiter]:
        """Return the calls that have waited for long enough."""

    def next_deadline(self) -> float:
        """Return when `overdue` is of use next."""


class TimedAskers(Askers, Timed, Protocol):
    """The part about what workers are doing right now."""


class Whole(Protocol):
    """See `Dispatcher`."""

    core: Scheduler
    effects: deque[Effect]
    orders: MemberOrders
    troubles: Troubles
    submissions: SubmissionBuffer
    repairs: deque[tuple[Any, ...]]
    alarmed: bool
    pressure: BackPressure

    @property
    def may_look(self) -> bool:
        """Whether a worker may look before it sleeps."""

    @property
    def answering(self) -> Answers:
        """The part about calls that wait."""

    @property
    def membership(self) -> Members:
        """The part about processes that come and go."""

    @property
    def returning(self) -> Returners:
        """The part about workers that come back."""

    @property
    def supervision(self) -> Supervisors:
        """The part about supervisors."""

    @property
    def collecting(self) -> Collectors:
        """The part about processes that wait for outcomes."""

    @property
    def revoking(self) -> Askers:
        """The part about cancelling what has not begun."""

    @property
    def stacks(self) -> TimedAskers | None:
        """The part about what workers are doing right now; None: that was never asked."""

    def flush(self, now: float) -> None:
        """Let the scheduler know of all requests."""

    def apply(self, effects: Effects, now: float) -> None:
        """Inform all processes that an event of the scheduler concerns."""

    def weigh(self, now: float, *, asking: bool = False) -> None:
        """See whether tasks are to be held back, or not any more."""

    def require_open(self) -> None:
        """Raise `Terminated` if the job is over."""

    def complete(self, calls: NumberedCalls, call: Call, reply: Any) -> bool:
        """A numbered call has been carried out. True: its client has given it up."""

    def put_back(
        self, member_id: int, finished: Sequence[Finished], leases: Sequence[Lease], now: float
    ) -> None:
        """Take back what a call was given that did not get it."""
