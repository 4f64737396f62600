"""What the crew asks of an engine, whichever it is."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Protocol

from masterworker.errors import MasterworkerError

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.engine.elsewhere import Call


class EngineGoneError(MasterworkerError):
    """The engine takes nothing any more."""


class End(Enum):
    """What the end of a pilot means."""

    #: It has returned 0.
    LEFT = "left"
    #: It has not worked, or its process was lost.
    FAILED = "failed"
    #: The engine will execute nothing any more.
    GONE = "gone"


class Sent(Protocol):
    """A pilot in the hands of the engine. No method waits for the engine."""

    def is_done(self) -> bool:
        """Return whether it has returned, or will not."""
        ...

    def end(self) -> tuple[End, str]:
        """Say what has become of it, once it is done, and what was said."""
        ...

    def cancel(self) -> None:
        """Let the engine not begin it. One that runs goes on."""
        ...

    def release(self) -> None:
        """Hold nothing of the engine any more."""
        ...


class Adapter(Protocol):
    """An engine. Called by one thread, but for `close`."""

    @property
    def name(self) -> str:
        """What it is called in messages."""
        ...

    @property
    def is_joined_at_exit(self) -> bool:
        """The interpreter waits for its tasks before it calls what `atexit` knows."""
        ...

    def slots(self) -> int:
        """Return for how many workers it has a place; waits for the engine."""
        ...

    def shortage(self) -> str:
        """Say what may be missing, after a sentence about it; "" where that is not known."""
        ...

    def send(self, pilot: Call, on_done: Callable[[], None]) -> Sent:
        """Let the engine execute a pilot.

        Args:
            pilot: What it calls.
            on_done: Called when it is done, by any thread. May be called twice, or never.

        Raises:
            EngineGoneError: It takes none any more.
        """
        ...

    def close(self) -> None:
        """Let go of what this has made. An engine of the user's own stays."""
        ...
