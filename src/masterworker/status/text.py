"""A job's state as text, and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from masterworker.core.audit import HOW_TO_START
from masterworker.data.record import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from masterworker.core.census import Census, JournalCount
    from masterworker.recorder.shapes import Snapshot

#: Tags that no worker can execute are named up to this number, unless all is asked for.
MOST_TAGS: Final = 10


def describe(label: str, census: Census, *, verbose: bool = False) -> str:
    """Return how a job stands, in a few lines.

    Args:
        label: The label of the job.
        census: Its counts.
        verbose: Add a line for each process and for each tag.
    """
    workers = max(0, len(census.processes) - 1)
    settled = census.done + census.failed + census.cancelled
    results = sum(census.finished.values())
    waiting, running = sum(census.waiting.values()), sum(census.running.values())
    lines = [
        f"Task manager {printable(label)}",
        f"  {counted(1 + workers, 'active process')}: 1 master, {counted(workers, 'worker')}",
        f"  {counted(waiting, 'waiting task')}, {running} running",
        f"  {counted(results, 'result')} to be picked up, {census.delivered} delivered",
    ]
    if settled != census.done:
        lines.append(
            f"  of {settled} settled, {census.failed} failed, {census.cancelled} cancelled"
        )
    if census.paused:
        pause = "pauses" if census.paused == 1 else "pause"
        lines.append(f"  {census.paused} of those that wait {pause} after a failure")
    stranded = census.stranded if verbose else census.stranded[:MOST_TAGS]
    lines += [
        f"  no worker can execute tag {tag!r}: {census.waiting[tag]} waiting" for tag in stranded
    ]
    if more := census.stranded[len(stranded) :]:
        tasks = sum(census.waiting[tag] for tag in more)
        lines.append(f"  nor {counted(len(more), 'further tag')}: {tasks} waiting")
    if census.journal is not None:
        lines.append(f"  {_of_journal(census.journal)}")
    lines += [f"  trouble: {printable(trouble)}" for trouble in census.troubles]
    if verbose:
        lines.append("Processes:")
        for member_id, info, held in census.processes:
            in_hand = f", {counted(held, 'task')} in hand" if held else ""
            lines.append(f"  {member_id}: {printable(info)}{in_hand}")
        lines.append("Tasks by tag (waiting, running, results to be picked up):")
        tags = sorted(census.waiting.keys() | census.running.keys() | census.finished.keys())
        for tag in tags:
            counts = (
                part.get(tag, 0) for part in (census.waiting, census.running, census.finished)
            )
            lines.append(f"  {printable(tag)}: " + ", ".join(map(str, counts)))
    return "\n".join(lines)


def _of_journal(journal: JournalCount) -> str:
    """Return what a journal has, in one line."""
    kept = journal.earlier + journal.written
    parts = [f"{counted(kept, 'outcome')} kept ({journal.size / 1e6:.1f} MB)"]
    if journal.earlier:
        end = "" if journal.ended else ", the last of which did not end"
        parts.append(f"{journal.earlier} of earlier runs{end}; {journal.recalled} given again")
    if journal.waiting:
        parts.append(f"{journal.waiting} not kept yet")
    if journal.trouble:
        parts.append(f"nothing is kept now: {journal.trouble}")
    return printable(f"journal {journal.name}: {'; '.join(parts)}")


def situation(census: Census, tag: str | None, starting: str = "") -> str:
    """Return in one sentence what a caller that waits for a result (of a tag) is waiting for.

    Args:
        census: The counts of the job.
        tag: Of this tag; None: of any.
        starting: How many workers of this machine are about to come, and what they do; "": none.
    """
    if not census.waiting and not census.running and not census.finished:
        kind = "" if tag is None else f" of tag {tag!r}"
        return f"no task{kind} is outstanding; one must be requested first"
    counts = f"{sum(census.waiting.values())} waiting, {sum(census.running.values())} running"
    tags = ", ".join(repr(t) for t in census.stranded[:5])
    workers = len(census.processes) - 1
    if starting:
        counts = f"{counts}; {starting}"
    if not workers and starting:
        return counts
    if not workers:
        for_these = f" that could execute {tags}" if tags else ""
        return f"{counts}; there are no workers{for_these}{HOW_TO_START}"
    if not tags:
        return counts
    cannot = "the only worker cannot" if workers == 1 else f"none of {workers} workers can"
    return f"{counts}; {cannot} execute {tags}"


def as_json(
    label: str, census: Census, snapshot: Snapshot, pools: Sequence[Mapping[str, Any]] = ()
) -> str:
    """Return everything, for programs: the counts, and under `snapshot` all that is known.

    Args:
        label: Of the job.
        census: The counts.
        snapshot: What is known.
        pools: What is known of workers that are started elsewhere.
    """
    import json  # the master, which shows its status as well, does not need it

    from msgspec import to_builtins

    content = {
        "snapshot": to_builtins(snapshot),
        "label": label,
        "pools": list(pools),
        "processes": [
            {"id": member_id, "info": info, "tasks": held}
            for member_id, info, held in census.processes
        ],
        "waiting": census.waiting,
        "running": census.running,
        "finished": census.finished,
        "submitted": census.submitted,
        "delivered": census.delivered,
        "duplicates": census.duplicates,
        "stranded": census.stranded,
        "done": census.done,
        "failed": census.failed,
        "cancelled": census.cancelled,
        "paused": census.paused,
        "troubles": census.troubles,
        "journal": None if census.journal is None else census.journal._asdict(),
    }
    return json.dumps(content, indent=2)


def counted(number: int, noun: str) -> str:
    """Return a number and a noun in the form that goes with it."""
    plural = noun + ("es" if noun.endswith("s") else "s")
    return f"{number} {noun if number == 1 else plural}"
