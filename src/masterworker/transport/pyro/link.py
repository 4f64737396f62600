"""A socket under a Pyro conversation: every wait has a bound, and no byte is copied twice."""

from __future__ import annotations

import contextlib
import os
import socket
import struct

from Pyro5 import errors
from Pyro5.socketutil import SocketConnection

#: Seconds without any progress in the middle of a message before the connection is given up.
STALL = 20.0
#: Bytes to take from the system at once, if so many are there.
READ_AHEAD = 32768


class Link(SocketConnection):  # type: ignore[misc]  # Pyro5 has no types
    """A connected socket in Pyro's hands.

    Args:
        sock: The socket; from now on it is ours.
        timeout: Seconds to wait for the other side.
        patient: Wait for the *beginning* of a message without bound, as a server does. (The
            other side may be busy; its heartbeat tells whether it lives.)
    """

    def __init__(self, sock: socket.socket, timeout: float, *, patient: bool) -> None:
        super().__init__(sock)
        # The kernel bounds the waits: with Python's own timeouts each call to the system becomes
        # two, which was measured to cost a round trip a third of its time.
        sock.settimeout(None)
        bound = struct.pack("ll", int(timeout), int(timeout % 1 * 1e6))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, bound)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, bound)
        self._patient = patient
        self._pid = os.getpid()
        self._midway = False
        self._ahead = b""
        self._at = 0

    def send(self, data: bytes) -> None:
        """Send all of a message."""
        rest = memoryview(data)
        self._midway = False  # what comes next is the beginning of a message
        try:
            sent = self.sock.send(rest)
            while sent < len(rest):
                rest = rest[sent:]
                sent = self.sock.send(rest)
        except BlockingIOError:
            raise errors.TimeoutError("sending: no progress") from None
        except OSError as error:
            raise errors.ConnectionClosedError(f"sending: connection lost: {error}") from None

    def recv(self, size: int) -> bytes | bytearray:
        """Receive exactly so many bytes.

        Pyro asks for a message in three parts. A small one comes with a single system call all
        the same, since what comes with the first part is kept for the others.
        """
        if self._at < len(self._ahead):
            part = self._ahead[self._at : self._at + size]
            self._at += len(part)
        else:
            part = self._recv_some(max(size, READ_AHEAD))
            self._midway = True
            if len(part) > size:
                self._ahead, self._at = part, size
                return part[:size]
        if len(part) == size:
            return part
        return self._recv_rest(part, size)

    def _recv_rest(self, part: bytes, size: int) -> bytearray:
        buffer = bytearray(size)
        view = memoryview(buffer)
        filled = len(part)
        view[:filled] = part
        try:
            while filled < size:
                got = self.sock.recv_into(view[filled:])
                if not got:
                    raise errors.ConnectionClosedError("receiving: the other side has closed")
                filled += got
        except BlockingIOError:
            raise errors.TimeoutError("receiving: no progress") from None
        except OSError as error:
            raise errors.ConnectionClosedError(f"receiving: connection lost: {error}") from None
        return buffer

    def _recv_some(self, size: int) -> bytes:
        while True:
            try:
                data: bytes = self.sock.recv(size)
            except BlockingIOError:
                if self._patient and not self._midway:
                    continue
                raise errors.TimeoutError("receiving: no answer") from None
            except OSError as error:
                raise errors.ConnectionClosedError(f"receiving: connection lost: {error}") from None
            if not data:
                raise errors.ConnectionClosedError("receiving: the other side has closed")
            return data

    def close(self) -> None:
        """Close the socket. A thread that waits at it is woken. Safe to call twice."""
        if os.getpid() == self._pid:  # a fork must not end its parent's connection
            with contextlib.suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            self.sock.close()


def tune(sock: socket.socket) -> None:
    """Set what is good for small messages, and let the kernel notice hosts that vanish."""
    if sock.family == socket.AF_UNIX:
        return
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 5), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
