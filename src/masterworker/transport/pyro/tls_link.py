"""A socket behind TLS, at which one thread listens while another one sends."""

from __future__ import annotations

import select
import socket
import ssl
from typing import TYPE_CHECKING, Final, TypeVar

from masterworker import forks
from masterworker.transport.pyro.link import Link

if TYPE_CHECKING:
    from collections.abc import Callable

#: Bytes that a thread which must not wait encrypts and sends itself; another thread sends the rest.
AT_ONCE: Final = 1 << 18

_T = TypeVar("_T")


class TlsLink(Link):
    """A connection through TLS.

    An object of TLS is for one thread at a time. So the socket is set not to block, each call of it
    is made under a lock, and the waits, which have bounds, are between these calls.
    """

    def __init__(self, sock: ssl.SSLSocket, timeout: float, *, patient: bool) -> None:
        self._pending = sock.pending
        #: Held during each call of TLS, and never while waiting.
        self._tls = forks.lock()
        #: Used by the thread that listens, and by no other.
        self._readable = select.poll()
        self._readable.register(sock, select.POLLIN)
        super().__init__(sock, timeout, patient=patient)

    def _bound_waits(self, timeout: float) -> None:
        self.sock.settimeout(0.0)
        self._timeout = 1000 * timeout

    def _recv_now(self, size: int, flags: int = 0) -> bytes:
        if flags:  # which TLS does not take: the only one says not to wait
            try:
                with self._tls:
                    return self.sock.recv(size)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                raise BlockingIOError from None
        self._wait_for_more()
        return self._when_ready(lambda: self.sock.recv(size))

    def fetch(self) -> bytes:
        """See `Link.fetch`. A call of TLS returns one record at most."""
        data = super().fetch()
        self.may_have_more = bool(data)
        return data

    def _recv_into_now(self, buffer: memoryview) -> int:
        self._wait_for_more()
        return self._when_ready(lambda: self.sock.recv_into(buffer))

    def _send_some(self, data: bytes | memoryview) -> int:
        return self._when_ready(lambda: self.sock.send(data))

    def _send_now(self, data: bytes) -> int:
        sent, most = 0, min(len(data), AT_ONCE)
        with memoryview(data) as rest:
            while sent < most:  # a call sends one record of TLS, 16 kB, at most
                try:
                    with self._tls:
                        sent += self.sock.send(rest[sent:])
                except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    break
        return sent

    def _wait_for_more(self) -> None:
        """Wait until something has come, which takes less than asking TLS twice."""
        with self._tls:
            if self._pending():
                return
        if not self._readable.poll(self._timeout):
            raise TimeoutError

    def _when_ready(self, action: Callable[[], _T]) -> _T:
        """Call TLS until it does not ask to wait for the socket any more."""
        while True:
            try:
                with self._tls:
                    return action()
            except ssl.SSLWantReadError:
                event = select.POLLIN
            except ssl.SSLWantWriteError:
                event = select.POLLOUT
            ready = select.poll()
            ready.register(self.sock, event)
            if not ready.poll(self._timeout):
                raise TimeoutError

    def _shut_down(self) -> None:
        # Not the TLS socket's own method: that takes the encryption away from under a thread
        # which still reads.
        socket.socket.shutdown(self.sock, socket.SHUT_RDWR)
