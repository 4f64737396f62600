"""A function whose calls have a stream of random numbers each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from masterworker.worker.execution import ready
from masterworker.worker.streams import call_with

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.core.streams import Stream


class Seeded:
    """What travels in the place of a function.

    Args:
        function: Its pickle.
        parent: The streams of all its calls are children of this one.
    """

    __slots__ = ("_function", "_parent")

    def __init__(self, function: bytes, parent: Stream) -> None:
        self._function = function
        self._parent = parent

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function with the stream of the number that is the last argument."""
        function = ready(self._function)
        return call_with(self._parent.child(args[-1]), function, args[:-1], kwargs)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Seeded, (self._function, self._parent)
