"""A socket under a Pyro conversation: every wait has a bound, and no byte is copied twice."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import threading
import time
from typing import TYPE_CHECKING, ClassVar, Final

from masterworker import forks
from masterworker.errors import TransportError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: Seconds without any progress in the middle of a message before the connection is given up.
STALL: Final = 20.0
#: Bytes to take from the system at once, if there are as many.
READ_AHEAD: Final = 32768
#: Bytes for which memory is taken before any has come: a header can announce anything.
ON_CREDIT: Final = 1 << 20

_INT: Final = struct.Struct("i")
#: Room for as many descriptors as the kernel passes on at once.
_ROOM: Final = socket.CMSG_SPACE(253 * _INT.size)
# Plain numbers: to join members of an enumeration takes microseconds.
_NOT_WAITING: Final = int(socket.MSG_DONTWAIT)
_CLOSE_ON_EXEC: Final = int(getattr(socket, "MSG_CMSG_CLOEXEC", 0))


class Link:
    """A connected socket.

    Args:
        sock: The socket; from now on it is ours.
        timeout: Seconds to wait for the other side.
        patient: Wait for the *beginning* of a message without bound, as a server does. (The
            other side may be busy; its heartbeat shows that it lives.)
    """

    #: Open files can be sent with a message.
    passes_descriptors: ClassVar[bool] = False

    def __init__(self, sock: socket.socket, timeout: float, *, patient: bool) -> None:
        self.sock = sock
        #: Held while a thread sends that is not the one that listens: the socket stays open.
        self._sending = forks.lock()
        self._bound_waits(timeout)
        self._patient = patient
        self._pid = os.getpid()
        self._midway = False
        self._ahead = b""
        self._at = 0
        self._looks: select.poll | None = None
        #: A thread sends what the other side has no room for yet.
        self.is_sending = False
        #: More may have come than the last `fetch` has taken.
        self.may_have_more = False
        forks.register(self)

    def after_fork(self) -> None:
        """Leave the connection to the parent: it ends when that closes it."""
        self.sock.close()

    def _bound_waits(self, timeout: float) -> None:
        # The kernel bounds the waits: with Python's own timeouts each call to the system becomes
        # two, which was measured to cost a round trip a third of its time.
        self.sock.settimeout(None)
        bound = struct.pack("ll", int(timeout), int(timeout % 1 * 1e6))
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, bound)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, bound)

    def send(self, data: bytes | memoryview, descriptors: Sequence[int] = ()) -> None:
        """Send all of a message, or a part of one.

        Args:
            data: Its bytes.
            descriptors: Open files, which go with the first byte, where `passes_descriptors`.
        """
        self._midway = False  # what comes next is the beginning of a message
        try:
            rest: bytes | memoryview = data
            if descriptors:
                rest = memoryview(data)
                rest = rest[socket.send_fds(self.sock, [rest], list(descriptors)) :]
            if rest:
                self._send_all(rest)
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
                sent = self._send_now(data)
        except OSError as error:
            raise TransportError(f"sending: connection lost: {error}") from None
        if sent < len(data):
            rest = memoryview(data)[sent:]
            self.send_aside(lambda: self._send_all(rest))

    def send_aside(self, send: Callable[[], None]) -> None:
        """Let another thread send something; if it cannot, the connection ends.

        Raises:
            TransportError: There can be no more threads.
        """
        if os.getpid() != self._pid:  # a fork must not speak through its parent's connection
            return

        def run() -> None:
            try:
                with self._sending:
                    send()
                    self.is_sending = False
            except (OSError, TransportError):
                self.hang_up()

        self.is_sending = True
        thread = threading.Thread(target=run, name="masterworker-sending", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            raise TransportError(f"sending: {error}") from None

    def listen(self) -> None:
        """What comes next is the beginning of a message, whenever it comes."""
        self._midway = False

    def _send_all(self, data: bytes | memoryview) -> None:
        sent = self._send_some(data)
        if sent < len(data):
            rest = memoryview(data)
            while sent < len(rest):
                rest = rest[sent:]
                sent = self._send_some(rest)

    def _send_some(self, data: bytes | memoryview) -> int:
        """Send as much as the system takes at once. Waits until it takes something."""
        return self.sock.send(data)

    def _send_now(self, data: bytes) -> int:
        """Send as much as the system takes without waiting; perhaps nothing."""
        try:
            return self.sock.send(data, _NOT_WAITING)
        except BlockingIOError:
            return 0

    def recv(self, size: int) -> bytes | bytearray:
        """Receive a number of bytes, and no more.

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

    def fetch(self) -> bytes:
        """Return what has come, `READ_AHEAD` bytes at most, without waiting; b"": nothing has.

        It is the beginning of a message; nothing has been kept before. What the caller has no use
        for it can `keep`.
        """
        try:
            data = self._recv_now(READ_AHEAD, _NOT_WAITING)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise TransportError(f"receiving: connection lost: {error}") from None
        if not data:
            raise TransportError("receiving: the other side has closed")
        self.may_have_more = len(data) == READ_AHEAD
        return data

    def keep(self, data: bytes) -> None:
        """Keep what was fetched for `recv`."""
        self._ahead, self._at = data, 0
        self._midway = True

    @property
    def has_ahead(self) -> bool:
        """Whether something has been taken, and not asked for yet."""
        return self._at < len(self._ahead)

    def wait_until_sent(self) -> None:
        """Wait until no other thread sends."""
        with self._sending:
            pass

    def look(self, seconds: float) -> None:
        """Look whether something comes, for this time at most, and do not sleep."""
        if self._at < len(self._ahead):
            return
        if self._looks is None:
            self._looks = select.poll()
            self._looks.register(self.sock, select.POLLIN)
        poll, end = self._looks.poll, time.perf_counter() + seconds
        while not poll(0) and time.perf_counter() < end:
            pass

    def _recv_rest(self, part: bytes, size: int) -> bytearray:
        buffer = bytearray(part)
        filled = len(part)
        try:
            while filled < size:
                if filled == len(buffer):  # as much again as has come
                    buffer.extend(bytes(min(size - filled, max(filled, ON_CREDIT))))
                with memoryview(buffer) as view, view[filled:] as rest:
                    got = self._recv_into_now(rest)
                if not got:
                    raise TransportError("receiving: the other side has closed")
                filled += got
        except (BlockingIOError, TimeoutError):
            raise TransportError("receiving: no progress") from None
        except OSError as error:
            raise TransportError(f"receiving: connection lost: {error}") from None
        return buffer

    def take(self, number: int) -> list[int]:
        """Return the descriptors that have come with a message, which are the caller's now.

        Raises:
            TransportError: There are more of them, or fewer.
        """
        if number:
            raise TransportError("receiving: descriptors cannot come through this connection")
        return []

    def _recv_now(self, size: int, flags: int = 0) -> bytes:
        """Receive what has come, as soon as something has."""
        return self.sock.recv(size, flags)

    def _recv_into_now(self, buffer: memoryview) -> int:
        return self.sock.recv_into(buffer)

    def _recv_some(self, size: int) -> bytes:
        while True:
            try:
                data = self._recv_now(size)
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

        Closing it here could give its number to another file while that thread still reads.
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


