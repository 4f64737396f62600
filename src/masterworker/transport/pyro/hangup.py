"""Notices that the other side of a connection has hung up, without reading from it."""

from __future__ import annotations

import contextlib
import select
import sys
from collections.abc import Iterator  # noqa: TC003  used by the variants below

if sys.platform == "linux":

    class HangupWatch:
        """Watches any number of sockets; one system call for each, at its beginning."""

        def __init__(self) -> None:
            self._epoll = select.epoll()

        def fileno(self) -> int | None:
            """Return what becomes readable when the other side has hung up."""
            return self._epoll.fileno()

        def add(self, fd: int) -> None:
            """Watch a socket."""
            self._epoll.register(fd, select.EPOLLRDHUP | select.EPOLLONESHOT)

        def remove(self, fd: int) -> None:
            """Stop watching a socket."""
            with contextlib.suppress(OSError, ValueError):
                self._epoll.unregister(fd)

        def gone(self) -> Iterator[int]:
            """Name the sockets whose other side has hung up, each once."""
            with contextlib.suppress(OSError, ValueError):
                yield from (fd for fd, _ in self._epoll.poll(0))

        def close(self) -> None:
            """Stop watching."""
            self._epoll.close()

else:

    class HangupWatch:
        """Elsewhere a hang-up is noticed when the next wait for work ends: seconds later."""

        def fileno(self) -> int | None:
            """Nothing ever becomes readable."""
            return None

        def add(self, fd: int) -> None:
            """Do nothing."""

        def remove(self, fd: int) -> None:
            """Do nothing."""

        def gone(self) -> Iterator[int]:
            """Name none."""
            yield from ()

        def close(self) -> None:
            """Do nothing."""
