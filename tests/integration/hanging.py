"""Initializers that hang, in a module that is imported in no time."""

from __future__ import annotations

import contextlib
import sys
import threading
from pathlib import Path

LONG = 1000.0


def hang() -> None:
    """Wait, as for a licence."""
    threading.Event().wait(LONG)


def hang_in_an_import(folder: str) -> None:
    """Import what never comes to its end."""
    sys.path.insert(0, folder)
    import never_ready  # type: ignore[import-not-found]  # noqa: F401


def hang_in_the_second(folder: str) -> None:
    """Let the first process start, and those after the second."""
    for name in ("first", "second"):
        with contextlib.suppress(FileExistsError):
            Path(folder, name).touch(exist_ok=False)
            if name == "second":
                hang()
            return


def take_a_moment() -> None:
    """Start as one that loads something."""
    threading.Event().wait(1.0)
