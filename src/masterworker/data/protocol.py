"""Which pickles this package makes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pickle
    from collections.abc import Callable

    #: Says of a large buffer whether it is a part of the pickle (true), or travels beside it.
    Keep = Callable[[pickle.PickleBuffer], bool]

#: The first protocol that can leave large buffers out of the pickle.
PROTOCOL: Final = 5
