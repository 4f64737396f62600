"""A socket under a Pyro conversation: every wait has a bound, and no byte is copied twice."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
from typing import Final

from masterworker.errors import TransportError

#: Seconds without any progress in the middle of a message before the connection is given up.
STALL: Final = 20.0
#: Bytes to take from the system at once, if so many are there.
READ_AHEAD: Final = 32768
#: Bytes for which memory is taken before any has come: a header can announce anything.
ON_CREDIT: Final = 1 << 20
#: Bytes to give to TLS at once: its time limit holds for all that it is given, so this is what a
#: slow line must carry within it. More at once is not faster.
TLS_PIECE: Final = 1 << 16


class Link:
    """A connected socket.

    Args:
        sock: The socket; from now on it is ours.
        timeout: Seconds to wait for the other side.
        patient: Wait for the *beginning* of a message without bound, as a server does. (The
            other side may be busy; its heartbeat tells whether it lives.)
    """

    #: While one thread waits for a message, another one may send.
    can_be_shared = True

    def __init__(self, sock: socket.socket, timeout: float, *, patient: bool) -> None:
        self.sock = sock
        #: Held while somebody sends who is not the one that listens: the socket stays open.
        self._sending = threading.Lock()
        self._bound_waits(timeout)
        self._patient = patient
        self._pid = os.getpid()
        self._midway = False
        self._ahead = b""
        self._at = 0

    def _bound_waits(self, timeout: float) -> None:
        # The kernel bounds the waits: with Python's own timeouts each call to the system becomes
        # two, which was measured to cost a round trip a third of its time.
        self.sock.settimeout(None)
        bound = struct.pack("ll", int(timeout), int(timeout % 1 * 1e6))
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, bound)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, bound)

    def send(self, data: bytes) -> None:
        """Send all of a message."""
        self._midway = False  # what comes next is the beginning of a message
        try:
            self._send_all(data)
        except (BlockingIOError, TimeoutError):
            raise TransportError("sending: no progress") from None
        except OSError as error:
            raise TransportError(f"sending: connection lost: {error}") from None

    def send_at_once(self, data: bytes) -> None:
        """Send all of a message, without waiting: if need be, another thread does the rest.

        The only method for another thread than the one that listens. One message at a time.
        """
        if os.getpid() != self._pid:  # a fork must not speak through its parent's connection
            return
        try:
            with self._sending:
                sent = self.sock.send(data, socket.MSG_DONTWAIT)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise TransportError(f"sending: connection lost: {error}") from None
        if sent < len(data):
            rest = memoryview(data)[sent:]
            thread = threading.Thread(
                target=self._send_rest, args=(rest,), name="masterworker-sending", daemon=True
            )
            try:
                thread.start()
            except RuntimeError as error:
                raise TransportError(f"sending: {error}") from None

    def _send_rest(self, rest: memoryview) -> None:
        try:
            with self._sending:
                self._send_all(rest)
        except OSError:
            self.hang_up()

    def listen(self) -> None:
        """What comes next is the beginning of a message, whenever it comes."""
        self._midway = False

    def _send_all(self, data: bytes | memoryview) -> None:
        sent = self.sock.send(data)
        if sent < len(data):
            rest = memoryview(data)
            while sent < len(rest):
                rest = rest[sent:]
                sent = self.sock.send(rest)

    def recv(self, size: int) -> bytes | bytearray:
        """Receive exactly so many bytes.

        A message is asked for in two parts. A small one comes with a single system call all the
        same, since what comes with the first part is kept for the other.
        """
        if self._at < len(self._ahead):
            part = self._ahead[self._at : self._at + size]
            self._at += len(part)
        else:
            most = READ_AHEAD if size <= READ_AHEAD else min(size, ON_CREDIT)
            part = self._recv_some(most)
            self._midway = True
            if len(part) > size:
                self._ahead, self._at = part, size
                return part[:size]
        if len(part) == size:
            return part
        return self._recv_rest(part, size)

    def _recv_rest(self, part: bytes, size: int) -> bytearray:
        buffer = bytearray(part)
        filled = len(part)
        try:
            while filled < size:
                if filled == len(buffer):  # as much again as has come
                    buffer.extend(bytes(min(size - filled, max(filled, ON_CREDIT))))
                with memoryview(buffer) as view, view[filled:] as rest:
                    got = self.sock.recv_into(rest)
                if not got:
                    raise TransportError("receiving: the other side has closed")
                filled += got
        except (BlockingIOError, TimeoutError):
            raise TransportError("receiving: no progress") from None
        except OSError as error:
            raise TransportError(f"receiving: connection lost: {error}") from None
        return buffer

    def _recv_some(self, size: int) -> bytes:
        while True:
            try:
                data: bytes = self.sock.recv(size)
            except (BlockingIOError, TimeoutError):
                if self._patient and not self._midway:
                    continue
                raise TransportError("receiving: no answer") from None
            except OSError as error:
                raise TransportError(f"receiving: connection lost: {error}") from None
            if not data:
                raise TransportError("receiving: the other side has closed")
            return data

    def hang_up(self) -> None:
        """End the connection, and wake the thread that uses it, which is to close the socket.

        Closing it here could give its number to somebody else while that thread still reads.
        """
        if os.getpid() == self._pid:  # a fork must not end its parent's connection
            with contextlib.suppress(OSError):
                self._shut_down()

    def close(self) -> None:
        """Close the socket. Safe to call twice, in the thread that uses it."""
        self.hang_up()
        with self._sending, contextlib.suppress(OSError):
            self.sock.close()

    def _shut_down(self) -> None:
        self.sock.shutdown(socket.SHUT_RDWR)


class TlsLink(Link):
    """A connection through TLS.

    OpenSSL retries by itself what the kernel has given up, so here Python's time limits bound the
    waits.
    """

    can_be_shared = False  # by an object of TLS

    def _bound_waits(self, timeout: float) -> None:
        self.sock.settimeout(timeout)

    def _send_all(self, data: bytes | memoryview) -> None:
        rest = memoryview(data)
        for at in range(0, len(rest), TLS_PIECE):
            super()._send_all(rest[at : at + TLS_PIECE])

    def _shut_down(self) -> None:
        # Not the TLS socket's own method: that takes the encryption away from under a thread
        # which still reads.
        socket.socket.shutdown(self.sock, socket.SHUT_RDWR)
