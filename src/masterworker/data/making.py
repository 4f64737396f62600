"""Making definitions of what is pickled, and comparing content with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from xxhash import xxh3_128_digest, xxh3_128_hexdigest

from masterworker.data.definitions import MODULES, Definition
from masterworker.data.places import MARK
from masterworker.data.stored import payload_of, store_buffer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from masterworker.core.task import Payload
    from masterworker.data.byname import Pickled
    from masterworker.data.places import Written

#: Larger definitions are stored by themselves (bytes).
INLINE: Final = 16 << 10


def define(
    kind: int, names: tuple[str, ...], found: Pickled, parts: dict[str, Payload]
) -> Definition:
    """Make a definition, and enter into `parts` what is stored apart."""
    buffers = tuple(store_buffer(each, parts) for each in found.buffers)
    digest = _digest(kind, found.data, buffers)
    if len(found.data) <= INLINE:
        return Definition(kind, names, digest, found.data, "", buffers)
    stored = digest.hex()
    parts[stored] = payload_of(found.data)
    return Definition(kind, names, digest, b"", stored, buffers)


def modules_of(written: Written) -> list[Definition]:
    """Define which modules the master has, for the attributes of modules that come after that."""
    if not written.modules:
        return []
    data = msgspec.msgpack.encode((written.modules, written.early))
    return [Definition(MODULES, (MARK,), _digest(MODULES, data, ()), data)]


def compare(kind: int, again: Callable[[], Pickled], digest: bytes) -> Callable[[], bool]:
    """Return a check that pickles something again, and looks whether it has the same content."""

    def check() -> bool:
        found = again()
        return _digest(kind, found.data, map(xxh3_128_hexdigest, found.buffers)) == digest

    return check


def _digest(kind: int, data: bytes, buffers: Iterable[str]) -> bytes:
    about = "".join(buffers).encode()
    return xxh3_128_digest(b"%d %d " % (kind, len(about)) + about + data)
