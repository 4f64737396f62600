"""What is stored for calls: by content, so that the same is stored once."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from xxhash import xxh3_128_hexdigest

from masterworker.data.segment import LARGE, Segment

if TYPE_CHECKING:
    from masterworker.core.task import Payload
    from masterworker.data.byname import Pickled

#: Files in memory with large buffers, by digest, as long as something needs them.
_blobs: weakref.WeakValueDictionary[str, Segment] = weakref.WeakValueDictionary()


def root_parts(found: Pickled) -> tuple[str, tuple[str, ...], dict[str, Payload]]:
    """Store what a function consists of that has no name, and carries much.

    Returns:
        The key of its pickle, the keys of its large buffers, and what is to be stored.
    """
    parts: dict[str, Payload] = {}
    keys = tuple(store_buffer(each, parts) for each in found.buffers)
    key = xxh3_128_hexdigest(found.data)
    parts[key] = payload_of(found.data)
    return key, keys, parts


def store_buffer(buffer: memoryview, parts: dict[str, Payload]) -> str:
    """Enter a large buffer into what is to be stored. Returns its key."""
    key = xxh3_128_hexdigest(buffer)
    known = _blobs.get(key)
    if known is None:
        _blobs[key] = known = Segment.of([buffer])
    parts[key] = known
    return key


def payload_of(data: bytes) -> Payload:
    """Return bytes as they are stored."""
    return data if len(data) <= LARGE else Segment.of([data])
