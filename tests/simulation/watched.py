"""The oracle listens at the real scheduler: whatever is told to it, by whichever way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from masterworker.core.effects import Effects
    from masterworker.core.scheduler import Scheduler
    from simulation.kernel import Kernel
    from simulation.oracle import Oracle


class Watch:
    """To be mixed into a scheduler: tells an oracle of the outermost event."""

    oracle: Oracle
    kernel: Kernel
    _inside = False

    def on_reported(self, member_id: int, outcomes: Any, now: float) -> Any:
        outcomes = list(outcomes)
        refused, effects = self._event("on_reported", member_id, outcomes, now)
        self.oracle.reported(outcomes, refused)
        self._follows(effects)
        return refused, effects

    def on_cancelled(self, task_ids: Any, now: float, dropped_by: int | None = None) -> Any:
        ids = list(task_ids)
        found = [(i, self.find(i)) for i in ids]  # type: ignore[attr-defined]
        held = [(t.holder, i) for i, t in found if t is not None and t.holder is not None]
        if dropped_by is not None:
            self.oracle.dropped(dropped_by, ids)
            held = [(holder, i) for holder, i in held if holder != dropped_by]
        inside = self._inside
        cancelled, effects = self._event("on_cancelled", ids, now, dropped_by)
        if not inside:
            self.oracle.cancelled(cancelled, held, effects.orders)
            self._follows(effects)
        return cancelled, effects

    def on_undelivered(self, outcomes: Any) -> Any:
        self.oracle.came_back(list(outcomes))
        return self._simple("on_undelivered", outcomes)

    def on_fetch(self, member_id: int, *args: Any, **kwargs: Any) -> Any:
        leases, claim = self._event("on_fetch", member_id, *args, **kwargs)
        self.oracle.handed_out(member_id, leases, self.kernel.now)
        return leases, claim

    def on_collect(self, *args: Any) -> Any:
        finished, claim = self._event("on_collect", *args)
        self.oracle.left(finished)
        return finished, claim

    def on_started(self, member_id: int, task_id: int, now: float) -> None:
        self.oracle.begun(member_id, task_id)
        self._event("on_started", member_id, task_id, now)

    def on_requested(self, *args: Any, **kwargs: Any) -> Any:
        first, effects = self._event("on_requested", *args, **kwargs)
        self._follows(effects)
        return first, effects

    def on_tick(self, now: float) -> Any:
        with self.oracle.watching_limits(now):
            effects = self._event("on_tick", now)
        self._follows(effects)
        self.oracle.ticked()
        return effects

    def on_closed(self, member_id: int, *args: Any) -> Any:
        self.oracle.disconnected(member_id)
        return self._simple("on_closed", member_id, *args)

    def _event(self, name: str, *args: Any, **kwargs: Any) -> Any:
        outer, self._inside = self._inside, True
        try:
            return getattr(super(), name)(*args, **kwargs)
        finally:
            self._inside = outer

    def _simple(self, name: str, *args: Any, **kwargs: Any) -> Any:
        effects = self._event(name, *args, **kwargs)
        self._follows(effects)
        return effects

    def _follows(self, effects: Effects) -> None:
        if self._inside:
            return
        for _, leases in effects.leases:
            task = self.find(leases[0].task_id)  # type: ignore[attr-defined]
            self.oracle.handed_out(task.holder, leases, self.kernel.now)
        for _, finished in effects.results:
            self.oracle.left(finished)
        if effects.direct:
            self.oracle.left(effects.direct)
        for member_id, task_id in effects.orders:
            self.oracle.ordered(member_id, task_id)
        for member, reason in effects.lost:
            self.oracle.lost(member, reason, self.kernel.now)


def _simple(name: str) -> Any:
    def event(self: Any, *args: Any, **kwargs: Any) -> Any:
        return self._simple(name, *args, **kwargs)

    return event


for _name in (
    *("on_returned", "on_withdrawn", "on_held_back", "on_departed"),
    *("on_ended_at_last", "on_unattended", "on_kept", "on_recalled"),
):
    setattr(Watch, _name, _simple(_name))


def watched(kind: type[Scheduler]) -> type[Any]:
    """Return a kind of scheduler at which an oracle listens."""
    return type(f"Watched{kind.__name__}", (Watch, kind), {})
