"""Pickling by value, for what the other side cannot import: the only importer of cloudpickle.

It is loaded when something travels by value for the first time. The other half, which rebuilds
it, is in `own`.
"""

from __future__ import annotations

from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any

import cloudpickle

from masterworker.data import rebuilding, sourcecode
from masterworker.data.mainmodule import CACHED
from masterworker.data.own import fill, own, own_or_cached, own_or_make
from masterworker.data.protocol import PROTOCOL
from masterworker.data.standard import reduce_standard

if TYPE_CHECKING:
    import io

    from masterworker.data.protocol import Keep


class Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
    """A pickler by value that prefers the receiver's own object of the same name.

    Args:
        out: Where the pickle goes.
        itself: This object travels by value whatever the receiver has.
        keep: Says which buffers are a part of the pickle; None: all.
    """

    def __init__(self, out: io.BytesIO, itself: object, keep: Keep | None) -> None:
        super().__init__(out, PROTOCOL, buffer_callback=keep)
        self._itself = itself

    def reducer_override(self, obj: Any) -> Any:
        """Say how to pickle what is not built in; see `pickle.Pickler`."""
        if isinstance(obj, CACHED) and obj.__module__ == "__main__":
            name = "" if obj is self._itself else obj.__qualname__
            return own_or_cached, (name, obj.cache_parameters(), obj.__wrapped__)
        if isinstance(obj, CodeType):  # with its file and lines
            return rebuilding.load_code, (sourcecode.dump(obj),)
        if (standard := reduce_standard(obj)) is not None:
            return standard
        reduced = super().reducer_override(obj)
        if not isinstance(reduced, tuple) or obj is self._itself or not _is_of_main(obj):
            return reduced
        make, args, state, items, pairs, *setters = reduced
        if items is not None or pairs is not None:
            return reduced
        setter = setters[0] if setters else None
        return own_or_make, (obj.__qualname__, make, args), (setter, state), None, None, fill


def _is_of_main(obj: Any) -> bool:
    """Return whether an object can be found by name in this process's main program."""
    if not isinstance(obj, (type, FunctionType)) or obj.__module__ != "__main__":
        return False
    return own(obj.__qualname__) is obj
