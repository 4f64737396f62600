"""What makes the form of a value that is made of others asks for the forms of those."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol


class Forms(Protocol):
    """Makes forms; see `canonical.Canonical`."""

    def of(self, value: Any) -> bytes:
        """Return the form of a part."""

    def parts(self, mark: bytes, values: Iterable[Any]) -> bytes:
        """Return the form of something that is made of parts in an order."""

    def unordered(self, mark: bytes, values: Iterable[Any]) -> bytes:
        """Return the form of something that is made of parts without one."""

    def as_pickled(self, value: Any) -> bytes:
        """Return the form of what a value tells pickle about itself."""

    def attributes(self, mark: bytes, state: dict[Any, Any]) -> bytes:
        """Return the form of names with values, in whichever order they were given."""


#: Makes the forms of one class.
Maker = Callable[[Forms, Any], bytes]
