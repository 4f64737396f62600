"""A transport inside one process, which loses, delays and repeats on demand.

Messages are packed and unpacked exactly as they would be on the way, so what passes here passes
everywhere. It is public through `masterworker.testing`, and the same contract tests hold for it
and for Pyro.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from masterworker import wire
from masterworker.errors import TransportError

if TYPE_CHECKING:
    from masterworker.transport.base import Service


@dataclass(slots=True)
class Faults:
    """What is to go wrong next, by the name of the operation. Each entry counts down to zero."""

    lose_request: dict[str, int] = field(default_factory=dict)
    lose_reply: dict[str, int] = field(default_factory=dict)
    repeat_request: dict[str, int] = field(default_factory=dict)

    def strikes(self, faults: dict[str, int], operation: str) -> bool:
        """Use up one fault of a kind, if there is one."""
        left = faults.get(operation, 0)
        if left:
            faults[operation] = left - 1
        return left > 0


class MemoryConnection:
    """A connection to a service in this process.

    Args:
        service: The other end.
        faults: What is to go wrong; a lost message breaks the connection, as on a network.
    """

    def __init__(self, service: Service, faults: Faults | None = None) -> None:
        self._service = service
        self._faults = faults or Faults()
        self._lock = threading.Lock()
        self._closed = False
        self.may_look = False

    def call(self, operation: str, *args: Any) -> Any:
        """See `Connection.call`."""
        faults = self._faults
        with self._lock:
            if self._closed:
                raise TransportError("the connection is closed")
            if faults.strikes(faults.lose_request, operation):
                self.close()
                raise TransportError(f"the request {operation!r} was lost")
            enclosed = wire.Enclosures(b"enclosed", [])
            request = msgspec.Raw(_pack(args, enclosed))
            reply = self._service.call(operation, request, enclosed)
            if faults.strikes(faults.repeat_request, operation):
                self._service.call(operation, request, enclosed)
            if faults.strikes(faults.lose_reply, operation):
                self.close()
            if self._closed:
                raise TransportError(f"the reply to {operation!r} was lost")
            enclosed = wire.Enclosures(b"enclosed", [])
            good, received = wire.read_reply(operation, _pack(reply, enclosed))
            return [good, enclosed.attach(received)]

    def close(self) -> None:
        """See `Connection.close`."""
        if not self._closed:
            self._closed = True
            self._service.closed()


def _pack(values: Any, enclosed: wire.Enclosures) -> bytes:
    return msgspec.msgpack.Encoder(enc_hook=enclosed.stand_in).encode(values)
