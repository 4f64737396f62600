"""Looking at a scheduler without changing it: counts, a task's story, and the invariants.

Kept apart from the scheduler, so that what decides and what looks on do not mix.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from masterworker.core.census import Census, JournalCount, Process
from masterworker.core.filters import tag_of
from masterworker.core.task import State
from masterworker.errors import InternalError
from masterworker.named import NamedTuple
from masterworker.taskid import shown_number, shown_tag, task_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from masterworker.core.blocks import Item
    from masterworker.core.scheduler import Scheduler


#: What follows where there are no workers.
HOW_TO_START: Final = (
    ": start some with `task_manager worker LABEL`, or in the program with "
    "Master(workers=2) or master.launch_workers(2)"
)


class Summary(NamedTuple):
    """What has become of the tasks of a job."""

    done: int
    failed: int
    cancelled: int
    #: Asked for, and not executed to an end.
    not_run: int

    def _repr_html_(self) -> str:
        """Return the same, for notebooks: there is nothing in it that has to be escaped."""
        return f"<div>{self}</div>"

    def __str__(self) -> str:
        shown = f"{self.done} done, {self.failed} failed"
        shown += f", {self.cancelled} cancelled" if self.cancelled else ""
        return shown + f", {self.not_run} not run"


def summary(core: Scheduler) -> Summary:
    """Count what has become of all tasks."""
    tally = core.tally
    failed = tally.failures + tally.given_up
    settled = tally.results + failed + tally.cancelled
    return Summary(tally.results, failed, tally.cancelled, tally.submitted - settled)


def census(
    core: Scheduler, troubles: Iterable[str] = (), journal: JournalCount | None = None
) -> Census:
    """Count everything. Costs O(workers, what they have in hand, outcomes to be collected).

    Args:
        core: The scheduler.
        troubles: What keeps the job from going on.
        journal: What is in the journal, if there is one; what waits for it is counted here.
    """
    running: Counter[str] = Counter()
    for member in core.members.values():
        for item in member.leases.values():
            running[item.tag] += item.size
    filters = {m.filter for m in core.members.values() if m.filter is not None}
    waiting = core.waiting.by_tag()
    stranded = [tag for tag in waiting if not any(each.accepts(tag) for each in filters)]
    paused = core.paused()
    for task in paused:
        waiting[task.tag] = waiting.get(task.tag, 0) + 1
    tally = core.tally
    return Census(
        waiting=_shown(waiting),
        running=_shown(running),
        finished=_shown(Counter(task.tag for task in core.results.items())),
        submitted=core.tally.submitted,
        delivered=core.tally.delivered,
        stranded=list(dict.fromkeys(map(shown_tag, stranded))),
        processes=[Process(m.id, m.info, m.in_hand) for m in core.members.values()],
        duplicates=tally.duplicates,
        done=tally.results,
        failed=tally.failures + tally.given_up,
        cancelled=tally.cancelled,
        paused=len(paused),
        troubles=list(troubles),
        journal=journal and journal._replace(waiting=core.settlement.keeping.count),
    )


def _shown(counts: Mapping[str, int]) -> dict[str, int]:
    """Return counts by the tags that users see."""
    shown: Counter[str] = Counter()
    for tag, count in counts.items():
        shown[shown_tag(tag)] += count
    return dict(shown)


def story(core: Scheduler, task_id: int, now: float | None = None) -> list[str]:
    """Return what happened to a task beyond the ordinary, where it is now, and what it waits for.

    Args:
        core: The scheduler.
        task_id: Which one.
        now: Seconds on the scheduler's clock: times are given as an age; None: as they are.
    """
    task = core.find(task_id)
    if task is None:
        if not 0 < task_id < core.table.next_id:
            return [f"task {shown_number(task_id)} is not known: it was never asked for"]
        tag = core.table.asked.tag_of(task_id)
        name = task_name(tag, task_id) if tag else f"{shown_number(task_id)}"
        return [f"task {name}", "it is done: its outcome has been delivered"]

    def shown(when: float) -> str:
        return f"{when:.3f} s" if now is None else f"{now - when:.1f} s ago"

    lines = [f"{shown(when)}: {text}" for when, text in task.notes or ()]
    state = f"now: {task.state.value}, handed out {times(task.attempt)}"
    if task.holder is not None:
        holder = core.members.get(task.holder)
        state += f", in the hands of worker {task.holder}"
        state += "" if holder is None else f" ({holder.info})"
    return [f"task {task_name(task.tag, task_id)}", *lines, state, *_waits_for(core, task_id, task)]


def times(number: int) -> str:
    """Say how often."""
    return "once" if number == 1 else f"{number} times"


def _waits_for(core: Scheduler, task_id: int, task: Item) -> list[str]:
    if task.state is State.SETTLED and task in core.settlement.keeping:
        return ["its outcome is being written into the journal"]
    if task.state is State.SETTLED:
        return ["it waits for a caller that picks up its outcome"]
    if task.state is State.PAUSED:
        return ["it pauses"]
    if task.state is not State.WAITING:
        return []
    able = [m for m in core.members.values() if m.filter is not None and m.filter.accepts(task.tag)]
    if not able:
        here = sum(m.filter is not None for m in core.members.values())
        return [f"it waits for a worker that can execute {task.tag!r}; none of {here} here can"]
    before = sum(other.size for other in core.waiting.items() if other.order < task.order)
    before += sum(i < task_id for i in task.ids())
    busy = sum(bool(m.leases) for m in able)
    alone = "; it is handed out alone, since it may have ended a worker" if task.suspect else ""
    return [f"it waits for its turn: {before} before it; {busy} of {len(able)} workers busy{alone}"]


def check(core: Scheduler) -> None:
    """Verify every invariant.

    Raises:
        InternalError: One does not hold, which is a bug of ours.
    """
    for what, task_id in core.check():
        _require(core, False, what, task_id or None)
    _check_members(core)
    _check_claims(core)
    tally = core.tally
    leased = sum(m.in_hand for m in core.members.values())
    paused = len(core.paused())
    unkept = core.settlement.keeping.count
    parts = (core.waiting.count, leased, paused, core.results.count, tally.delivered, unkept)
    _require(core, sum(parts) == tally.submitted, f"{parts} do not add up to {tally.submitted}")
    settled = tally.results + tally.failures + tally.given_up + tally.cancelled
    _require(core, settled == core.results.count + tally.delivered, "count of settled tasks")


def _check_members(core: Scheduler) -> None:
    """Whatever is in a queue or in hands is known, and only that."""
    idle = [n for n in core.dispatch.grain.under_way.workers if n not in core.members]
    _require(core, not idle, f"{idle} are not here, and have something in hand")
    waiting = {id(item) for item in core.waiting.items()}
    for item in (*core.tasks.values(), *core.table.blocks):
        is_waiting = item.state is State.WAITING
        _require(core, (id(item) in waiting) == is_waiting, "waiting", item.id)
        here = item.holder is None or item.holder in core.members
        _require(core, here, "holder is gone", item.id)
    for member in core.members.values():
        for item in member.leases.values():
            _require(core, core.find(item.id) is item, "leased but unknown", item.id)
    for item in core.waiting.items():
        first = item.ids()[0]
        _require(core, core.find(first) is item, "in a queue but unknown", first)


def _check_claims(core: Scheduler) -> None:
    for lanes, work in ((core.waiting, True), (core.results, False)):
        tags = {tag_of(lanes.lane_of(task)) for task in lanes.items()}
        for claim in lanes.claims:
            _require(core, core.members.get(claim.taker.id) is claim.taker, "claim of one gone")
            able = [tag for tag in tags if claim.filter.accepts(tag)]
            kept = work and (core.dispatch.reservation.until is not None or core.held_back)
            _require(core, kept or not able, f"claim {claim.id} waits although {able} are there")
            _require(core, not (work and core.terminated), "claim after the end")


def _require(core: Scheduler, holds: bool, what: str, task_id: int | None = None) -> None:
    if not holds:
        shown = "" if task_id is None else "\n" + "\n".join(story(core, task_id))
        raise InternalError(f"broken invariant: {what} (task {task_id}){shown}")
