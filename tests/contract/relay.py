"""A relay between two processes that cuts the line on demand, as a bad network does."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

from masterworker.transport.address import Address

if TYPE_CHECKING:
    from collections.abc import Callable


class Relay:
    """Passes bytes on between whoever connects here and a master.

    Args:
        target: Where the master listens.
        path: Listen at this Unix-domain socket; "": at a free TCP port.
    """

    def __init__(self, target: Address, path: str = "") -> None:
        self._target = target
        if path:
            self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._listener.bind(path)
            self.address = Address(socket=path)
        else:
            self._listener = socket.socket()
            self._listener.bind(("127.0.0.1", 0))
            self.address = Address("127.0.0.1", self._listener.getsockname()[1])
        self._listener.listen(64)
        self._lock = threading.Lock()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._replies_to_lose = 0
        self._requests_to_lose = 0
        self.connections = 0
        self._threads = [self._start(self._accept)]

    def lose_reply(self, times: int = 1) -> None:
        """Cut the line when the next replies come, which get lost."""
        self._replies_to_lose = times

    def lose_request(self, times: int = 1) -> None:
        """Cut the line when the next requests come, which get lost."""
        self._requests_to_lose = times

    def cut(self) -> int:
        """Cut all lines now; new ones can be made. Returns how many they were."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            _close(*pair)
        return len(pairs)

    def close(self) -> None:
        """Cut everything, and do not listen any more."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(10.0)
            assert not thread.is_alive(), "a thread of the relay hangs"

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = self._dial()
            except OSError:
                near.close()
                continue
            with self._lock:
                self._pairs.append((near, far))
                self.connections += 1
            up = self._start(lambda a=near, b=far: self._pass(a, b, self._loses_request))
            down = self._start(lambda a=far, b=near: self._pass(a, b, self._loses_reply))
            self._threads += [up, down]

    def _dial(self) -> socket.socket:
        if self._target.socket:
            far = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            far.connect(self._target.socket)
            return far
        return socket.create_connection((self._target.host, self._target.port), 5.0)

    def _pass(self, source: socket.socket, sink: socket.socket, loses: Callable[[], bool]) -> None:
        with contextlib.suppress(OSError):
            while (data := source.recv(1 << 20)) and not loses():
                sink.sendall(data)
        _close(source, sink)

    def _loses_reply(self) -> bool:
        with self._lock:
            self._replies_to_lose, struck = max(0, self._replies_to_lose - 1), self._replies_to_lose
        return struck > 0

    def _loses_request(self) -> bool:
        with self._lock:
            self._requests_to_lose, struck = (
                max(0, self._requests_to_lose - 1),
                self._requests_to_lose,
            )
        return struck > 0

    def _start(self, work: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=work, name="test-relay", daemon=True)
        thread.start()
        return thread


def _close(*socks: socket.socket) -> None:
    for sock in socks:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
        sock.close()
