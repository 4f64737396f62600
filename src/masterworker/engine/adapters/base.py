"""What every adapter says of its engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from masterworker.named import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Died(NamedTuple):
    """The process that executed a bundle has ended."""

    text: str
    #: How many processes it has cost: an engine may have tried it again by itself.
    processes: int = 1
    #: Other bundles had the same fate, so it is not known which one was to blame.
    is_shared: bool = False


class Gone(NamedTuple):
    """The engine takes nothing any more; what it said."""

    text: str


class Withdrawn(NamedTuple):
    """A bundle was cancelled, and has not begun."""

    text: str


class Unfit(NamedTuple):
    """A bundle could not be carried out, and why."""

    text: str
    #: No other one can be, either.
    is_final: bool = False


#: What has become of a bundle that has brought no answer.
Verdict = Died | Gone | Withdrawn | Unfit


class Adapter(Protocol):
    """Speaks to one engine. Used by one thread, but for what futures call."""

    #: The engine, for messages.
    name: str
    #: Bundles are executed in this very process, so nothing need be encoded.
    in_process: bool
    #: Bundles are better carried out in children of its processes: those that end are not replaced,
    #: or not soon.
    apart: bool

    def slots(self) -> int:
        """Return how many bundles can be executed at one time, at this moment."""

    def send(self, function: Callable[..., Any], args: Sequence[Any], values: Sequence[Any]) -> Any:
        """Let the engine call a function, with further arguments that `hold` has made.

        Returns:
            A future, which has `add_done_callback`, `cancel` and `result`.
        """

    def shortage(self) -> str:
        """Say what helps where there are no slots, after a sentence; "": that is not known.

        Takes no lock, and asks nothing.
        """

    def hold(self, value: bytes) -> Any:
        """Bring a large value near to all processes; None: it travels where it is missing."""

    def release(self, held: Any) -> None:
        """A value is of no use any more."""

    def judge(self, error: BaseException) -> Verdict:
        """Say what has become of a bundle whose future has raised this."""

    def renew(self) -> bool:
        """Make the engine anew. False: that cannot be done from here."""

    def close(self) -> None:
        """Nothing more is sent. What was made for this job ends, and nothing else."""


def say(error: BaseException) -> str:
    """Return what an engine has raised, in one line."""
    text = " ".join(str(error).split())[:500]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def is_missing(error: BaseException) -> bool:
    """Return whether masterworker is missing where a bundle came to."""
    return isinstance(error, ModuleNotFoundError) and (error.name or "").startswith("masterworker")
