"""Relays that cut in the middle of a message, reset, hold back, or let only so much pass."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from typing import TYPE_CHECKING

from contract.relay import Relay

if TYPE_CHECKING:
    from collections.abc import Callable

    from contract.relay import Beginning
    from masterworker.transport.address import Address


class Cutter(Relay):
    """Cuts its lines after so many bytes, once or each time.

    Args:
        target: Where the master listens.
        reset: Answer with RST instead of FIN: what is under way in the other direction is lost.
    """

    def __init__(self, target: Address, *, reset: bool = False) -> None:
        #: Cut when so many bytes in all have passed in a direction; None: never.
        self.cut_up_at: int | None = None
        self.cut_down_at: int | None = None
        #: Seconds by which each piece is delayed.
        self.delay = 0.0
        self.up = self.down = self.cuts = 0
        self._reset = reset
        self._counts = threading.Lock()
        super().__init__(target)

    def _start(self, work: Callable[[], None]) -> threading.Thread:
        threads = getattr(
            self, "_threads", []
        )  # those that have ended are not kept: soaks are long
        threads[:] = [thread for thread in threads if thread.is_alive()]
        return super()._start(work)

    def _pass(
        self, source: socket.socket, sink: socket.socket, begun: Beginning, *, is_up: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if self.delay:
                    threading.Event().wait(self.delay)
                if self._loses(begun, is_up=is_up):
                    break
                keep, cut = self._count(len(data), is_up=is_up)
                sink.sendall(data[:keep])
                if cut:
                    break
        # Reading is shut down in either case: it wakes the thread that waits at the other end of
        # the same socket, without which a close has no effect.
        how = socket.SHUT_RD if self._reset else socket.SHUT_RDWR
        for sock in (source, sink):
            with contextlib.suppress(OSError):
                if self._reset:
                    linger = struct.pack("ii", 1, 0)
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                sock.shutdown(how)
            sock.close()

    def _count(self, size: int, *, is_up: bool) -> tuple[int, bool]:
        """Count bytes that want to pass. Returns how many may, and whether to cut then."""
        with self._counts:
            before = self.up if is_up else self.down
            bound = self.cut_up_at if is_up else self.cut_down_at
            cut = bound is not None and before + size > bound
            keep = size
            if bound is not None and cut:
                keep = max(0, bound - before)
                self.cuts += 1
                if is_up:
                    self.cut_up_at = None
                else:
                    self.cut_down_at = None
            if is_up:
                self.up += keep
            else:
                self.down += keep
            return keep, cut
