"""Where one job can be found: its server, its notice, its entry in a name server, its tickets."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from masterworker import units
from masterworker.errors import TransportError, UsageError
from masterworker.launch.resources import usable_cpus
from masterworker.manager import Service
from masterworker.transport import endings
from masterworker.transport.hosts import hosts_to_listen_at, ports_to_try
from masterworker.transport.notice import Notice
from masterworker.transport.pyro.server import Server

if TYPE_CHECKING:
    from collections.abc import Sequence

    from masterworker.manager import Manager
    from masterworker.transport.address import Address
    from masterworker.transport.pyro.names import NameServer

logger = logging.getLogger("masterworker.master")


class Endpoint:
    """Makes a job reachable.

    Args:
        label: The label of the job.
        manager: Its task manager.
        host: See `Master`, as the next two.
        ports: The ports to try, in this order.
        name_server: Enter the label in the name server.
        last_port: Where the last run of the job listened, which is tried first; 0: nowhere.

    Raises:
        LabelTakenError: A living master has this label.
        TransportError: None of the ports is free.
    """

    def __init__(
        self,
        label: str,
        manager: Manager,
        host: str | None,
        ports: Sequence[int],
        *,
        name_server: bool,
        last_port: int = 0,
    ) -> None:
        self._label = label
        self._manager = manager
        #: The name server in which the label is entered.
        self.registered: NameServer | None = None
        names = None
        if name_server:
            from masterworker.transport.pyro.names import NameServer

            names = NameServer()
        self._notice = Notice(label)
        server = None
        try:
            server = self.server = Server(
                lambda peer: Service(manager, peer),
                label,
                hosts_to_listen_at(host, (names.host, names.port) if names else None),
                _ports(ports, last_port),
                self._notice.socket_path,
                manager.job,
                manager.instance,
            )
            manager.machine.most_awake = usable_cpus() - 1
            manager.leading.lead = server.lead
            if names is not None and _enter(names, label, server.uri):
                self.registered = names
            self._notice.publish(server.address, server.addresses, manager.instance)
        except BaseException:
            if server is not None:
                server.close()
            self._notice.release()
            raise

    @property
    def address(self) -> Address:
        """Where the server listens."""
        return self.server.address

    @property
    def socket(self) -> str:
        """Path of the private socket, for workers of this user on this machine."""
        return self._notice.socket_path

    def ticket(self, valid: str, role: str, *, one_run: bool = False) -> str:
        """Make a ticket; see `Master.ticket`.

        Args:
            valid: For how long.
            role: Of whom.
            one_run: It is no good for another run of a job with a journal.
        """
        from masterworker.security.peer import Role
        from masterworker.security.ticket import issue

        if role not in {Role.WORKER, Role.OBSERVER}:
            raise UsageError(f"a ticket is for a worker or an observer, not for {role!r}")
        server = self.server
        places = [(host, server.port) for host in server.addresses]
        manager = self._manager
        job = manager.instance if one_run else manager.job or manager.instance
        until = units.duration(valid)
        return issue(self._label, job, places, role=Role(role), valid=until).text()

    def note_end(self) -> None:
        """Leave word that the job has ended in good order, for workers that come too late."""
        endings.note(self._label, self._manager.instance, self.server.address.port)

    def close(self) -> None:
        """Withdraw the entry in the name server, and listen no more. Can be called twice."""
        if self.registered is not None:
            try:
                self.registered.remove(self._label, self.server.uri)
            except TransportError as error:
                logger.warning("the label stays in the name server: %s", error)
        self.server.close()

    def release(self) -> None:
        """Free the label. Can be called twice."""
        self._notice.release()


def _ports(given: Sequence[int], last: int) -> Sequence[int]:
    """Return the ports to try: that of the last run first, if it is one of them."""
    ports = ports_to_try(given)
    return [last, *ports] if last and (last in ports or 0 in ports) else ports


def _enter(names: NameServer, label: str, uri: str) -> bool:
    from masterworker.master.name_entry import enter_name

    return enter_name(names, label, uri)
