"""The serving end: two doors, and what serves the connections that have come in.

the gate           lets in what comes over TCP, after TLS has proved its identity
reception thread   lets in this user's own processes, through the private socket
reactor            reads requests, lets the service answer, sends replies, notices hang-ups
"""

from __future__ import annotations

import logging
import os
import resource
import selectors
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from masterworker import forks
from masterworker.errors import CredentialError
from masterworker.security.peer import OWNER, Peer, Role
from masterworker.transport.address import Address, object_name
from masterworker.transport.hosts import LOCAL, addresses
from masterworker.transport.pyro.link import STALL
from masterworker.transport.pyro.links import link_over
from masterworker.transport.pyro.messages import LONGEST_MESSAGE
from masterworker.transport.pyro.reactor import Reactor, Served
from masterworker.transport.pyro.serving import Serving
from masterworker.transport.sockets import listen_tcp, listen_unix, user_of

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable, Iterable, Sequence

    from masterworker.transport.base import ServiceFactory
    from masterworker.transport.gate import Gate

logger = logging.getLogger("masterworker.transport")

#: Certificates are looked at again after this time (seconds): they are renewed while jobs run.
REFRESH: Final = 3600.0
#: ... or after this time, if that failed.
RETRY: Final = 60.0
#: File descriptors that connections from a network leave free: for the user's own processes, and
#: for whatever else the program does.
RESERVE: Final = 128
#: The log hears of connections that cannot be accepted once in this time (seconds).
QUIET: Final = 60.0
#: An observer's certificate is good for this many connections at a time.
MOST_OBSERVING: Final = 8
#: An observer's question is not longer than this (bytes); others may send what a message holds.
LONGEST_QUESTION: Final = 1 << 16


