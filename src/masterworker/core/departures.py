"""What follows when a process leaves or is lost: its tasks go back, and one may get a strike.

leases --left, silent--> very front          executing, and its process ended: a strike
strikes < max_losses --> very front          strikes = max_losses, none in doubt --> LOST
one of them in doubt --> PAUSED until it is not
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from masterworker.core.blocks import Block
from masterworker.core.departure import Blameless, Ended, Left, Stopped, Unexplained
from masterworker.core.task import LOST, State, Task, write_history

if TYPE_CHECKING:
    from masterworker.core.blocks import Item
    from masterworker.core.crashes import CrashPolicy
    from masterworker.core.departure import Departure
    from masterworker.core.dispatch import Dispatch
    from masterworker.core.member import Member
    from masterworker.core.member_table import MemberTable
    from masterworker.core.outbox import Outbox
    from masterworker.core.retries import Retries
    from masterworker.core.settlement import Settlement
    from masterworker.core.task_table import TaskTable

STARTED, SETTLED = State.STARTED, State.SETTLED


class Departures:
    """Takes processes out, and deals with what they had in hand.

    Args:
        table: The tasks.
        members: The processes.
        dispatch: Takes back what they had in hand.
        retries: Is given tasks that pause because a strike may turn out to be void.
        crashes: Says which tasks get strikes, and which have too many.
        settlement: Settles those.
        out: Is given the loss, and the claims that nothing will be served to.
    """

    def __init__(
        self,
        table: TaskTable,
        members: MemberTable,
        dispatch: Dispatch,
        retries: Retries,
        crashes: CrashPolicy,
        settlement: Settlement,
        out: Outbox,
    ) -> None:
        self._table = table
        self._members = members
        self._dispatch = dispatch
        self._retries = retries
        self._crashes = crashes
        self._settlement = settlement
        self._out = out

    # -- processes --------------------------------------------------------------------------

    def depart(self, member_id: int, why: Departure, now: float) -> None:
        """Take a process out. One that is not registered is no error."""
        member = self._members.members.get(member_id)
        if member is None:
            return
        self._drop_claims(member)
        self._dispatch.forget(member)
        if isinstance(why, Left):
            self._out.tally.returned += member.in_hand
            note = f"given back by worker {member_id} as it left"
        else:
            self._out.tally.lost_members += 1
            self._out.tally.requeued += member.in_hand
            self._out.effects.lost.append((member, why.reason))
            note = f"worker {member_id} lost: {why.reason}"
            for task in self._guilty(member, why, now) if why.blames else ():
                if self._crashes.strike(task, member, why, now):
                    self._give_up(task, now)
        self._out.recorder.left(member_id, why.reason, now, lost=not isinstance(why, Left))
        self._members.remove(member)
        self._dispatch.put_back(list(member.leases.values()), note, now)

    def close(self, member_id: int, reason: str, now: float) -> bool:
        """The connection of a process has closed, and it did not sign off.

        If it holds tasks and has a supervisor, this is a loss only when that has said why, or
        after `REPORT_WITHIN`. Until then it gets nothing more.

        Returns:
            False: there is no such process.
        """
        member = self._members.members.get(member_id)
        if member is None:
            return False
        if self._members.close(member, reason, now):
            self._out.alarmed = True
            self._drop_claims(member)
        else:
            self.depart(member_id, Unexplained(reason), now)
        return True

    def unattended(self, supervisor: str, now: float) -> None:
        """A supervisor is gone: what it should have explained remains unexplained."""
        for member_id, reason in self._members.unattended(supervisor):
            # With its supervisor gone, its host or batch job has probably ended.
            self.depart(member_id, Blameless(reason), now)

    def look(self, now: float) -> None:
        """Take out the silent, and those whose supervisor has not said in time how they ended."""
        for member_id, reason in self._members.unexplained(now):
            self.depart(member_id, Unexplained(reason), now)
        silent = self._members.silent(now)
        for member in silent:  # first all of them, so that none gets what another one had
            self._out.effects.dropped += self._dispatch.waiting.claims.unpark_all(member)
        for member in silent:
            self.depart(member.id, Blameless(f"silent for {now - member.heard:.1f} s"), now)

    def _drop_claims(self, member: Member) -> None:
        for queues in (self._dispatch.waiting, self._settlement.results):
            self._out.effects.dropped += queues.claims.unpark_all(member)

    # -- strikes ----------------------------------------------------------------------------

    def came_back(self, member_id: int, now: float) -> None:
        """A process that was taken for lost is alive: the strike that it gave is void."""
        if (task := self._crashes.absolve(member_id, now)) is not None:
            self._retries.pause(task, now)  # which is over at once

    def confirm(self, member_id: int, supervisor: str, now: float) -> None:
        """A process that was taken for lost has ended: it cannot come back."""
        if (task := self._crashes.confirm(member_id, supervisor)) is not None:
            self._retries.pause(task, now)  # which is over at once

    def end_pauses(self, now: float) -> None:
        """Queue what has paused for long enough, in the order of its time."""
        due: list[Item] = []
        for task in self._retries.due(now):
            if self._crashes.is_too_much(task):
                self._give_up(task, now)
            else:
                due.append(task)
        self._dispatch.put_back(due, "tried again", now)

    def _guilty(self, member: Member, why: Departure, now: float) -> list[Task]:
        """Find the task whose execution may have ended a process; none if that is not known."""
        if isinstance(why, (Ended, Stopped)):
            task = self._table.on_its_own(why.task_id)
            concerned = guilty = [] if task is None or task.state is SETTLED else [task]
        else:
            concerned = self._may_have_executed(member)
            guilty = self._crashes.suspect(concerned)
        if why.is_doubtful:
            self._crashes.doubt(concerned, now)
        return guilty

    def _may_have_executed(self, member: Member) -> list[Task]:
        """Return the tasks in a worker's hands, one of which it may have been executing.

        What it has said that it had begun is on its own already. If it has not said anything, no
        block stays together.
        """
        if not any(item.state is STARTED for item in member.leases.values()):
            for block in [item for item in member.leases.values() if isinstance(item, Block)]:
                self._table.dissolve(block)
        return [item for item in member.leases.values() if isinstance(item, Task)]

    def _give_up(self, task: Task, now: float) -> None:
        """A task has too many strikes: that is its outcome, unless one may turn out to be void."""
        task = self._table.single_out(task, task.id)
        if (until := self._crashes.may_be_void(task, now)) is not None:
            self._dispatch.take_away(task)
            self._retries.pause(task, until)
            task.note(now, "not handed out any more, unless a worker that was cut off comes back")
            return
        if task.options is not None:
            self._dispatch.stop_others(task, None, now, always=True)
        self._settlement.settle(task, LOST, write_history(task.losses or ()), None)
