"""The gate: a peer on the network proves its identity before anything else is read from it.

    listening sockets --> strangers --TLS 1.3, both ways--> peers --> the server
                             |
                             `--> refused: no proof, too slow, or too many of a kind

One thread looks after all strangers. Each has a few seconds in all; when there are too many, those
from where most come are dropped first, the oldest first: an honest one needs some milliseconds,
so a flood of silent strangers pushes itself out. Nothing here reads a message, a pickle or a name.
"""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import socket
import ssl
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Final, Protocol

from masterworker.errors import CredentialError
from masterworker.security import tls
from masterworker.transport.sockets import tune

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from masterworker.security.peer import Peer

logger = logging.getLogger("masterworker.transport")

#: Time for a stranger to prove its identity (seconds).
DEADLINE: Final = 3.0
#: At most this many strangers at a time (as sshd's MaxStartups: those above are dropped).
MOST_STRANGERS: Final = 64
#: When this many have been dropped in a row, the others wait in the system's queue for `REST`
#: seconds: a flood must not cost the workers their processor. It is less than `MOST_STRANGERS`,
#: so a newcomer has at least this time for its answers.
MOST_DROPPED: Final = 50
REST: Final = 0.05
#: How many connections are accepted before strangers are looked at again.
AT_ONCE: Final = 16
#: Each refused source is named in the log once in this time (seconds), and at most this many.
QUIET: Final = 60.0
MOST_NAMED: Final = 100
#: The first byte of every TLS handshake; a client that sends another one gets no answer.
_HANDSHAKE: Final = b"\x16"

#: Keys of the gate's counts, for tests and for debugging.
COUNTS: Final = ("admitted", "refused", "dropped", "late")


class Admit(Protocol):
    """Takes a peer in."""

    def __call__(self, sock: ssl.SSLSocket, peer: Peer) -> None:
        """Take over the socket, which is set to block."""


class _Stranger:
    """A connection that has not proved anything yet."""

    __slots__ = ("deadline", "fd", "sock", "source", "speaks")

    def __init__(self, sock: socket.socket, source: str, deadline: float) -> None:
        self.sock: socket.socket | ssl.SSLSocket = sock
        self.fd = sock.fileno()
        self.source = source
        self.deadline = deadline
        #: It has begun a TLS handshake.
        self.speaks = False


