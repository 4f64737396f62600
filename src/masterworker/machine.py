"""Small facts about this process and its machine."""

from __future__ import annotations

import contextlib
import os


def raise_descriptor_limit() -> None:
    """Let this process have as many descriptors as the system allows it, not only the usual 1,024.

    What it starts inherits that. Programs that use `select` on numbers from 1,024 on must take
    `poll`: so they get such numbers only where that many are open.
    """
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):  # macOS allows fewer than it says
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def process_info(pid: int | None = None) -> str:
    """Return the process id (of this one), the host's name and the machine's type."""
    number = os.getpid() if pid is None else pid
    here = os.uname()
    return f"pid {number} on {here.nodename} ({here.machine})"


def process_number(info: str) -> int | None:
    """Return the process id in a line of `process_info`, if it is of this machine."""
    words = info.split()
    if len(words) < 4 or words[0] != "pid" or words[3] != os.uname().nodename:
        return None
    return int(words[1]) if words[1].isdecimal() else None


def random_name() -> str:
    """Return 32 random hexadecimal digits, which cannot be guessed."""
    return os.urandom(16).hex()
