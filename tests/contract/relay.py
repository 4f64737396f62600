"""A relay between two processes that cuts the line on demand, as a bad network does."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

from masterworker.transport.address import Address

if TYPE_CHECKING:
    from collections.abc import Callable


#: Through TCP a client speaks so often before its first request: it greets, and proves itself.
HANDSHAKE = 2


class Beginning:
    """What a client has sent so far, for it is requests and replies that get lost."""

    def __init__(self, handshake: int) -> None:
        self.pieces = 0
        self._handshake = handshake

    @property
    def is_over(self) -> bool:
        return self.pieces > self._handshake


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
            begun = Beginning(0 if self._target.socket else HANDSHAKE)
            up = self._start(lambda a=near, b=far, c=begun: self._pass(a, b, c, is_up=True))
            down = self._start(lambda a=far, b=near, c=begun: self._pass(a, b, c, is_up=False))
            self._threads += [up, down]

    def _dial(self) -> socket.socket:
        if self._target.socket:
            far = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            far.connect(self._target.socket)
            return far
        return socket.create_connection((self._target.host, self._target.port), 5.0)

    def _pass(
        self, source: socket.socket, sink: socket.socket, begun: Beginning, *, is_up: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while (data := source.recv(1 << 20)) and not self._loses(begun, is_up=is_up):
                sink.sendall(data)
        _close(source, sink)

    def _loses(self, begun: Beginning, *, is_up: bool) -> bool:
        begun.pieces += is_up
        if not begun.is_over:
            return False
        return self._loses_request() if is_up else self._loses_reply()

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
