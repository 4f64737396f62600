"""What `task_manager show` says of the pools of a label."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from masterworker.data.record import printable
from masterworker.errors import UsageError
from masterworker.pools.keeping import Place
from masterworker.status.text import counted

if TYPE_CHECKING:
    from masterworker.pools.keeping import KeptJob, KeptPool


def lines(label: str, *, verbose: bool = False) -> list[str]:
    """Return lines about the pools that are scaled now."""
    said = []
    for pool in _scaled(label):
        said.append(printable(_headline(pool)))
        if pool.paused:
            said.append(printable(f"  paused: {pool.paused}"))
        if pool.trouble:
            said.append(printable(f"  {pool.trouble}"))
        said += [printable(f"  {_job(job)}") for job in pool.jobs if verbose]
    return said


def content(label: str) -> list[dict[str, Any]]:
    """Return the same for programs."""
    found = [msgspec.json.decode(msgspec.json.encode(pool)) for pool in _scaled(label)]
    for pool in found:
        del pool["pool"]
    return found


def _scaled(label: str) -> list[KeptPool]:
    try:
        place = Place(label)
    except UsageError:  # there is no folder for what is kept
        return []
    kept = place.read() if place.is_owned() else None
    return [] if kept is None else kept.pools


def _headline(pool: KeptPool) -> str:
    running = [job for job in pool.jobs if job.running]
    pending = [job for job in pool.jobs if not job.running]
    if pool.system == "ssh":
        hosts = ", ".join(job.name for job in running) or "none"
        return f"pool {pool.name}: workers through ssh on {hosts}"
    workers = counted(sum(job.workers for job in running), "worker")
    parts = [f"{len(running)} running with {workers}"]
    if pending:
        parts.append(f"{len(pending)} pending{_why(pending)}")
    for number, word in ((pool.ended, "ended"), (pool.failed, "failed"), (pool.cancelled, "back")):
        if number:
            parts.append(f"{number} {'taken back' if word == 'back' else word}")
    ends = min((job.end for job in running if job.end), default="")
    if ends:
        parts.append(f"the next one ends at {ends}")
    return f"pool {pool.name}: {pool.system} jobs: " + ", ".join(parts)


def _why(pending: list[KeptJob]) -> str:
    reasons = sorted({job.reason for job in pending if job.reason})
    start = min((job.start for job in pending if job.start), default="")
    said = [", ".join(reasons)] if reasons else []
    said += [f"the first expected at {start}"] if start else []
    return f" ({'; '.join(said)})" if said else ""


def _job(job: KeptJob) -> str:
    if job.running:
        until = f", until {job.end}" if job.end else ""
        return f"{job.name}: {counted(job.workers, 'worker')}{until}"
    return f"{job.name}: pending{_why([job])}"
