"""Iterators that say in their repr how they stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

T = TypeVar("T")


class Described(Generic[T]):
    """What a generator yields.

    A loop goes over the generator itself, so this costs nothing for each item.

    Args:
        generator: Where items come from.
        describe: Says how it stands.
    """

    __slots__ = ("_describe", "_generator")

    def __init__(self, generator: Generator[T], describe: Callable[[], str]) -> None:
        self._generator = generator
        self._describe = describe

    def __iter__(self) -> Iterator[T]:
        return self._generator

    def __next__(self) -> T:
        return next(self._generator)

    def close(self) -> None:
        """Yield nothing any more, and end what is under way for it."""
        self._generator.close()

    def __repr__(self) -> str:
        return f"<{self._describe()}>"
