"""The pilots of one `launch_workers(n, on=...)`, which this keeps in the engine: n, never more.

    place: none --sent--> sent --joined--> here --0--> resting --tasks wait--> sent again
                            '--an end, a failure--> due again, after a pause; closed after several

One thread, which waits for what changes: the ends of the engine's tasks, and workers that come and
go. A place has one task of the engine at a time, and another one when that is known to be over.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Final

import msgspec

from masterworker.data.record import printable
from masterworker.engine.pilots import exits
from masterworker.engine.pilots.adapter import End, EngineGoneError
from masterworker.engine.pilots.travelling import NAME, Order, pilot
from masterworker.machine import random_name
from masterworker.named import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from masterworker.core.scheduler import Scheduler
    from masterworker.engine.pilots.adapter import Adapter, Sent
    from masterworker.manager import Manager

logger = logging.getLogger("masterworker.master")

#: First and longest pause before a pilot that did not work is sent again (seconds).
PAUSES: Final = (0.2, 30.0)
#: Failures in a row after which its place is given up.
TRIES: Final = 5
#: Between two looks, where nothing is announced (seconds).
TURN: Final = 0.25
#: An engine that has begun none of the pilots is named after this time (seconds).
NAMED_AFTER: Final = 10.0
#: A ticket is good for this long, and a pilot that is sent later than this has a new one (seconds).
VALID: Final = "30d"
_RENEWED: Final = 86_400.0


class Wish(NamedTuple):
    """What was asked for."""

    number: int
    #: All but the ticket and the name.
    order: Order
    #: Seconds after which an engine without workers is an error; None: none is.
    no_workers_timeout: float | None = None
    #: Pilots are sent when tasks wait.
    begins_with_tasks: bool = False


class _Place:
    """The place of one pilot."""

    def __init__(self) -> None:
        self.sent: Sent | None = None
        #: Of the supervisor that was sent last.
        self.name = ""
        #: Its worker has joined.
        self.joined = False
        #: When the next one is to be sent; None: not by the clock.
        self.due: float | None = 0.0
        #: It has given its slot back, until tasks wait.
        self.rests = False
        self.failures = 0
        #: Why the last one did not work.
        self.trouble = ""

    @property
    def is_closed(self) -> bool:
        """No pilot is here, and none will be sent."""
        return self.sent is None and self.due is None and not self.rests

    def close(self) -> None:
        """Send none any more."""
        self.due, self.rests = None, False


class Crew:
    """Keeps pilots in an engine. Thread-safe.

    Args:
        manager: The task manager of the job.
        adapter: Speaks to the engine; closed with this.
        wish: What was asked for.
        ticket: Makes a ticket of this job, valid for the time that it is given.
        on_change: Called by the thread when the last place was given up.
    """

    def __init__(
        self,
        manager: Manager,
        adapter: Adapter,
        wish: Wish,
        ticket: Callable[[str], str],
        on_change: Callable[[], None],
    ) -> None:
        self._manager, self._adapter, self._wish = manager, adapter, wish
        self._new_ticket, self._on_change = ticket, on_change
        self._ticket, self._renew_at = "", 0.0
        self._places = [_Place() for _ in range(wish.number)]
        for place in self._places if wish.begins_with_tasks else ():
            place.due, place.rests = None, True
        self._began = time.monotonic()
        self._ends = None if (lifetime := wish.order.lifetime) is None else self._began + lifetime
        #: The engine has been named as one without workers.
        self._named = self._rung = self._over = False
        self._comes_first = self._told = False
        #: It sends no more.
        self.is_retired = False
        self._known: set[int] = set()
        #: Why no worker comes from here, and waiting for one is in vain; "": it is not.
        self.in_vain = ""
        self._thread = threading.Thread(target=self._run, name="masterworker-pilots", daemon=True)

    def start(self) -> None:
        """Send the pilots."""
        self._thread.start()

    def wait(self, seconds: float) -> str:
        """Wait until all workers have joined, this long at most. Returns why one will not."""

        def holds(core: Scheduler) -> bool:
            self._see(core)
            return all(place.joined for place in self._places) or bool(self._trouble())

        self._manager.wait_for(holds, seconds)
        return self._trouble()

    def trouble(self) -> str:
        """Return why none of its workers will ever come; "": they are here, or may come."""
        if self.in_vain or not all(place.is_closed for place in self._places):
            return self.in_vain
        members = self._manager.core.members
        if any(member in members for member in tuple(self._known)):  # though the engine is gone
            return ""
        return self._trouble()

    def describe_starting(self) -> str:
        """Say how many workers the engine has not begun, and since when; "": none. No lock."""
        coming = sum(place.sent is not None and not place.joined for place in self._places)
        if not coming or any(place.joined for place in self._places):
            return ""
        many = "1 worker was" if coming == 1 else f"{coming} workers were"
        waited = time.monotonic() - self._began
        return f"{many} sent to {self._adapter.name}, which has begun none for {waited:.0f} s"

    def retire(self) -> None:
        """Send no more: another crew has its part of the engine. What is there may stay."""
        self.is_retired = True
        self._ring()

    def finish(self) -> None:
        """The job ends: send no more, and take back what the engine has not begun."""
        self._over = True
        self._ring()

    def stop(self, seconds: float) -> None:
        """Wait for the engine's tasks to return, this number of seconds; then let go of them."""
        self._over = True
        self._ring()
        if self._thread is not threading.current_thread() and self._thread.ident is not None:
            self._thread.join(seconds)
        for place in self._places:
            if (sent := place.sent) is not None:
                sent.release()
        self._adapter.close()

    # -- the thread -------------------------------------------------------------------------

    def _ring(self) -> None:
        self._rung = True
        self._manager.notify()

    def _run(self) -> None:
        while True:
            try:
                if self._over and self._all_over():
                    return
                self._manager.wait_for(self._look, self._pause())
                self._turn(time.monotonic())
            except Exception:  # this thread must live: workers depend on it
                logger.exception("what keeps the workers in %s stumbled", self._adapter.name)
                threading.Event().wait(1.0)

    def _all_over(self) -> bool:
        """Take back what has not begun. Returns whether everything has returned."""
        for place in self._places:
            place.close()
            if (sent := place.sent) is not None:
                if sent.is_done():
                    place.sent = None
                elif not place.joined:
                    sent.cancel()
        return all(place.sent is None for place in self._places)

    def _pause(self) -> float:
        now = time.monotonic()
        due = [place.due for place in self._places if place.due is not None]
        return max(0.0, min([TURN, *(when - now for when in due)]))

    def _look(self, core: Scheduler) -> bool:
        """Return whether there is something to do; called as processes come and go."""
        self._see(core)
        rung, self._rung = self._rung, False
        return rung

    def _see(self, core: Scheduler) -> None:
        """See who is here, with the manager's lock held."""
        names = {place.name: place for place in self._places if place.name}
        for member in core.members.values():
            place = names.get(member.supervisor.rpartition(" ")[2][:NAME])
            if place is None or member.id in self._known:
                continue
            self._known.add(member.id)
            member.info += f" in {self._adapter.name}"
            place.joined, place.failures, place.trouble = True, 0, ""

    def _turn(self, now: float) -> None:
        if self._over:
            return
        if self.is_retired or (self._ends is not None and now >= self._ends):
            for place in self._places:
                place.close()
        for place in self._places:
            if place.sent is not None and place.sent.is_done():
                self._take_in(place, place.sent, now)
        if not self.is_retired:
            self._wake(now)
        for place in self._places:
            if place.sent is None and place.due is not None and place.due <= now:
                self._send(place, now)
        self._look_for_none(now)
        if not self._told and self.trouble():
            self._told = True
            self._on_change()

    def _wake(self, now: float) -> None:
        """Let those come back that rest, as far as tasks wait."""
        resting = [place for place in self._places if place.rests]
        if resting:
            coming = sum(b.sent is not None and not b.joined for b in self._places)
            for place in resting[: max(0, self._manager.core.waiting.count - coming)]:
                place.rests, place.due = False, now

    def _send(self, place: _Place, now: float) -> None:
        if now >= self._renew_at:
            self._ticket, self._renew_at = self._new_ticket(VALID), now + _RENEWED
        left = None if self._ends is None else max(0.001, self._ends - now)
        place.name, place.joined, place.due = random_name()[:NAME], False, None
        order = msgspec.structs.replace(
            self._wish.order, ticket=self._ticket, name=place.name, lifetime=left
        )
        try:
            place.sent = self._adapter.send(pilot(order), self._ring)
            if self._adapter.is_joined_at_exit and not self._comes_first:
                self._comes_first = True
                exits.come_first()
        except EngineGoneError as error:
            self._give_up(str(error))
        except Exception as error:
            self._failed(place, f"it could not be sent: {error}", now)

    def _take_in(self, place: _Place, sent: Sent, now: float) -> None:
        """Decide what follows the end of a pilot."""
        end, said = sent.end()
        place.sent = None
        sent.release()
        if end is End.GONE:
            self._give_up(said)
        elif end is End.LEFT and place.joined:
            place.rests = True
        elif place.joined:  # it has worked, so the next one may, too
            logger.warning(
                "a worker in %s has ended: %s; another one is sent",
                self._adapter.name,
                printable(said),
            )
            place.due = now
        else:
            self._failed(place, said or "it left before its worker had joined", now)

    def _failed(self, place: _Place, why: str, now: float) -> None:
        place.failures += 1
        place.trouble = f"in {self._adapter.name}: {printable(why, keep=chr(10))}"
        if place.failures >= TRIES:
            place.close()
            what = f"no worker takes its place after {place.failures} failed starts"
        else:
            first, longest = PAUSES
            pause = min(longest, first * 2 ** (place.failures - 1))
            place.due = now + pause
            what = f"it is sent again in {pause:.1f} s"
        logger.warning("a worker did not start %s; %s", place.trouble, what)
        self._manager.notify()

    def _give_up(self, why: str) -> None:
        """The engine is gone: what is there goes on, and is not replaced."""
        said = f"{self._adapter.name} is gone: {printable(why)}"
        if all(place.trouble == said for place in self._places):
            return
        for place in self._places:
            place.close()
            place.trouble = said
        logger.warning(
            "%s; no workers are sent there any more, and those that are there stay as long as they "
            "are let",
            said,
        )
        self._manager.notify()

    def _look_for_none(self, now: float) -> None:
        """Name an engine that begins none of the pilots."""
        if any(place.joined or place.rests for place in self._places):
            self._began, self._named, self.in_vain = now, False, ""
            return
        waited = now - self._began
        if all(place.sent is None for place in self._places):  # failures are told by themselves
            return
        bound = self._wish.no_workers_timeout
        text = f"{self._adapter.name} has begun none of {len(self._places)} workers"
        if not self._named and waited >= NAMED_AFTER:
            self._named = True
            self._manager.warn(
                "engine",
                f"{text} for {waited:.0f} s: it has no free place for one"
                f"{self._adapter.shortage()}; the job waits for it",
            )
        if bound is not None and waited >= bound and not self.in_vain:
            self.in_vain = f"{text} within {bound:g} s (no_workers_timeout)"

    def _trouble(self) -> str:
        return next(self._troubles(), "")

    def _troubles(self) -> Iterator[str]:
        return (place.trouble for place in self._places if place.trouble)
