"""Sockets of a page, and the server behind them: bounded in connections, and in its patience."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import stat
from typing import TYPE_CHECKING, Any, Final

from uvicorn import Config, Server
from uvicorn.protocols.http.h11_impl import H11Protocol

from masterworker.errors import TransportError, UsageError
from masterworker.security.private import private_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from masterworker.views.web.guard import Guard

#: Connections at the same time; a browser has six at most.
CONNECTIONS: Final = 256
#: A connection that says nothing, or takes nothing, for this time is closed (seconds).
SILENT: Final = 30.0
#: Seconds between two looks at that, and at whether the page is still wanted.
LOOK: Final = 5.0
#: Bytes of a request's head.
HEAD: Final = 16_384


def listen(port: int) -> socket.socket:
    """Return a socket of the loopback interface.

    Args:
        port: 0: any free one.

    Raises:
        TransportError: The port is taken, or not ours to use.
        UsageError: There is no such port.
    """
    if not 0 <= port < 1 << 16:
        raise UsageError(f"there is no port {port}")
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(("127.0.0.1", port))
        made.listen(128)
    except OSError as error:
        made.close()
        text = error.strerror
        raise TransportError(f"port {port} cannot be used ({text}): give another --port") from None
    return made


def listen_at(path: Path) -> socket.socket:
    """Return a Unix-domain socket that only this user can connect to.

    Args:
        path: Its folder is made, if need be, and must be the user's alone.

    Raises:
        TransportError: The folder is not, or the path cannot be used.
        UsageError: There is something else, or another process listens there.
    """
    private_folder(path.parent, named=True)
    _clear(path)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        made.bind(str(path))
        path.chmod(0o600)
        made.listen(128)
    except OSError as error:
        made.close()
        text = error.strerror or str(error)
        raise TransportError(f"there can be no socket {path}: {text}") from None
    finally:
        os.umask(mask)
    return made


def _clear(path: Path) -> None:
    """Remove the socket of a process that has ended."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise TransportError(f"there can be no socket {path}: {error.strerror}") from None
    if not stat.S_ISSOCK(found.st_mode) or found.st_uid != os.geteuid():
        raise UsageError(f"{path} exists already: name a new file, or remove it")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.settimeout(2.0)
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except OSError:
            pass
    raise UsageError(f"another process listens at {path}: name another --socket")


class Bounded(H11Protocol):
    """One connection, which is closed when its peer says or takes nothing for too long."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A peer has connected."""
        self._since = self.loop.time()
        self._left = 0
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS:
            oldest: Any = min(self.connections, key=lambda each: getattr(each, "_since", 0.0))
            oldest.transport.abort()

    def data_received(self, data: bytes) -> None:
        """A peer says something, which may be a whole request."""
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before:
            self._since = self.loop.time()

    def look(self, now: float) -> None:
        """Close it, where nothing has moved for too long."""
        left = self.transport.get_write_buffer_size()
        if left != self._left:
            self._since, self._left = now, left
        elif now - self._since > SILENT:
            self.transport.abort()


def serve(guard: Guard, listening: socket.socket, is_wanted: Callable[[], bool]) -> None:
    """Answer until it is not wanted any more, or a signal ends it.

    Args:
        guard: Answers.
        listening: Where.
        is_wanted: Whether to go on, asked every few seconds.

    Raises:
        KeyboardInterrupt: Ctrl-C.
    """
    for name in ("uvicorn", "uvicorn.error", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what peers do wrong is no news
    config = Config(
        guard,
        http=Bounded,
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        h11_max_incomplete_event_size=HEAD,
        timeout_keep_alive=int(SILENT),
        timeout_graceful_shutdown=1,
    )
    asyncio.run(_serve(Server(config), listening, is_wanted))
    if is_wanted():  # what has ended it was Ctrl-C, which the loop has taken
        raise KeyboardInterrupt


async def _serve(server: Server, listening: socket.socket, is_wanted: Callable[[], bool]) -> None:
    async def look() -> None:
        while True:
            await asyncio.sleep(LOOK)
            now = asyncio.get_running_loop().time()
            for each in list(server.server_state.connections):
                if isinstance(each, Bounded):
                    each.look(now)
            server.should_exit = server.should_exit or not is_wanted()

    looking = asyncio.create_task(look())
    try:
        await server.serve(sockets=[listening])
    finally:
        looking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await looking
