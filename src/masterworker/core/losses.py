"""The part of the scheduler about processes that go: in good order, by force, or without a word.

Whatever a process had in hand goes back to the very front. A strike is only for the task that was
being executed when the process ended. Its supervisor knows which one that was; where there is none
or it does not say, the tasks become suspects, which are handed out alone until it is known.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

from masterworker.core.blocks import Block
from masterworker.core.chunks import no_single
from masterworker.core.effects import NOTHING, Effects
from masterworker.core.settling import Settling
from masterworker.core.task import LOST, State, Task, write_history

if TYPE_CHECKING:
    from collections.abc import Iterable

    from masterworker.core.chunks import Single
    from masterworker.core.member import Member

STARTED = State.STARTED
SETTLED = State.SETTLED

#: A task that was executing in so many processes that ended is not tried again (three, as in
#: Dask and Ray; HyperQueue takes five).
MAX_LOSSES = 3

#: When the connection of a supervised process has closed, its supervisor's word is waited for so
#: long (seconds): it knows what the process was doing.
REPORT_WITHIN = 2.0

#: A process whose connection has closed without an explanation may come back within so long
#: (seconds): then it was only cut off, and its strike is void. A task is not given up before.
COMES_BACK_WITHIN = 25.0

#: So many strikes can still be taken back when their process turns out to be alive.
KEPT_STRIKES = 1000


class _Strike(NamedTuple):
    """What the loss of a process has given."""

    task_id: int
    #: The line in the task's history.
    text: str
    #: The process may come back.
    is_doubtful: bool
    supervisor: str


class Losses(Settling):
    """What happens when processes go. See `Scheduler`, which adds the rest.

    Args:
        max_losses: After so many workers have ended while executing a task, it is given up.
    """

    def __init__(self, max_losses: int = MAX_LOSSES, single: Single = no_single) -> None:
        super().__init__(single)
        self.max_losses = max_losses
        #: Supervisors that are here.
        self.supervisors: set[str] = set()
        #: Processes whose connection has closed, which their supervisor has to explain: until
        #: when, and what is known.
        self.closed: dict[int, tuple[float, str]] = {}
        #: The strikes that lost processes have given.
        self._strikes: OrderedDict[int, _Strike] = OrderedDict()

    # -- supervisors ------------------------------------------------------------------------

    def on_attended(self, name: str, alive: Iterable[int], now: float) -> None:
        """A supervisor is here, and the processes of these members are well."""
        self.supervisors.add(name)
        for member_id in alive:
            member = self.members.get(member_id)
            if member is not None and member.supervisor == name:
                member.heard = now
                member.supervised = True

    def on_unattended(self, name: str, now: float) -> Effects:
        """A supervisor is gone: what it should have explained remains unexplained."""
        self.supervisors.discard(name)
        effects = Effects()
        for member in self.members.values():
            if member.supervisor == name:
                member.supervised = False
        for member_id, (_, reason) in list(self.closed.items()):
            if self.members[member_id].supervisor == name:
                # With its supervisor gone, its host or batch job has probably ended: no blame.
                effects.add(self.on_lost(member_id, reason, now, blame=False))
        return effects

    # -- processes that go ------------------------------------------------------------------

    def on_left(self, member_id: int, now: float) -> Effects:
        """A process signs off. What it holds goes back to the front; no blame."""
        member = self.members.get(member_id)
        if member is None:
            return NOTHING
        effects = self._remove(member)
        held = list(member.leases.values())
        self.tally.returned += member.in_hand
        return self._requeue(held, f"given back by worker {member.id} as it left", now, effects)

    def on_closed(self, member_id: int, reason: str, now: float) -> Effects:
        """The connection of a process has closed, and it did not sign off.

        If it holds tasks and has a supervisor, this is a loss only when that has told why, or
        after `REPORT_WITHIN`. Until then it gets nothing more.
        """
        member = self.members.get(member_id)
        if member is None or member_id in self.closed:
            return NOTHING
        if not member.leases or not member.supervised:
            return self.on_lost(member_id, reason, now, doubtful=True)
        self.closed[member_id] = now + REPORT_WITHIN, reason
        self.alarmed = True
        effects = Effects()
        effects.dropped += self.waiting.claims.unpark_all(member)
        effects.dropped += self.results.claims.unpark_all(member)
        return effects

    def on_ended(
        self,
        member_id: int,
        guilty: int,
        reason: str,
        now: float,
        *,
        blame: bool = True,
        stopped: bool = False,
    ) -> Effects:
        """A supervisor reports that a process has ended, or stands still.

        Args:
            member_id: As what it had joined. One that is not registered any more is no error.
            guilty: The task that it was executing, or the one after which it was broken; 0: none.
            reason: How it ended, as text for the history of the guilty task.
            now: Seconds on the monotonic clock.
            blame: It ended by itself; False where somebody had told it to.
            stopped: It may be continued: then its strike is void.
        """
        return self.on_lost(member_id, reason, now, blame=blame, guilty=guilty, doubtful=stopped)

    def on_ended_at_last(self, member_id: int, supervisor: str, now: float) -> Effects:
        """A supervisor reports the end of a process that counts as lost: it cannot come back."""
        strike = self._strikes.get(member_id)
        if strike is None or not strike.is_doubtful or strike.supervisor != supervisor:
            return NOTHING
        self._strikes[member_id] = strike._replace(is_doubtful=False)
        others = self._strikes.values()
        if any(each.task_id == strike.task_id and each.is_doubtful for each in others):
            return NOTHING
        self._doubts.pop(strike.task_id, None)
        task = self.tasks.get(strike.task_id)
        paused = task is not None and task.state is State.PAUSED
        if task is not None and paused and len(task.losses or ()) >= self.max_losses:
            self._pause(task, now)  # which is over at once
        return NOTHING

    def on_lost(
        self,
        member_id: int,
        reason: str,
        now: float,
        *,
        blame: bool = True,
        guilty: int | None = None,
        doubtful: bool = False,
    ) -> Effects:
        """A process is gone without a word.

        Args:
            member_id: Which one. One that is not registered is no error.
            reason: Why we think so, as text for the tasks' stories.
            now: Seconds on the monotonic clock.
            blame: Its process may have ended because of what it executed. False where only the
                network is known to be silent.
            guilty: The task that it was executing, 0 for none; None where nobody knows.
            doubtful: It is not certain that its process has ended; it may come back.
        """
        member = self.members.get(member_id)
        if member is None:
            return NOTHING
        self.tally.lost_members += 1
        effects = self._remove(member)
        effects.lost.append((member, reason))
        self.tally.requeued += member.in_hand
        if blame and guilty is not None:
            task = self._on_its_own(guilty)
            if task is not None and task.state is not SETTLED:
                if doubtful:
                    self._doubts[task.id] = now + COMES_BACK_WITHIN
                self._strike([task], member, reason, now, effects, doubtful=doubtful)
        elif blame and member.leases:
            tasks = self._may_have_executed(member)
            if doubtful:
                for task in tasks:
                    self._doubts[task.id] = now + COMES_BACK_WITHIN
            self._blame(tasks, member, reason, now, effects, doubtful=doubtful)
        held = list(member.leases.values())
        held = [task for task in held if task.holder is member]
        return self._requeue(held, f"worker {member.id} lost: {reason}", now, effects)

    def has_struck(self, member_id: int) -> bool:
        """Tell whether the loss of a process has given a strike, which it may take back."""
        return member_id in self._strikes

    # -- inside -----------------------------------------------------------------------------

    def _remove(self, member: Member) -> Effects:
        del self.members[member.id]
        self._back.pop(member.id, None)
        self.grain.under_way.put_down(member.id)
        self.closed.pop(member.id, None)
        effects = Effects()
        effects.dropped += self.waiting.claims.unpark_all(member)
        effects.dropped += self.results.claims.unpark_all(member)
        if member.filter is not None:
            self._workers -= 1
            self.waiting.release(member.filter)
        return effects

    def _unexplained(self, now: float) -> Effects:
        """Take out those whose supervisor has not said in time how they ended."""
        effects = Effects()
        for member_id, (until, reason) in list(self.closed.items()):
            if until <= now:
                effects.add(self.on_lost(member_id, reason, now, doubtful=True))
        return effects

    def _on_its_own(self, task_id: int) -> Task | None:
        """Return a task, which leaves its block if it is in one."""
        task = self.find(task_id)
        if not isinstance(task, Block):
            return task
        waited = task.state is State.WAITING
        task = self._apart(task, task_id)
        if waited:
            task.state = State.WAITING
            self.waiting.put_back([task])
        return task

    def _may_have_executed(self, member: Member) -> list[Task]:
        """Return the tasks in somebody's hands, one of which it may have been executing.

        What it has said that it had begun is on its own already. If it has not said anything, no
        block stays together.
        """
        leases = member.leases
        if not any(item.state is STARTED for item in leases.values()):
            for block in [item for item in leases.values() if isinstance(item, Block)]:
                parts = [block.part(at, 1) for at in range(len(block.payloads))]
                self._replace(block, parts)
        return [item for item in leases.values() if isinstance(item, Task)]

    def _blame(
        self,
        held: list[Task],
        member: Member,
        reason: str,
        now: float,
        effects: Effects,
        *,
        doubtful: bool,
    ) -> None:
        """Find out which of its tasks may have ended a process."""
        # A task that waits for others may have one of them executed inside it: the youngest.
        executing = [task for task in held if task.state is STARTED][-1:]
        if not executing and len(held) == 1:
            executing = held
        for task in executing or held:
            task.suspect = True
        self._strike(executing, member, reason, now, effects, doubtful=doubtful)

    def _strike(
        self,
        guilty: list[Task],
        member: Member,
        reason: str,
        now: float,
        effects: Effects,
        *,
        doubtful: bool,
    ) -> None:
        text = f"{member.info}: {reason}"
        runs: list[list[Task]] = []
        for task in guilty:
            task.suspect = True
            task.losses = [*(task.losses or ()), text]
            task.note(now, f"executing in a worker that ended ({len(task.losses)} so far)")
            self._strikes[member.id] = _Strike(task.id, text, doubtful, member.supervisor)
            if len(task.losses) >= self.max_losses:
                self._give_up(task, now, runs, effects)
        while len(self._strikes) > KEPT_STRIKES:
            self._strikes.popitem(last=False)
        self._queue_results(runs, effects)

    def _give_up(self, task: Task, now: float, runs: list[list[Task]], effects: Effects) -> None:
        """A task has too many strikes: that is its outcome, unless one may turn out to be void."""
        if task.state is State.WAITING:
            task = self._withdrawn(task)
        until = self._doubts.get(task.id, now)
        if until > now:
            self._pause(task, until)
            task.note(now, "not handed out any more, unless a worker that was cut off comes back")
            return
        if task.options is not None:
            self._stop_others(task, None, now, effects, always=True)
        self._settle(task, LOST, write_history(task.losses or ()), None, runs, effects)

    def _resumed(self, task: Task, now: float, effects: Effects) -> bool:
        """A pause is over. False: the task is given up."""
        if len(task.losses or ()) < self.max_losses:
            return True
        runs: list[list[Task]] = []
        self._give_up(task, now, runs, effects)
        self._queue_results(runs, effects)
        return False

    def _absolve(self, member_id: int, now: float) -> None:
        """A lost process is alive: it was only cut off, so the strike that it gave is void."""
        strike = self._strikes.pop(member_id, None)
        task = None if strike is None else self.tasks.get(strike.task_id)
        if strike is None or task is None or task.state is SETTLED:
            return
        if strike.text in (task.losses or ()):
            losses = list(task.losses or ())
            losses.remove(strike.text)
            task.losses = losses or None
            task.note(now, f"worker {member_id} had only been cut off: its loss does not count")
            if task.state is State.PAUSED:
                self._pause(task, now)
