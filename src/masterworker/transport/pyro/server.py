"""The serving end: listening sockets, one thread for each connection, and a watch for hang-ups.

    reception thread: accepts, and notices the end of connections whose threads are waiting
    one thread for each connection: Pyro reads a request, the service answers, Pyro sends

A service thread that waits for work does not read from its socket, so it would notice a killed
worker only at its next attempt to send. The reception watches for that.
"""

from __future__ import annotations

import logging
import os
import selectors
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from Pyro5 import errors as pyro_errors
from Pyro5.callcontext import current_context
from Pyro5.server import Daemon, expose

from masterworker.errors import TransportError
from masterworker.transport.address import Address, object_name
from masterworker.transport.pyro.hangup import HangupWatch
from masterworker.transport.pyro.link import STALL, Link, tune

if TYPE_CHECKING:
    from collections.abc import Sequence

    from masterworker.transport.base import Service, ServiceFactory

logger = logging.getLogger("masterworker.transport")

BACKLOG = 1024


class _Door:
    """The one object that Pyro serves. It finds the service of the connection that calls."""

    @expose  # type: ignore[untyped-decorator]  # Pyro5 has no types
    def call(self, operation: str, *args: Any) -> Any:
        service: Service = current_context.client.service
        return service.call(operation, list(args))


class _ServedLink(Link):
    """A connection and the service behind it."""

    def __init__(self, sock: socket.socket, service: Service) -> None:
        super().__init__(sock, STALL, patient=True)
        self.service = service


class Server:
    """Serves one task manager to any number of connections.

    Args:
        factory: Makes the service of each connection.
        label: The task manager's label.
        host: The address to listen at; loopback unless the user says otherwise.
        ports: The ports to try, in this order; 0 is any free one.
        socket_path: Where to listen as a Unix-domain socket too; "" for nowhere. The folder
            must be the user's alone.

    Raises:
        TransportError: None of the ports is free, or the host is not one of this machine.
    """

    def __init__(
        self,
        factory: ServiceFactory,
        label: str,
        host: str = "127.0.0.1",
        ports: Sequence[int] = (0,),
        socket_path: str = "",
    ) -> None:
        self._factory = factory
        self._listeners = [_listen_tcp(host, ports)]
        self.host = host
        #: The TCP port that was found.
        self.port: int = self._listeners[0].getsockname()[1]
        if socket_path:
            self._listeners.append(_listen_unix(socket_path))
        self.address = Address(host, self.port, socket_path)
        # A daemon wants a socket of its own; it never serves it, since our threads call it.
        self._spare = socket.socketpair()
        self._daemon = Daemon(connected_socket=self._spare[0])
        self._daemon.register(_Door(), object_name(label))
        #: The Pyro address of the task manager.
        self.uri = f"PYRO:{object_name(label)}@{self.address}"
        self._lock = threading.Lock()
        self._links: dict[int, _ServedLink] = {}
        self._hangups = HangupWatch()
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._closing = False
        self._pause = threading.Event()  # never set: a wait with a bound
        self._reception = threading.Thread(
            target=self._receive, name="masterworker-reception", daemon=True
        )
        self._reception.start()

    def close(self) -> None:
        """Close all sockets and connections. Safe to call twice."""
        with self._lock:
            if self._closing:
                return
            self._closing = True
        os.write(self._wake_write, b"x")
        self._reception.join()
        with self._lock:  # only now can no connection be added any more
            links = list(self._links.values())
        for listener in self._listeners:
            path = listener.getsockname() if listener.family == socket.AF_UNIX else ""
            listener.close()
            if path:
                Path(path).unlink(missing_ok=True)
        for link in links:
            link.close()
        self._hangups.close()
        for fd in (self._wake_read, self._wake_write):
            os.close(fd)
        for spare in self._spare:
            spare.close()

    @property
    def connections(self) -> int:
        """How many connections are open."""
        with self._lock:
            return len(self._links)

    def _receive(self) -> None:
        with selectors.DefaultSelector() as selector:
            for listener in self._listeners:
                selector.register(listener, selectors.EVENT_READ)
            if (hangups := self._hangups.fileno()) is not None:
                selector.register(hangups, selectors.EVENT_READ, self._hangups)
            selector.register(self._wake_read, selectors.EVENT_READ)
            while not self._closing:
                for key, _ in selector.select():
                    if key.data is self._hangups:
                        self._notice_hangups()
                    elif isinstance(key.fileobj, socket.socket):
                        self._accept(key.fileobj)

    def _accept(self, listener: socket.socket) -> None:
        try:
            sock, _ = listener.accept()
        except OSError as error:
            # Out of file descriptors, or gone again. Others are served meanwhile.
            logger.warning("a connection could not be accepted: %s", error)
            self._pause.wait(0.1)
            return
        tune(sock)
        link = _ServedLink(sock, self._factory())
        with self._lock:
            self._links[sock.fileno()] = link
            self._hangups.add(sock.fileno())
        thread = threading.Thread(
            target=self._serve, args=(link,), name="masterworker-connection", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as error:  # the system allows no more threads
            logger.warning("a connection could not be served: %s", error)
            self._forget(link, sock.fileno())

    def _notice_hangups(self) -> None:
        for fd in self._hangups.gone():
            with self._lock:
                link = self._links.get(fd)
            if link is not None:
                link.service.closed()

    def _serve(self, link: _ServedLink) -> None:
        fd = link.sock.fileno()
        try:
            while True:
                self._daemon.handleRequest(link)
        except (pyro_errors.ConnectionClosedError, OSError):
            pass
        except pyro_errors.PyroError as error:
            logger.warning("a connection is closed: %s", error)
        except Exception:
            logger.exception("a connection is closed")
        finally:
            self._forget(link, fd)

    def _forget(self, link: _ServedLink, fd: int) -> None:
        with self._lock:
            self._links.pop(fd, None)
            self._hangups.remove(fd)
        link.close()
        link.service.closed()


def _listen_tcp(host: str, ports: Sequence[int]) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    problem: OSError | None = None
    for port in ports:
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
            listener.listen(BACKLOG)
        except OSError as error:
            listener.close()
            problem = error
        else:
            listener.setblocking(False)
            return listener
    reason = "no port was given" if problem is None else problem.strerror
    tried = f"port {ports[0]}" if len(ports) == 1 else f"ports {ports[0]} to {ports[-1]}"
    raise TransportError(f"cannot listen at {host}, {tried}: {reason}")


def _listen_unix(path: str) -> socket.socket:
    Path(path).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(path)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise TransportError(f"cannot listen at {path}: {error.strerror}") from None
    return listener
