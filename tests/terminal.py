"""A terminal of its own for a program, and what is to be seen on it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from typing import TYPE_CHECKING

import pyte

from support import HANG

if TYPE_CHECKING:
    from collections.abc import Callable


class Terminal:
    """A program in a terminal of its own."""

    def __init__(self, *command: str, size: tuple[int, int] = (80, 24)) -> None:
        self.master, slave = pty.openpty()
        self.tty = os.ttyname(slave)
        self.output = b""
        self.resize(size)
        self.before = termios.tcgetattr(slave)
        # As readline exports a size, which is that of the window no more after a change.
        env = os.environ | {"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}
        # A program that makes this its terminal, so that Ctrl-C comes as in a shell.
        beginning = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)"
        beginning += "; os.execvp(sys.argv[1], sys.argv[1:])"
        self.process = subprocess.Popen(
            [sys.executable, "-c", beginning, *command],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=env,
            start_new_session=True,
        )
        self.slave = slave

    def resize(self, size: tuple[int, int]) -> None:
        self.size = size
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        self.screen = pyte.Screen(*size)
        self.stream = pyte.ByteStream(self.screen)

    def read(self, seconds: float = 0.1) -> bool:
        ready, _, _ = select.select([self.master], [], [], seconds)
        if ready:
            data = os.read(self.master, 1 << 16)
            self.output += data
            self.stream.feed(data)
        return bool(ready)

    def until(self, holds: Callable[[str], object]) -> str:
        """Wait until something holds of what is on the screen."""
        end = time.monotonic() + HANG
        while not holds(shown := "\n".join(self.screen.display)):
            assert time.monotonic() < end, shown
            self.read()
        return shown

    def ends(self) -> int:
        end = time.monotonic() + HANG
        while self.process.poll() is None:
            assert time.monotonic() < end, self.output
            self.read()
        while self.read():  # a terminal gives some kilobytes at a time
            pass
        return self.process.returncode

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)
