"""Where the effects of a step of the machine go."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

from masterworker.conversation.effects import CallsFailed, Reply, Settled, Struck, Unkept, Warned
from masterworker.manager.mailbox import Mailbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.conversation.dispatcher import Dispatcher
    from masterworker.core.census import JournalCount
    from masterworker.core.effects import Failed
    from masterworker.core.task import Finished, Payloads
    from masterworker.manager.observers import Observers
    from masterworker.manager.outbox import Outbox
    from masterworker.manager.timekeeper import Timekeeper

logger = logging.getLogger("masterworker.manager")


class Keeper(Protocol):
    """What keeps outcomes before anything tells of them. Is called with the lock held."""

    def keep(self, finished: list[Finished], parameters: list[Payloads]) -> None:
        """Keep outcomes, and then tell of it."""

    def struck(self, strikes: list[tuple[int, list[str]]]) -> None:
        """Keep which strikes tasks have now."""

    def count(self) -> JournalCount:
        """Count what is kept."""


class Sinks:
    """Carries out effects: at the end of each step, with the lock held.

    Args:
        outbox: Takes replies and bells, which leave when the lock is free.
        observers: Look again when processes come or go.
        timekeeper: Lets a tick come sooner.
        on_direct: See `Manager`.
        on_failed: See `Manager`.
        keep: See `Manager`.
    """

    def __init__(
        self,
        outbox: Outbox,
        observers: Observers,
        timekeeper: Timekeeper,
        on_direct: Callable[[list[Finished]], None] | None,
        on_failed: Callable[[list[Failed]], None] | None,
        keep: Keeper | None,
    ) -> None:
        self._outbox, self._observers, self._timekeeper = outbox, observers, timekeeper
        self.on_direct, self.on_failed, self.keep = on_direct, on_failed, keep

    def carry_out(self, machine: Dispatcher) -> None:
        """Carry out all effects of a machine, in their order."""
        effects, outbox = machine.effects, self._outbox
        while effects:
            effect = effects.popleft()
            if effect.__class__ is Reply:
                channel = effect.channel
                if channel.__class__ is Mailbox:
                    channel.reply = effect.value
                    outbox.ring(channel)
                else:
                    outbox.send((channel, effect.value))
            elif effect.__class__ is Settled:
                if self.on_direct is not None:
                    self.on_direct(effect.outcomes)
            elif isinstance(effect, (Unkept, Struck)):
                self._keep(effect)
            elif effect.__class__ is CallsFailed:
                if self.on_failed is not None:
                    self.on_failed(effect.calls)
            elif effect.__class__ is Warned:
                logger.log(logging.WARNING if effect.loud else logging.DEBUG, "%s", effect.text)
            else:
                for box in self._observers.boxes():
                    outbox.ring(box)
        if machine.alarmed or machine.core.out.alarmed:
            machine.alarmed = machine.core.out.alarmed = False
            self._timekeeper.look_again()

    def _keep(self, effect: Unkept | Struck) -> None:
        assert self.keep is not None  # noqa: S101  else there are no such effects
        if isinstance(effect, Unkept):
            self.keep.keep(effect.outcomes, effect.parameters)
        else:
            self.keep.struck(effect.strikes)

    def journal(self) -> JournalCount | None:
        """Return what is kept, if there is a journal."""
        return None if self.keep is None else self.keep.count()