#: When descriptors did not arrive, payloads go as bytes for this time (seconds).
AS_BYTES: Final = 30.0


class _Shortage:
    """Until when payloads of this process go as bytes (seconds of the monotonic clock)."""

    until = 0.0


_shortage: Final = _Shortage()


def descriptors_arrive() -> bool:
    """Return whether descriptors that are sent can be expected to arrive."""
    return time.monotonic() >= _shortage.until


def _note_shortage() -> None:
    """The other side, or this one, may have no room for descriptors: nothing else is known of it.

    A receiver of fewer descriptors than were sent closes the connection.
    """
    _shortage.until = time.monotonic() + AS_BYTES


class PrivateLink(Link):
    """A connection through a Unix-domain socket, over which open files can be passed.

    They come with the first byte of a message. As that is always read by `_recv_some`, it alone has
    to look for them.
    """

    passes_descriptors = True
    #: Descriptors were sent, and nothing has come since.
    _unanswered = False

    def send(self, data: bytes | memoryview, descriptors: Sequence[int] = ()) -> None:
        """See `Link.send`."""
        self._unanswered = bool(descriptors) or self._unanswered
        super().send(data, descriptors)

    def __init__(self, sock: socket.socket, timeout: float, *, patient: bool) -> None:
        super().__init__(sock, timeout, patient=patient)
        self._descriptors: list[int] = []

    def take(self, number: int) -> list[int]:
        """See `Link.take`."""
        found, self._descriptors = self._descriptors, []
        if len(found) == number:
            return found
        for fd in found:
            os.close(fd)
        _note_shortage()
        raise TransportError(
            f"receiving: {len(found)} file descriptors have come instead of {number}; perhaps this "
            "process may not have more open files (ulimit -n)"
        )

    def _recv_now(self, size: int, flags: int = 0) -> bytes:
        try:
            data, passed, _, _ = self.sock.recvmsg(size, _ROOM, _CLOSE_ON_EXEC | flags)
        except ConnectionError:
            data, passed = b"", []
        if self._unanswered:
            self._unanswered = False
            if not data:
                _note_shortage()
        for level, kind, content in passed:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                whole = len(content) - len(content) % _INT.size
                self._descriptors += [fd for (fd,) in _INT.iter_unpack(content[:whole])]
        return data

    def close(self) -> None:
        """See `Link.close`."""
        super().close()
        while self._descriptors:
            os.close(self._descriptors.pop())