class Server:
    """Serves one task manager to any number of connections.

    Args:
        factory: Makes the service of each connection.
        label: The task manager's label.
        hosts: The addresses to listen at; loopback unless the user says otherwise.
        ports: The ports to try, in this order; 0 is any free one.
        socket_path: Where to listen as a Unix-domain socket too; "" for nowhere. The folder
            must be the user's alone.
        job: The random id of this job, which tickets name.
        run: Another one, of this run of the job alone.

    Raises:
        TransportError: None of the ports is free, or the host is not one of this machine.
    """

    def __init__(
        self,
        factory: ServiceFactory,
        label: str,
        hosts: Sequence[str] = ("127.0.0.1",),
        ports: Iterable[int] = (0,),
        socket_path: str = "",
        job: str = "",
        run: str = "",
    ) -> None:
        self._factory = factory
        self._name = object_name(label)
        self._jobs = frozenset(("", job, run))
        self._credentials = _Credentials()
        if not LOCAL.issuperset(hosts):
            self._credentials.context()  # what is wrong with them is said now
        self._listeners = listen_tcp(hosts, ports)
        #: What others can connect to; more than one where we listen at all addresses.
        self.addresses = addresses(hosts)
        self.host = self.addresses[0]
        #: The TCP port that was found.
        self.port: int = self._listeners[0].getsockname()[1]
        self.address = Address(self.host, self.port, socket_path)
        #: The Pyro address of the task manager.
        self.uri = f"PYRO:{self._name}@{self.address}"
        self._private = [listen_unix(socket_path)] if socket_path else []
        #: Comes with the first connection over TCP: most jobs have none.
        self.gate: Gate | None = None
        self._lock = forks.lock()
        forks.register(self)
        self._connections: dict[int, Served] = {}
        self._reactor = Reactor(self._forget)
        #: Serve connections while waiting; see `Reactor`.
        self.lead = self._reactor.lead
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        #: Made here, so that an error where no descriptor is left reaches the caller.
        self._selector = selectors.DefaultSelector()
        self._closing = False
        self._quiet_until = 0.0
        self._pause = threading.Event()  # never set: a wait with a bound
        self._reception = threading.Thread(
            target=self._receive, name="masterworker-reception", daemon=True
        )
        self._reception.start()

    def after_fork(self) -> None:
        """Leave the doors to the parent."""
        for listener in self._private + self._listeners:
            listener.close()

    def close(self) -> None:
        """Close all sockets and connections. Safe to call twice."""
        with self._lock:
            if self._closing:
                return
            self._closing = True
        os.write(self._wake_write, b"x")
        self._reception.join()
        if self.gate is not None:
            self.gate.close()
        with self._lock:  # only now can no connection be added any more
            served = list(self._connections.values())
        for listener in self._private:
            Path(listener.getsockname()).unlink(missing_ok=True)
        for listener in self._private + self._listeners:
            listener.close()
        for one in served:
            one.link.hang_up()
        self._reactor.close()
        for fd in (self._wake_read, self._wake_write):
            os.close(fd)

    @property
    def connections(self) -> int:
        """How many connections are open."""
        with self._lock:
            return len(self._connections)

    # -- the reception thread ---------------------------------------------------------------

    def _receive(self) -> None:
        with self._selector as selector:
            for listener in self._private:
                selector.register(listener, selectors.EVENT_READ, self._accept_own)
            for listener in self._listeners:
                selector.register(listener, selectors.EVENT_READ, self._open_gate)
            selector.register(self._wake_read, selectors.EVENT_READ)
            while not self._closing:
                for key, _ in selector.select():
                    if key.data is not None:
                        self._attend(key.data, selector)

    def _attend(
        self, action: Callable[[selectors.BaseSelector], None], selector: selectors.BaseSelector
    ) -> None:
        try:
            action(selector)
        except Exception:  # whatever it is, this thread must live
            logger.exception("the reception stumbled, and goes on")

    def _open_gate(self, selector: selectors.BaseSelector) -> None:
        if self.gate is not None:
            return
        from masterworker.transport.gate import Gate  # TLS is loaded when it is needed

        context = self._credentials.context
        try:
            self.gate = Gate(self._listeners, context, self._judge, self._take_in)
        except (OSError, RuntimeError) as error:  # out of file descriptors, or of threads
            self._complain(f"a connection could not be accepted: {error}")
            self._pause.wait(0.1)
            return
        for listener in self._listeners:
            selector.unregister(listener)

    def _judge(self, peer: Peer) -> str:
        if peer.job not in self._jobs:
            return (
                "its ticket is for another job, or an earlier run of this one: "
                "ask for a new one (task_manager ticket LABEL --out FILE)"
            )
        with self._lock:
            others = [one.peer for one in self._connections.values()]
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if files != resource.RLIM_INFINITY and len(others) >= files - RESERVE:
            return "this master has no room for more connections: raise its limit (ulimit -n)"
        same = sum((one.role, one.serial) == (peer.role, peer.serial) for one in others)
        if peer.role is Role.OBSERVER and same >= MOST_OBSERVING:
            return "too many processes look on with this certificate"
        return ""

    def _accept_own(self, _: selectors.BaseSelector) -> None:
        for listener in self._private:
            try:
                sock, _ = listener.accept()
            except BlockingIOError:
                continue
            except OSError as error:
                # Out of file descriptors, or gone again. Others are served meanwhile.
                self._complain(f"a connection could not be accepted: {error}")
                self._pause.wait(0.1)
                continue
            user = user_of(sock)
            if user in {None, os.getuid()}:
                self._take_in(sock, OWNER)
            else:
                self._complain(f"a connection of another user (id {user}) was refused")
                sock.close()

    def _complain(self, text: str) -> None:
        """Write to the log, but not as often as a client may cause it."""
        if (now := time.monotonic()) >= self._quiet_until:
            self._quiet_until = now + QUIET
            logger.warning("%s", text)

    def _take_in(self, sock: socket.socket, peer: Peer) -> None:
        try:
            service = self._factory(peer)
            link = link_over(sock, STALL, patient=True)
            most = LONGEST_QUESTION if peer.role is Role.OBSERVER else LONGEST_MESSAGE
            served = Served(link, Serving(link, self._name, service, most), service, peer)
        except Exception:  # the thread that lets others in must live
            logger.exception("a connection could not be served")
            sock.close()
            return
        with self._lock:
            self._connections[served.fd] = served
        try:
            self._reactor.add(served)
        except (OSError, RuntimeError) as error:  # the system allows no more of these
            logger.warning("a connection could not be served: %s", error)
            self._forget(served)
            link.close()
            service.closed()

    def _forget(self, served: Served) -> None:
        with self._lock:
            self._connections.pop(served.fd, None)


class _Credentials:
    """What this master proves itself with, read again once in a while."""

    def __init__(self) -> None:
        self._context: ssl.SSLContext | None = None
        #: When it is read again, by the monotonic clock.
        self._again = 0.0

    def context(self) -> ssl.SSLContext:
        """Return the settings of TLS.

        Raises:
            CredentialError: This user's key or certificate cannot be used; says why.
        """
        now = time.monotonic()
        if self._context is not None and now < self._again:
            return self._context
        from masterworker.security import credentials, tls

        self._again = now + RETRY
        try:
            self._context = tls.server_context(credentials.user_credential(Role.MASTER))
            self._again = now + REFRESH
        except CredentialError as error:
            if self._context is None:
                raise
            logger.warning("the certificate of this master was not renewed: %s", error)
        return self._context
