"""A tiny process that ends the workers' process groups when their supervisor is gone.

The system ends the workers themselves (parent-death signal), but not what their handlers have
started, and a supervisor that was killed ends none. The reaper is a shell that reads lines from
a pipe: the process groups that there are now. When the pipe closes, however that comes about, it
kills those of the last line.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from typing import TYPE_CHECKING, Final

from masterworker import forks

if TYPE_CHECKING:
    from collections.abc import Iterable

_SHELL: Final = "/bin/sh"
#: An empty line means that there is no process.
PROGRAM: Final = 'while read -r line; do last=$line; done; [ -z "$last" ] || kill -9 $last'


class Reaper:
    """Watches over the process groups of one supervisor, whose thread alone calls this."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._sent: list[int] = []

    def watch(self, groups: Iterable[int], *, expected: bool = False) -> None:
        """Give the reaper the present process groups. It runs as long as there are any.

        Args:
            groups: These.
            expected: There will be some soon: it starts now, since later they would wait for that.
        """
        now, before = sorted(groups), self._sent
        self._sent = now
        if not now and not expected:
            self.close()
            return
        if now == before and (now or self._process is not None):
            return
        if self._process is None and not self._start():
            return
        self._say(" ".join(f"-{group}" for group in now))

    def close(self) -> None:
        """Dismiss it: no process is left, or those that are left have been ended."""
        if self._process is None:
            return
        self._say("")
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        self._process.terminate()  # a fork of this process may hold the pipe open still
        self._process.wait()
        self._process = None

    def _start(self) -> bool:
        if not os.access(_SHELL, os.X_OK):
            return False
        try:
            with forks.held_off():
                self._process = subprocess.Popen(
                    [_SHELL, "-c", PROGRAM],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    bufsize=0,
                    start_new_session=True,  # a Ctrl-C at the terminal is not for it
                    cwd="/",
                    env={},
                )
        except OSError:  # no more processes: the workers go on without
            return False
        return True

    def _say(self, line: str) -> None:
        assert self._process is not None  # noqa: S101  for the type checker
        assert self._process.stdin is not None  # noqa: S101  for the type checker
        with contextlib.suppress(OSError):  # it was killed
            self._process.stdin.write(line.encode() + b"\n")
