"""What travels through an engine: a bundle of leases there, and what became of them back."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from masterworker import wire
from masterworker.core.grain import Spent  # noqa: TC001  as the next ones, decoders look at it
from masterworker.core.options import Options  # noqa: TC001
from masterworker.core.task import Lease, Outcome, Payload  # noqa: TC001
from masterworker.data.segment import Segment, bytes_of
from masterworker.engine.elsewhere import cure
from masterworker.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

#: A stored value: its space, its name, and which version of it.
Known = tuple[str, str, int]

#: What both sides must have in common: protocol, Python, and the version, for messages.
VERSIONS: Final = (wire.PROTOCOL, wire.python_version(), __version__)

#: A message begins with this many random bytes, which mark what stands for a large payload.
_MARK: Final = 16


class Further(msgspec.Struct, array_like=True):
    """A task that a task of a bundle has asked for, and that was not waited for there."""

    tag: str
    payload: Payload
    options: Options | None
    #: What became of it, if it was executed in the bundle: kind and payload.
    kind: int = -1
    outcome: Payload = b""


class Order(msgspec.Struct, array_like=True):
    """A bundle: what is to be executed, and what it may need."""

    #: Random name of the run of the manager.
    instance: str
    label: str
    member_id: int
    leases: list[Lease]
    #: It stops after this time (seconds), and gives back what has not begun.
    seconds: float
    #: Digest of the stored slave program; "" where only calls are executed.
    program: str
    #: All values that are stored with the job.
    known: list[Known]
    #: Those that come along, in this order.
    shipped: list[Known]


class Answer(msgspec.Struct, array_like=True):
    """What became of a bundle."""

    #: In which process: its id and host.
    info: str
    outcomes: list[Outcome] = []
    spent: tuple[Spent, ...] = ()
    further: list[Further] = []
    #: Nothing was begun, since these values are not there.
    missing: list[Known] = []
    #: What this process can execute.
    tags: list[str] = []
    #: Why it can execute nothing; "" if it can.
    refusal: str = ""
    #: Time limits hold: the main thread executes.
    is_main: bool = True


M = TypeVar("M", Order, Answer)


def write(message: Order | Answer) -> tuple[bytes, list[bytes]]:
    """Encode a message. Returns it, and the large payloads that belong to it."""
    enclosed = wire.Enclosures(os.urandom(_MARK), [])
    data = msgspec.msgpack.Encoder(enc_hook=enclosed.stand_in).encode(message)
    return enclosed.mark + data, [bytes_of(each) for each in enclosed.payloads]


def read(kind: type[M], data: bytes, large: Sequence[bytes]) -> M:
    """Decode a message."""
    message = msgspec.msgpack.decode(memoryview(data)[_MARK:], type=kind)
    enclosed = wire.Enclosures(data[:_MARK], [Segment.of([each]) for each in large])
    attach: Any = enclosed.attach
    if isinstance(message, Order):
        message.leases = attach(message.leases)
    else:
        message.outcomes = attach(message.outcomes)
        for further in message.further:
            further.payload = attach(further.payload)
            further.outcome = attach(further.outcome)
    return message


def misfit(theirs: Sequence[object], host: str) -> str:
    """Say why a process cannot carry bundles out; "": it can."""
    protocol, python, version = VERSIONS
    if tuple(theirs) == VERSIONS:
        return ""
    return (
        f"{host} has Python {python} and masterworker {version} (protocol {protocol}), the master "
        f"Python {theirs[1]} and masterworker {theirs[2]} (protocol {theirs[0]}): {cure(theirs[2])}"
    )
