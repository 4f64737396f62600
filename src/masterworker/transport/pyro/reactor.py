"""Which thread serves which connection: the one that waits for a result, as *leader*.

    all connections --> one epoll <-- the thread of the reactor, always
                                  <-- the leader, while it waits for something else

The kernel wakes the thread that came last, so a leader comes before the reactor's own thread, which
stands behind it all the time: to lead, and to stop leading, wakes no thread. The one that gets an
event serves that connection, and no other one does meanwhile. What may wait (a message that is not
whole, one with large payloads, a call that is not prompt, a request before the last reply is sent)
goes to a thread of its own, until the connection is quiet again.

Where there is no epoll, each connection has such a thread for as long as it lasts.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import threading
import time
from math import inf
from typing import TYPE_CHECKING, Final

from masterworker import forks
from masterworker.errors import TransportError
from masterworker.signals import signals
from masterworker.transport.pyro.attachments import BadMessageError
from masterworker.transport.pyro.helpers import Helpers

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.security.peer import Peer
    from masterworker.transport.base import Box, Service
    from masterworker.transport.pyro.link import Link
    from masterworker.transport.pyro.serving import Serving

logger = logging.getLogger("masterworker.transport")

#: The other thread stands back for a leader for this time (seconds): that could be held up.
LAG: Final = 0.1
#: After this number of leaders in a row, each within this time (seconds) of the one before, ...
BRISK, SOON = 8, 300e-6
#: ... the other thread stands back for this time (seconds) until the next one has come.
PAUSE: Final = 2e-3
#: How many connections the leader serves before it looks whether it may stop; and the other thread.
AT_ONCE: Final = 8
#: Requests of one connection that are answered in a row before others have their turn.
IN_A_ROW: Final = 16

if hasattr(select, "epoll"):
    _GONE: Final = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
    #: Each event is told to one thread, once.
    _EVENTS: Final = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET
    _BELL: Final = select.EPOLLIN | select.EPOLLET


class Served:
    """A connection, and what serves it."""

    __slots__ = ("again", "fd", "gone", "link", "peer", "service", "serving", "turn")

    def __init__(self, link: Link, serving: Serving, service: Service, peer: Peer) -> None:
        self.link, self.serving = link, serving
        self.fd = link.sock.fileno()
        self.service, self.peer = service, peer
        #: Held by the thread that serves it.
        self.turn = threading.Lock()
        #: Something may have come since that thread has looked.
        self.again = False
        #: The other side has hung up; there may be something left to read.
        self.gone = False


class Reactor:
    """Serves connections. Thread-safe.

    Args:
        forget: Called once for each connection that has ended, before its socket is closed.
    """

    def __init__(self, forget: Callable[[Served], None]) -> None:
        self._forget = forget
        self._helpers = Helpers("masterworker-connection")
        self._closing = self._stopped = False
        self._served: dict[int, Served] = {}
        #: Held by the leader.
        self._leading = forks.lock()
        #: It sleeps, or is about to look for the last time whether it may.
        self._asleep = False
        #: There is one.
        self._is_led = False
        #: How many there were, when the last one has ended, and how many of the last came soon.
        self._leaders, self._ended, self._soon = 0, -inf, 0
        #: The other thread waits until there is none, which this lock says by being released.
        self._stands_back = False
        self._has_ended = threading.Lock()
        self._has_ended.acquire()
        self._epoll: select.epoll | None = None
        if hasattr(select, "epoll"):
            self._epoll = select.epoll()
            self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            self._epoll.register(self._bell, _BELL)
            self._poll = self._epoll.poll
            self._thread = threading.Thread(
                target=self._follow, name="masterworker-reactor", daemon=True
            )
            try:
                self._thread.start()
            except BaseException:
                self._epoll.close()
                os.close(self._bell)
                raise
        forks.register(self)

    def after_fork(self) -> None:
        """Leave all connections to the parent; their links close themselves."""
        self._closing = True
        self._asleep = self._is_led = False
        if self._epoll is not None:
            self._epoll.close()

    def add(self, served: Served) -> None:
        """Serve a connection from now on.

        Raises:
            OSError: The system has no room for it.
            RuntimeError: It allows no more threads.
        """
        if self._epoll is None:
            served.turn.acquire()
            self._helpers.run(lambda: self._serve_always(served))
        else:
            self._served[served.fd] = served
            try:
                self._epoll.register(served.fd, _EVENTS)
            except OSError:
                del self._served[served.fd]
                raise

    def close(self) -> None:
        """End all connections, and stop."""
        self._closing = True
        if self._epoll is None:
            return  # the server has hung up
        for served in list(self._served.values()):
            served.link.hang_up()
            if served.turn.acquire(blocking=False):
                self._end(served)
        self._ring()
        self._leading.acquire()  # for good: there is no leader any more
        self._stopped = True
        os.eventfd_write(self._bell, 1)
        if threading.current_thread() is not self._thread:
            self._thread.join()
        self._epoll.close()
        os.close(self._bell)
        self._helpers.close()

    # -- waiting ----------------------------------------------------------------------------

    def lead(self, box: Box, seconds: float) -> bool:
        """Serve connections until a box is rung, this time at most; or a signal has come.

        Args:
            box: Of the calling thread.
            seconds: How long, at most.

        Returns:
            False: another thread does. Nothing has been waited for.
        """
        if self._leading.locked() or self._epoll is None or self._closing:
            return False
        ident = threading.get_ident()
        is_main = ident == signals.main
        if is_main:  # what it serves must not be broken off; a signal ends the wait instead
            signals.hold()
        try:
            if not self._leading.acquire(blocking=False):
                return False
            try:
                self._is_led = True
                self._lead(box, seconds, is_main=is_main)
            finally:
                self._ended = time.monotonic()
                self._asleep = self._is_led = False
                self._leading.release()
                if self._stands_back:
                    self._stands_back = False
                    with contextlib.suppress(RuntimeError):  # it was released already
                        self._has_ended.release()
        finally:
            if is_main:
                signals.release()
        if box.do_errand():
            self._ended = time.monotonic()  # it leads again soon, whatever that took
        return True

    def _lead(self, box: Box, seconds: float, *, is_main: bool) -> None:
        now = time.monotonic()
        end = now + seconds
        soon = self._soon + 1 if now < self._ended + SOON else 0
        self._soon, has_looked = min(self._soon, BRISK - 1), False  # one that serves none is none
        box.also = self._ring
        if is_main:
            signals.wake = self._ring
        try:
            while True:
                self._asleep = True  # first: from now on a ring wakes it
                if box.is_rung or self._closing or (is_main and signals.came):
                    return
                left = end - time.monotonic()
                if left <= 0:
                    return
                if not has_looked:
                    self._soon, self._leaders, has_looked = soon, self._leaders + 1, True
                events = self._poll(left, AT_ONCE)
                self._asleep = False
                for fd, mask in events:
                    served = self._served.get(fd)
                    if served is not None:
                        self._attend(served, mask)
        finally:
            box.also = None
            if is_main:
                signals.wake = None

    def _ring(self) -> None:
        """Wake the leader, if it sleeps."""
        if self._asleep:
            with contextlib.suppress(OSError):
                os.eventfd_write(self._bell, 1)

    # -- the reactor's own thread -------------------------------------------------------------

    def _follow(self) -> None:
        while True:
            for fd, mask in self._poll(None, AT_ONCE):
                if fd == self._bell:
                    if self._stopped:
                        return
                    self._ring()  # it was for the leader, which came before this thread
                elif (served := self._served.get(fd)) is not None:
                    self._attend(served, mask)
            self._stand_back()

    def _stand_back(self) -> None:
        """Let the leader come first, which serves all connections until it has ended.

        Where leaders are brisk, the next one comes sooner than this thread is awake, and would be
        in its way. So this waits until there was none for a moment.
        """
        while self._soon >= BRISK:
            leaders = self._leaders
            self._has_ended.acquire(timeout=PAUSE)
            if leaders == self._leaders:
                self._soon = 0
        self._stands_back = True  # first: from now on the leader says when it has ended
        if self._is_led:
            self._has_ended.acquire(timeout=LAG)
        self._stands_back = False

    # -- one connection -----------------------------------------------------------------------

    def _attend(self, served: Served, mask: int = 0) -> None:
        """Something has come, or may have come. Does not wait."""
        if mask & _GONE:
            served.gone = True
            if served.turn.locked():  # the thread that has it may be in a call
                _say_closed(served)
        served.again, turn = True, served.turn
        while served.again and turn.acquire(False):
            served.again = False
            try:
                quiet = self._answer_at_once(served)
            except Exception as error:
                self._end(served, error)
                return
            if not quiet:  # another thread has the turn
                return
            turn.release()

    def _answer_at_once(self, served: Served) -> bool:
        """Answer what needs no waiting. False: another thread has the turn now."""
        link, answer = served.link, served.serving.answer_whole
        for _ in range(IN_A_ROW):
            data = link.fetch()
            if not data:
                return True
            if not answer(data):
                break
            if not (link.may_have_more or served.gone):
                return True
        try:
            self._helpers.run(lambda: self._serve_aside(served))
        except RuntimeError as error:  # no more threads
            raise TransportError(f"a connection could not be served: {error}") from None
        return False

    def _serve_aside(self, served: Served) -> None:
        """Serve a connection for which this thread may wait, until nothing is left."""
        try:
            served.serving.answer_next()
            while served.link.has_ahead:
                served.serving.answer_next()
        except Exception as error:
            self._end(served, error)
            return
        assert self._epoll is not None  # noqa: S101  for the type checker
        with contextlib.suppress(OSError, ValueError):  # it looks again whether there is more
            self._epoll.modify(served.fd, _EVENTS)
        served.turn.release()
        if served.again:
            self._attend(served)

    def _serve_always(self, served: Served) -> None:
        """Serve a connection until it ends, where nothing says when something comes."""
        try:
            while True:
                served.serving.answer_next()
        except Exception as error:
            self._end(served, error)

    def _end(self, served: Served, why: Exception | None = None) -> None:
        """A connection has ended; its turn is this thread's, and no other one gets it any more."""
        if isinstance(why, BadMessageError):
            logger.warning("a connection is closed: %s", why)
        elif why is not None and not isinstance(why, TransportError):
            logger.error("a connection is closed", exc_info=why)
        if self._served.get(served.fd) is served:
            del self._served[served.fd]
        if self._epoll is not None:
            with contextlib.suppress(OSError, ValueError):
                self._epoll.unregister(served.fd)
        self._forget(served)
        served.link.close()
        _say_closed(served)


def _say_closed(served: Served) -> None:
    try:
        served.service.closed()
    except Exception:  # whatever it is, the thread has others to serve
        logger.exception("the end of a connection was not noted")
