"""How the master's threads ask for tasks: as a rule without the manager's lock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from masterworker import forks
from masterworker.conversation.submissions import MOST_FLUSHES, Flush
from masterworker.errors import Terminated

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from masterworker.conversation.dispatcher import Dispatcher
    from masterworker.conversation.submissions import Again, H, Noting, Recalled
    from masterworker.core.chunks import Chunk
    from masterworker.core.options import Options
    from masterworker.core.task import Payload
    from masterworker.manager.guard import Guard
    from masterworker.manager.timekeeper import Timekeeper


class Submitter:
    """The way of requests into the machine, which buffers them. Thread-safe.

    Args:
        guard: Is held around each step of the machine.
        machine: What the guard guards; here also what needs no lock.
        timekeeper: Lets ticks come.
        clock: The manager's clock.
    """

    def __init__(
        self,
        guard: Guard,
        machine: Dispatcher,
        timekeeper: Timekeeper,
        clock: Callable[[], float],
    ) -> None:
        self._guard, self._machine, self._timekeeper = guard, machine, timekeeper
        self._clock = clock
        self._repairs = machine.repairs
        self._dispatch = machine.core.dispatch
        self._parked = machine.core.waiting.claims.by_id
        self._submissions, self._rule = machine.submissions, machine.rule
        forks.register(self)

    def after_fork(self) -> None:
        """Refuse all requests: no worker would take them."""
        self._submissions.lock = forks.Refusal()

    def request(
        self,
        tag: str,
        payloads: Sequence[Payload] | Chunk,
        options: Options | None = None,
        *,
        direct: bool = False,
        expect: Callable[[int], object] | None = None,
        recalled: Recalled | Again | None = None,
    ) -> int:
        """Ask for tasks of one tag.

        Args:
            tag: Their tag.
            payloads: Their parameters.
            options: How they are to be treated.
            direct: Their outcomes go to `on_direct`.
            expect: Called with the id of the first before a worker can have the task. It must
                neither block nor call back.
            recalled: Their outcomes are kept, and `payloads` are those; or what else is kept of
                a single task.

        Returns:
            The id of the first; the others count up from it.

        Raises:
            Terminated: The job is over.
            BaseException: What a signal handler raises. Then none of them is asked for.
        """
        if self._dispatch.terminated:
            raise Terminated("the job is over: no more tasks are accepted")
        number, noted = len(payloads), [-1]
        try:
            self._submissions.add(
                tag, payloads, options, noted, direct=direct, expect=expect, recalled=recalled
            )
            if recalled is not None or self._parked or not self._rule.watching:
                self._flush()
            return noted[0]
        except BaseException:
            if noted[0] >= 0:
                self._repairs.append((self._withdraw, noted[0], number))
                self._timekeeper.look_again()
            raise

    def submit(
        self,
        tag: str,
        payload: Payload,
        options: Options | None,
        future: H,
        futures: dict[int, H],
        noted: Noting | None = None,
    ) -> None:
        """Ask for one direct task: a `request`, as cheap as it can be. Takes no lock as a rule.

        Its future gets its number, and is in `futures` before a worker can have the task. So is its
        key in the first of `noted`, where it has one.
        """
        dispatch, rule = self._dispatch, self._rule
        if dispatch.terminated:
            raise Terminated("the job is over: no more tasks are accepted")
        try:
            self._submissions.add_one(tag, payload, options, future, futures, noted)
            if not rule.watching or (
                self._parked and not (rule.looking and rule.hurried == MOST_FLUSHES)
            ):
                # Asked last: see `end_keeping`.
                kept = options is None and dispatch.reservation.tag == tag
                what = rule.after_one(kept=kept)
                if what is Flush.NOW:
                    self._flush()
                elif what is Flush.POKE:
                    # One step: it must not be said and not done. The thread is there, since tasks
                    # have been looked at before.
                    rule.looking = True
                    try:  # noqa: SIM105  a context would be further steps
                        self._timekeeper.poke()
                    except RuntimeError:
                        pass
        except BaseException:
            if future.number >= 0:
                self._repairs.append((self._withdraw, future.number, 1))
                self._timekeeper.look_again()
            raise

    def about_to_wait(self) -> None:
        """A caller that has asked for tasks waits now, and has the time to flush them itself."""
        if self._rule.about_to_wait():
            self._flush()

    # -- repairs: see `Dispatcher.repairs` ----------------------------------------------------

    def repair_soon(self, *repair: Any) -> None:
        """Let a repair be done by the next step, and let there be one soon.

        Takes no lock and waits for nothing, so the collector of garbage may call this, in the
        middle of whatever a thread does.
        """
        self._repairs.append(repair)
        try:  # noqa: SIM105  a context would be further steps
            self._timekeeper.poke()
        except RuntimeError:
            pass

    # -- inside -----------------------------------------------------------------------------

    def _withdraw(self, first: int, number: int) -> None:
        self._machine.withdraw(range(first, first + number), self._clock())

    def _flush(self) -> None:
        """Take in what has been asked for: a worker waits for it, or no tick looks after it."""
        with self._guard as machine:
            machine.flush_requests(self._clock())
