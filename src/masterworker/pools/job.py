"""The job of which pools are the workers, as their process sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from masterworker import units
from masterworker.errors import UsageError
from masterworker.security import ticket
from masterworker.transport.hosts import LOOPBACK, is_local

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.client import Client


class ScaledJob:
    """The job whose workers are scaled: where its master is, and tickets for it.

    Args:
        label: Its label.
        client: Speaks to its master as an observer.
        places: Says where a run of it can be reached, as hosts and ports; raises where it is gone.
    """

    def __init__(
        self, label: str, client: Client, places: Callable[[str], list[tuple[str, int]]]
    ) -> None:
        self.label, self.client = label, client
        self._places = places
        self.run: str = client.call("instance")
        self.id = client.job() or self.run
        self.comes_back = bool(client.job())

    def again(self) -> bool:
        """Return whether the master was started again since, and take note of it."""
        run = self.client.call("instance")
        if run == self.run:
            return False
        job = self.client.job() or run
        self.run, self.id = run, job
        return True

    def places(self) -> list[tuple[str, int]]:
        """Return the addresses of the master."""
        return self._places(self.run)

    def way(self) -> tuple[str, int]:
        """Return where the master is reached from this machine: by a loopback address, if any."""
        places = self.places()
        return next((each for each in places if is_local(each[0])), places[0])

    def require_reachable(self) -> None:
        """Check that workers of other machines can reach the master.

        Raises:
            UsageError: They cannot.
        """
        if all(is_local(host) for host, _ in self.places()):
            raise UsageError(
                "this master is reached from this machine only, so workers of a batch system "
                "cannot join: start it with MASTERWORKER_HOST set to an address of this machine "
                "(or Master(host=...)), or to 0.0.0.0 for all of them"
            )

    def ticket(self, valid: str, port: int = 0) -> str:
        """Return a ticket.

        Args:
            valid: How long.
            port: Where the master is to be found on the machine of the worker; 0: its addresses.
        """
        places = [(LOOPBACK, port)] if port else self.places()
        return ticket.issue(self.label, self.id, places, valid=units.duration(valid)).text()
