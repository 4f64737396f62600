"""How a job stands, in words and numbers that people read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from masterworker.core.filters import CALL_MARK

if TYPE_CHECKING:
    from masterworker.recorder.shapes import Forecast, Host, Snapshot, Worker

#: Tasks per second are those of this time, or of the latest two slots (seconds).
LATELY: Final = 10.0
#: A worker of which nothing has been heard for so long is silent (seconds): signs of life are 5 s
#: apart at most.
SILENT: Final = 11.0
#: A host is slow if its tasks take this many times as long as those of most; ...
SLOW: Final = 2.0
#: ... after this number of tasks.
JUDGED: Final = 5


def name_of(name: str) -> str:
    """Return a tag, or the id of a task, as people write it: of a function its name alone."""
    return name.removeprefix(CALL_MARK)


def number(value: float) -> str:
    """Return a number of things."""
    return f"{value:,.0f}"


def rate_of(value: float) -> str:
    """Return a number per second."""
    return f"{value:,.0f}/s" if value >= 10 else f"{value:.2g}/s" if value >= 0.1 else _slow(value)


def _slow(value: float) -> str:
    return f"{value * 3600:.2g}/h" if value > 0 else "0/s"


def time(seconds: float) -> str:
    """Return a time span, in two digits or so."""
    for unit, size in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return (
                f"{seconds / size:.0f} {unit}"
                if seconds >= 10 * size
                else (f"{seconds / size:.1f} {unit}")
            )
    if seconds >= 1:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    if seconds >= 1e-3:
        return f"{seconds * 1e3:.3g} ms"
    return f"{seconds * 1e6:.3g} us" if seconds > 0 else "0 s"


def memory(size: int) -> str:
    """Return a number of bytes."""
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:.3g} {unit}"
    return f"{size} B" if size else ""


def rate(snapshot: Snapshot) -> float:
    """Return how many tasks per second have been settled of late."""
    kept = snapshot.histories
    back = max(LATELY, 2 * kept.width)
    at = int((snapshot.age - back) / kept.width) - 1
    settled = snapshot.done + snapshot.failed
    if at < 0 or not kept.slots:
        return settled / snapshot.age if snapshot.age > 0 else 0.0
    at = min(at, kept.slots - 1)
    before = sum(each.done[at] + each.failed[at] for each in kept.tags.values())
    return max(0.0, (settled - before) / (snapshot.age - (at + 1) * kept.width))


def when(forecast: Forecast) -> str:
    """Say when it will be done; "" where that is not known."""
    if forecast.seconds is None or forecast.earliest is None or forecast.latest is None:
        return ""
    if not forecast.left:
        return "" if not forecast.is_least else "more tasks may come"
    if forecast.is_least:
        return f"at least {time(forecast.earliest)} more"
    first, last = time(forecast.earliest), time(forecast.latest)
    around = f" ({first} to {last})" if first != last else ""
    return f"done in about {time(forecast.seconds)}{around}"


def without_forecast(snapshot: Snapshot) -> Snapshot:
    """Return how a job stands that does not go on: nothing is said of when it will be done."""
    return replace(snapshot, forecast=replace(snapshot.forecast, seconds=None), forecasts=[])


def headline(label: str, snapshot: Snapshot) -> str:
    """Return how a job stands in one sentence."""
    settled = snapshot.done + snapshot.failed + snapshot.cancelled
    asked = snapshot.asked
    if not asked:
        what = "no task has been asked for"
    else:
        part = int(100 * settled / asked)
        what = f"{number(settled)} of {number(asked)} tasks done ({part} %)"
    parts = [what]
    if snapshot.failed:
        parts.append(f"{number(snapshot.failed)} failed")
    if snapshot.ended:
        return f"{label} is over: {', '.join(parts)}"
    workers = snapshot.workers
    parts.append(f"{number(workers)} {'worker' if workers == 1 else 'workers'}")
    if settled < asked:
        parts.append(rate_of(rate(snapshot)))
        if coming := when(snapshot.forecast):
            parts.append(coming)
    return f"{label}: {', '.join(parts)}"


def slowest(snapshot: Snapshot) -> list[Worker]:
    """Return the workers that are here: silent ones, then those that are at a task for longest."""

    def rank(worker: Worker) -> tuple[bool, float]:
        return is_silent(worker, snapshot), at_it(worker, snapshot)

    here = [worker for worker in snapshot.worker_list if worker.left is None]
    return sorted(here, key=rank, reverse=True)


def ranked_hosts(snapshot: Snapshot) -> list[Host]:
    """Return the hosts: slow ones first, then those with most workers."""
    slow = slow_hosts(snapshot)

    def rank(host: Host) -> tuple[bool, int, int]:
        return host.name in slow, host.workers, host.tasks

    return sorted(snapshot.hosts, key=rank, reverse=True)


def slow_hosts(snapshot: Snapshot) -> dict[str, float]:
    """Return hosts whose tasks take much longer than those of most, and how long (seconds).

    The same tags are assumed everywhere.
    """
    means = {h.name: h.busy / h.tasks for h in snapshot.hosts if h.tasks >= JUDGED}
    ranked = sorted(means.values())
    usual = ranked[(len(ranked) - 1) // 2] if ranked else 0.0
    return {name: mean for name, mean in means.items() if usual and mean > SLOW * usual}


def is_silent(worker: Worker, snapshot: Snapshot) -> bool:
    """Return whether nothing has been heard of a worker for too long."""
    return not snapshot.ended and snapshot.age - worker.heard > SILENT


def at_it(worker: Worker, snapshot: Snapshot) -> float:
    """Return for how long a worker has been at what it has in hand (seconds)."""
    return snapshot.age - worker.since if worker.tag else 0.0
