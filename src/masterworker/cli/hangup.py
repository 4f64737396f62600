"""The end of an ssh connection without a terminal, which the system announces by no signal.

With a terminal its end is a SIGHUP. Without one the server only closes its ends of our output.
A program is to stay if its output goes elsewhere (`nohup`, `> file`).
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import stat
import threading
from typing import Final

#: What an ssh server sets for the programs that it starts.
_MARK: Final = "SSH_CONNECTION"
_OUTPUT: Final = (1, 2)


def watch() -> None:
    """Let the end of the ssh connection that has started this process be a SIGHUP, too."""
    if _MARK not in os.environ or not hasattr(select, "poll"):
        return
    through = [fd for fd in _OUTPUT if _is_line(fd)]
    if through:
        threading.Thread(
            target=_wait, args=(through,), name="masterworker-hangup", daemon=True
        ).start()


def watch_input() -> None:
    """Let the end of standard input be a SIGHUP: what has started this process holds it open."""
    threading.Thread(target=_wait_for_input, name="masterworker-lifeline", daemon=True).start()


def _wait_for_input() -> None:
    with contextlib.suppress(OSError):
        while os.read(0, 4096):
            pass
    os.kill(os.getpid(), signal.SIGHUP)


def _is_line(fd: int) -> bool:
    """Return whether the other end is open."""
    try:
        mode = os.fstat(fd).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _wait(through: list[int]) -> None:
    poll = select.poll()
    for fd in through:
        poll.register(fd, 0)  # only that the other end is closed
    left = len(through)
    while left:
        for fd, _ in poll.poll():
            poll.unregister(fd)
            left -= 1
    os.kill(os.getpid(), signal.SIGHUP)
