"""File descriptors for worker processes and of them."""

from __future__ import annotations

import os
import sys


def readable(text: str) -> int:
    """Return a file descriptor from which a child, and no other process, can read a secret.

    Raises:
        OSError: The secret is too long for this system.
    """
    secret = text.encode()
    if hasattr(os, "memfd_create"):
        memory = os.memfd_create("masterworker-ticket", os.MFD_CLOEXEC)
        with os.fdopen(os.dup(memory), "wb") as file:  # both have one position
            file.write(secret)
            file.seek(0)
        return memory
    reading, writing = os.pipe()
    os.set_blocking(writing, False)  # no process reads yet: a full pipe would block for good
    try:
        written = os.write(writing, secret)
    finally:
        os.close(writing)
    if written < len(secret):
        os.close(reading)
        raise OSError(f"a pipe has no room for a ticket of {len(secret)} bytes")
    return reading


def pidfd_of(pid: int) -> int | None:
    """Return a file descriptor that becomes readable when a process ends; None: not here."""
    if sys.platform != "linux":
        return None
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None
