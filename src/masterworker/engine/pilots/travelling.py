"""A pilot as the engine is given it."""

from __future__ import annotations

from typing import Final

import msgspec

from masterworker.engine.elsewhere import Call

#: Length of the part of a supervisor's name that the master chooses. The rest is made when it
#: begins: an engine may begin a pilot once more where a process of its own was lost.
NAME: Final = 16


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a pilot is told. It holds a secret, so it is shown nowhere."""

    ticket: str = ""
    #: Of its supervisor, the first part, by which the master knows its workers.
    name: str = ""
    max_tasks: int | None = None
    idle_timeout: float | None = None
    #: Seconds from its start.
    lifetime: float | None = None
    initializer: str = ""
    memory_limit: int | None = None
    start_timeout: float | None = None
    output: str = "marked"
    #: Libraries that its workers have from the start; None: those that the master has chosen.
    preload: tuple[str, ...] | None = None
    verbose: bool = False

    def __repr__(self) -> str:
        return f"<Order of {self.name}>"


def pilot(order: Order) -> Call:
    """Return the call. It returns 0 when its worker has left in good order, else why it has not.

    Args:
        order: What it is told.
    """
    told = msgspec.json.encode(order)
    return Call("masterworker_pilot", "masterworker.engine.pilots.inside", "run", told)
