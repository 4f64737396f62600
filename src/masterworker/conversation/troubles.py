"""What keeps a job from going on, in sentences: each said once in the log, and kept for `show`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from masterworker.core.audit import HOW_TO_START
from masterworker.named import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from masterworker.core.scheduler import Scheduler

#: A state that cannot go on is named after this time (seconds).
NAMED_AFTER = 5.0
#: What has happened (a worker that did not start, say) is shown for this time (seconds).
SHOWN_FOR = 120.0
#: Of those that wait for workers which are starting.
STARTING = "starting"
#: Name at most this many tags.
MOST_TAGS = 5
#: Say at most this many reasons why workers are started in another way than usual.
MOST_WAYS = 8


class _Trouble(NamedTuple):
    text: str
    since: float
    #: It is named in the log and in `show`.
    named: bool
    #: When it is forgotten; None: when it does not hold any more.
    until: float | None


class Troubles:
    """The troubles of one job. The manager's lock is held around every call. Times in seconds.

    Args:
        warn: Takes a line for the log.
    """

    def __init__(self, warn: Callable[[str], object]) -> None:
        self._warn = warn
        self._known: dict[str, _Trouble] = {}
        #: Says which workers of the master's machine are starting; "": none. Takes no lock.
        self.starting: Callable[[], str] = lambda: ""
        #: Says how those are started, if not as usual; "": as usual. Takes no lock.
        self.ways_to_start: Callable[[], str] = lambda: ""

    def note(self, key: str, text: str, now: float, details: str = "") -> None:
        """Something has happened. It is logged unless the same is known already.

        Args:
            key: What sort of thing.
            text: One sentence.
            now: Seconds on the manager's clock.
            details: Further lines for the log.
        """
        if key not in self._known:
            self._warn(f"{text}:\n{details}" if details else text)
        self._known[key] = _Trouble(text, now, True, now + SHOWN_FOR)

    def look(self, core: Scheduler, now: float) -> None:
        """Find out what the waiting tasks wait for in vain."""
        found = {} if core.terminated else _in_vain(core, self.starting)
        for key, text in found.items():
            known = self._known.get(key)
            since = now if known is None else known.since
            named = known is not None and known.named
            if not named and now - since >= NAMED_AFTER:
                named = True
                if key != STARTING:  # their supervisor has said it in the log
                    self._warn(text)
            self._known[key] = _Trouble(text, since, named, None)
        for key, known in list(self._known.items()):
            if key not in found and (known.until is None or known.until <= now):
                del self._known[key]

    def ways(self, elsewhere: Iterable[str] = ()) -> list[str]:
        """Return how workers are started, if not as usual, in one line for each reason.

        Args:
            elsewhere: What other supervisors have said.
        """
        said = dict.fromkeys((self.ways_to_start(), *elsewhere))
        return [text for text in said if text][:MOST_WAYS]

    def lines(self) -> list[str]:
        """Return what is to be shown."""
        return [known.text for known in self._known.values() if known.named]


def _in_vain(core: Scheduler, starting: Callable[[], str]) -> dict[str, str]:
    count = core.waiting.count
    if not count:
        return {}
    views = {m.filter for m in core.members.values() if m.filter is not None}
    if not views:
        waiting = "1 task waits" if count == 1 else f"{count} tasks wait"
        if coming := starting():
            return {STARTING: f"{waiting}; {coming}"}
        return {"workers": f"{waiting}, and there are no workers{HOW_TO_START}"}
    tags = [t for t in core.waiting.tags if not any(view.accepts(t) for view in views)]
    if not tags:
        return {}
    names = ", ".join(repr(tag.removeprefix("@")) for tag in sorted(tags)[:MOST_TAGS])
    more = f" and {len(tags) - MOST_TAGS} more" if len(tags) > MOST_TAGS else ""
    workers = sum(m.filter is not None for m in core.members.values())
    cannot = "the only worker cannot" if workers == 1 else f"none of {workers} workers can"
    return {"tags": f"{cannot} execute {names}{more}"}