class Gate:
    """Lets peers in, and no others.

    Args:
        listeners: Listening sockets; closed by `close`.
        context: Gives the TLS settings; called for each newcomer, from the gate's thread.
        judge: Returns why a peer that has proved its identity is refused; "": it is not.
        admit: Takes a peer in; called from the gate's thread.
    """

    def __init__(
        self,
        listeners: Iterable[socket.socket],
        context: Callable[[], ssl.SSLContext],
        judge: Callable[[Peer], str],
        admit: Admit,
    ) -> None:
        self._listeners = list(listeners)
        self._context = context
        self._judge = judge
        self._admit = admit
        self.counts = dict.fromkeys(COUNTS, 0)
        self._strangers: dict[int, _Stranger] = {}  # by file descriptor, in order of arrival
        self._resting_until = 0.0
        self._since, self._dropped = 0.0, 0
        self._complaints = _Complaints()
        self._closing = False
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        for listener in self._listeners:
            self._selector.register(listener, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="masterworker-gate", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # the system allows no more of them: the client may try again
            self._free()
            raise

    def close(self) -> None:
        """Close the listening sockets, and the connections of all strangers."""
        self._closing = True
        os.write(self._wake_write, b"x")
        self._thread.join()
        for stranger in self._strangers.values():
            stranger.sock.close()
        for listener in self._listeners:
            listener.close()
        self._free()

    def _free(self) -> None:
        self._selector.close()
        for fd in (self._wake_read, self._wake_write):
            os.close(fd)

    # -- the gate's thread ------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            ready = self._selector.select(self._patience())
            if self._closing:
                return
            for key, _ in ready:
                try:
                    self._attend(key)
                except Exception as error:  # whatever it is, the gate must live
                    self._stumble(key.fd, error)
            self._drop_late(time.monotonic())

    def _attend(self, key: selectors.SelectorKey) -> None:
        if key.fileobj in self._listeners:
            self._accept(key.fileobj)
        elif (stranger := self._strangers.get(key.fd)) is not None:
            self._hear(stranger)

    def _stumble(self, fd: int, error: Exception) -> None:
        """Drop a stranger for which something failed that never should, such as memory."""
        logger.error("the gate stumbled, and goes on: %r", error)
        stranger = self._strangers.pop(fd, None)
        if stranger is not None:
            with contextlib.suppress(KeyError, ValueError, OSError):
                self._selector.unregister(fd)
            stranger.sock.close()

    def _patience(self) -> float | None:
        """Return how long nothing has to be done if nothing comes (seconds)."""
        now = time.monotonic()
        waits = [stranger.deadline - now for stranger in self._first_stranger()]
        if self._resting_until:
            waits.append(self._resting_until - now)
        return max(0.0, min(waits)) if waits else None

    def _first_stranger(self) -> list[_Stranger]:
        return [next(iter(self._strangers.values()))] if self._strangers else []

    def _drop_late(self, now: float) -> None:
        for stranger in list(self._strangers.values()):
            if stranger.deadline > now:  # those after it came later
                break
            self.counts["late"] += 1
            self._forget(stranger, "it did not prove its identity in time")
        if self._resting_until and now >= self._resting_until:
            self._resting_until, self._since, self._dropped = 0.0, now, 0
            for listener in self._listeners:
                self._selector.register(listener, selectors.EVENT_READ)

    # -- newcomers ----- ---------------------------------------------------------------------

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(AT_ONCE):
            if self._resting_until:
                return
            try:
                sock, address = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:  # out of file descriptors, or gone again
                self._complaints.log("the system", f"no connection can be accepted: {error}")
                self._rest()
                return
            sock.setblocking(False)
            stranger = _Stranger(sock, str(address[0]), time.monotonic() + DEADLINE)
            self._strangers[stranger.fd] = stranger
            self._selector.register(stranger.fd, selectors.EVENT_READ)
            if len(self._strangers) > MOST_STRANGERS:
                self._drop_one()

    def _drop_one(self) -> None:
        """There are too many strangers: drop the oldest from where most of them come."""
        sources = Counter(stranger.source for stranger in self._strangers.values())
        most = sources.most_common(1)[0][0]
        oldest = next(s for s in self._strangers.values() if s.source == most)
        self.counts["dropped"] += 1
        self._forget(oldest, "there are too many connections that prove nothing")
        now = time.monotonic()
        if now - self._since > REST:
            self._since, self._dropped = now, 0
        self._dropped += 1
        if self._dropped >= MOST_DROPPED:
            self._rest()

    def _rest(self) -> None:
        if not self._resting_until:
            self._resting_until = time.monotonic() + REST
            for listener in self._listeners:
                self._selector.unregister(listener)

    def _forget(self, stranger: _Stranger, why: str) -> None:
        self._let_go(stranger)
        stranger.sock.close()
        self._complaints.log(stranger.source, why)

    def _let_go(self, stranger: _Stranger) -> None:
        del self._strangers[stranger.fd]
        with contextlib.suppress(KeyError):
            self._selector.unregister(stranger.fd)

    # -- what they say ----------------------------------------------------------------------

    def _hear(self, stranger: _Stranger) -> None:
        try:
            if not stranger.speaks and not self._begin(stranger):
                return
            assert isinstance(stranger.sock, ssl.SSLSocket)  # noqa: S101  for the type checker
            stranger.sock.do_handshake()
            peer = tls.peer_of(stranger.sock, stranger.source)
        except ssl.SSLWantReadError:
            self._selector.modify(stranger.fd, selectors.EVENT_READ)
        except ssl.SSLWantWriteError:
            self._selector.modify(stranger.fd, selectors.EVENT_WRITE)
        except BlockingIOError:
            return  # what was ready had the same number, and was dropped in this round
        except CredentialError as error:
            self._refuse(stranger, str(error))
        except (OSError, AttributeError, ValueError) as error:
            # The latter two are how Python's TLS takes a socket that was reset just now.
            self._refuse(stranger, tls.why(error) if isinstance(error, OSError) else "it hung up")
        else:
            self._decide(stranger, peer)

    def _begin(self, stranger: _Stranger) -> bool:
        """Start TLS, if that is what the stranger wants. False: it is not, or its own fault."""
        first = stranger.sock.recv(1, socket.MSG_PEEK)
        if first != _HANDSHAKE:
            self._refuse(stranger, "it does not speak TLS" if first else "it hung up")
            return False
        tune(stranger.sock)
        stranger.sock.getpeername()  # Python's TLS does not clear up after one that has been reset
        context = self._context()
        # The new socket object takes over the file descriptor.
        self._selector.unregister(stranger.fd)
        stranger.sock = context.wrap_socket(
            stranger.sock, server_side=True, do_handshake_on_connect=False
        )
        self._selector.register(stranger.fd, selectors.EVENT_READ)
        stranger.speaks = True
        return True

    def _decide(self, stranger: _Stranger, peer: Peer) -> None:
        """A peer has proved its identity: judge it, and take it in or refuse it."""
        assert isinstance(stranger.sock, ssl.SSLSocket)  # noqa: S101  for the type checker
        refusal = self._judge(peer).encode()[:255]
        try:
            stranger.sock.send(bytes([len(refusal)]) + refusal)
        except OSError as error:
            self._refuse(stranger, str(error))
            return
        if refusal:
            self._refuse(stranger, refusal.decode(errors="replace"))
            return
        self._let_go(stranger)
        stranger.sock.setblocking(True)
        self.counts["admitted"] += 1
        self._admit(stranger.sock, peer)

    def _refuse(self, stranger: _Stranger, why: str) -> None:
        self.counts["refused"] += 1
        self._forget(stranger, why)


class _Complaints:
    """Logs refused strangers: each source once in a while, however often it comes."""

    def __init__(self) -> None:
        self._named_at: dict[str, float] = {}
        self._unlogged = 0

    def log(self, source: str, why: str) -> None:
        """Log one that was refused."""
        now = time.monotonic()
        last = self._named_at.get(source)
        if last is not None and now - last < QUIET:
            self._unlogged += 1
            return
        if last is None and len(self._named_at) >= MOST_NAMED:
            oldest = next(iter(self._named_at))
            if now - self._named_at[oldest] < QUIET:
                self._unlogged += 1
                return
            del self._named_at[oldest]
        self._named_at.pop(source, None)
        self._named_at[source] = now
        more = f" (and {self._unlogged} that were not named)" if self._unlogged else ""
        self._unlogged = 0
        logger.warning("a connection from %s was refused: %s%s", source, why, more)
