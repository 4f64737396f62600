"""The identity of the other end of a connection, once it has been proved."""

from __future__ import annotations

from enum import StrEnum

from masterworker.named import NamedTuple


class Role(StrEnum):
    """What a process may be. It stands in its certificate, so no process can choose it freely."""

    MASTER = "master"
    WORKER = "worker"
    OBSERVER = "observer"


class Peer(NamedTuple):
    """The other side, as its certificate or the system says.

    Attributes:
        role: What it may be.
        job: Random id of the one job that it may talk to; "" means all jobs of this user.
        where: Where it comes from, for messages.
        serial: Serial number of its certificate, hexadecimal; "" where it needs none. All
            holders of one ticket have the same.
        expires: When that certificate ends (seconds since 1970); 0: never.
    """

    role: Role
    job: str = ""
    where: str = ""
    serial: str = ""
    expires: float = 0.0

    @property
    def of_this_user(self) -> bool:
        """Whether it has the user's own credentials, and not a ticket for one job."""
        return not self.job


#: The peer on the private socket: the system says that it is the same user.
OWNER = Peer(Role.WORKER, where="this machine")
