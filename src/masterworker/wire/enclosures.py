"""Large payloads that travel beside a message, and what stands for them in it."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from masterworker.core.task import Finished, Large, Lease, Outcome
from masterworker.errors import UsageError
from masterworker.named import NamedTuple
from masterworker.wire.records import Exchange, Reply, Submission

#: Which fields of records may have large payloads.
_PLACES: dict[type, str] = {
    Exchange: "outcomes",
    Finished: "payloads",
    Lease: "payloads",
    Outcome: "payloads",
    Reply: "leases",
    Submission: "payloads",
}


class Enclosures(NamedTuple):
    """The large payloads of one message.

    The mark is known to the sender and the receiver alone, so no bytes that a third process has
    made can be taken for a stand-in.
    """

    #: Random bytes, made for this message.
    mark: bytes
    payloads: list[Large]

    def stand_in(self, value: object) -> bytes:
        """Enclose a value that is no plain one. Returns what stands for it.

        Raises:
            TypeError: It is no large payload.
        """
        if not isinstance(value, Large):
            raise TypeError(f"objects of type {type(value).__name__} are no plain values")
        self.payloads.append(value)
        return self.mark + (len(self.payloads) - 1).to_bytes(4, "big")

    def attach(self, message: Any) -> Any:
        """Put the payloads in the place of what stands for them, where a message may have some.

        Args:
            message: A request or a reply, of its declared shape.

        Raises:
            UsageError: There are not as many.
        """
        if isinstance(message, bytes):
            return self._payload(message)
        attached = message
        if isinstance(message, (list, tuple)):
            attached = type(message)(self.attach(each) for each in message)
        elif isinstance(message, dict):
            attached = {key: self.attach(each) for key, each in message.items()}
        elif name := _PLACES.get(type(message)):
            value = getattr(message, name)
            # Several payloads in one of these are small ones, and a chunk is one, too.
            if not isinstance(message, (Lease, Outcome, Finished)) or len(value) == 1:
                attached = replace(message, **{name: self.attach(value)})
        return attached

    def _payload(self, value: bytes) -> bytes | Large:
        if not value.startswith(self.mark):
            return value
        number = int.from_bytes(value[len(self.mark) :], "big")
        if number >= len(self.payloads):
            raise UsageError("a message that refers to a payload which did not come with it")
        return self.payloads[number]
