"""Stored values on their way to an engine: small ones with each bundle, large ones once.

A large value is brought near to all processes by the engine itself, where that can be done. Else a
process that lacks one says so before it begins, and gets it with the same bundle once more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from masterworker import wire
from masterworker.data.segment import bytes_of
from masterworker.engine.kept import SMALL

if TYPE_CHECKING:
    from collections.abc import Collection

    from masterworker.core.task import Payload
    from masterworker.engine.adapters.base import Adapter
    from masterworker.engine.parcel import Known
    from masterworker.manager import Manager

#: What tasks may need.
SPACES: Final = frozenset({wire.STATES, wire.PROGRAM, wire.DEFINITIONS})
#: Small values that travel with one bundle have at most this many bytes together.
MOST: Final = 1 << 20


class _Value:
    """A stored value as it is sent.

    Args:
        payload: The value.
        version: Its number.
        held: What the engine has made of it; None: it travels itself.
    """

    __slots__ = ("held", "payload", "version")

    def __init__(self, payload: Payload, version: int, held: Any) -> None:
        self.payload, self.version, self.held = payload, version, held


class Shipping:
    """Knows which stored values travel with a bundle. For one thread.

    Args:
        manager: The task manager.
        adapter: Speaks to the engine.
    """

    def __init__(self, manager: Manager, adapter: Adapter) -> None:
        self._manager, self._adapter = manager, adapter
        self._values: dict[tuple[str, str], _Value] = {}
        self._number = 0

    def pack(self, missing: Collection[Known] = ()) -> tuple[list[Known], list[Known], list[Any]]:
        """Return all values that are known, which of them travel, and these.

        Args:
            missing: Those that have not been there.
        """
        self._look()
        known: list[Known] = []
        shipped: list[Known] = []
        values: list[Any] = []
        room = MOST
        for (space, name), value in self._values.items():
            one = space, name, value.version
            known.append(one)
            if self._adapter.in_process:
                sent: Any = value.payload
            elif one in missing:
                sent = bytes_of(value.payload)
            elif value.held is not None:
                sent = value.held
            elif len(value.payload) <= min(SMALL, room):
                sent = bytes_of(value.payload)
                room -= len(sent)
            else:
                continue
            shipped.append(one)
            values.append(sent)
        return known, shipped, values

    def close(self) -> None:
        """Let go of everything."""
        for value in self._values.values():
            self._release(value)
        self._values.clear()

    def _look(self) -> None:
        """Take note of what has been stored and forgotten since."""
        before, self._values = self._values, {}
        for space, name, payload in self._manager.store.entries():
            if space not in SPACES:
                continue
            value = before.get((space, name))
            same = value is not None and (
                value.payload is payload
                or (isinstance(payload, bytes) and value.payload == payload)
            )
            if value is None or not same:
                self._number += 1
                held = None
                if len(payload) > SMALL and not self._adapter.in_process:
                    held = self._adapter.hold(bytes_of(payload))
                value = _Value(payload, self._number, held)
            else:
                del before[space, name]
            self._values[space, name] = value
        for value in before.values():
            self._release(value)

    def _release(self, value: _Value) -> None:
        if value.held is not None:
            self._adapter.release(value.held)
            value.held = None
