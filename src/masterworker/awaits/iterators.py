"""Iterators for loops of threads and of asyncio, which say in their repr how they stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from typing import Self

    from masterworker.awaits.loops import Router

T = TypeVar("T")

_END: Final[Any] = object()


#: Yielded in place of an item that is not here yet, where a loop of asyncio waits for it.
NOT_YET: Final[Any] = object()
#: Items that are here are yielded in a row; after this number other coroutines have their turn.
_IN_A_ROW: Final = 100


class Closes(Protocol):
    """What is to be closed when a loop ends, as what shows how far it is."""

    def close(self) -> object:
        """Leave it as it is."""


class Pauses:
    """How a generator waits: in its thread, or by yielding `NOT_YET`.

    Args:
        router: Whose outcomes it waits for.
    """

    def __init__(self, router: Router) -> None:
        self.router = router
        self.asynchronous = False
        #: Until what it waits, and how many seconds at most; set before `NOT_YET`.
        self.holds: Callable[[], bool] = bool
        self.left: float | None = None

    def leave_to_loop(self, holds: Callable[[], bool], left: float | None) -> bool:
        """Return whether `NOT_YET` is to be yielded, since a loop waits until something holds.

        Args:
            holds: Is asked in other threads, too, with the manager's lock held.
            left: Seconds to wait at most; None: as long as it takes.
        """
        if not self.asynchronous or holds() or left == 0.0:
            return False
        self.holds, self.left = holds, left
        return True


class Results(Generic[T]):
    """What a generator yields, for loops with `for`, and with `async for`.

    A loop with `for` goes over the generator itself, so this costs nothing for each item.

    Args:
        generator: Where items come from.
        describe: Says how it stands.
        pauses: How it waits.
    """

    __slots__ = ("__weakref__", "_describe", "_generator", "_pauses", "_row")

    def __init__(
        self, generator: Generator[T], describe: Callable[[], str], pauses: Pauses
    ) -> None:
        self._generator = generator
        self._describe = describe
        self._pauses = pauses
        self._row = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        # Of use to programs with asyncio only.
        from masterworker.awaits.loops import let_others, until

        pauses = self._pauses
        pauses.asynchronous = True
        try:
            self._row += 1
            if self._row > _IN_A_ROW:
                self._row = 0
                await let_others()
            while (item := next(self._generator, _END)) is NOT_YET:
                await until(pauses.router, pauses.holds, pauses.left)
        except BaseException:  # cancelled, say: the loop is left
            self._generator.close()
            raise
        if item is _END:
            raise StopAsyncIteration
        return item

    async def aclose(self) -> None:
        """Yield nothing any more, and end what is under way for it."""
        self._generator.close()

    def __iter__(self) -> Iterator[T]:
        self._pauses.asynchronous = False
        return self._generator

    def __next__(self) -> T:
        self._pauses.asynchronous = False
        return next(self._generator)

    def close(self) -> None:
        """Yield nothing any more, and end what is under way for it."""
        self._generator.close()

    def followed(self, shown: Closes | None) -> Results[T]:
        """Return the same; what shows how far it is, is closed when it ends in any way."""
        if shown is None:
            return self
        generator = _followed(self._generator, shown)
        next(generator)  # so that it closes both, even if nothing is taken from it
        return Results(generator, self._describe, self._pauses)

    def __repr__(self) -> str:
        return f"<{self._describe()}>"


def _followed(generator: Generator[T], shown: Closes) -> Generator[T]:
    """Yield nothing of interest, and then the same."""
    try:
        yield NOT_YET
        yield from generator
    finally:
        generator.close()
        shown.close()
