"""Starting `task_manager replay`, and reading what it says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from e2e.desk import Desk, Running


def one_line(running: Running, status: int) -> str:
    """What it says on stderr: one line, no traceback."""
    assert running.status() == status, f"{running.process.returncode}: {running.err}"
    assert running.out == ""
    assert len(running.err.splitlines()) == 1, running.err
    assert running.err.startswith("task_manager: ")
    return running.err


def replay(desk: Desk, *words: str, said: str = "") -> Running:
    """Start a replay, and let it read some lines."""
    path = desk.write("typed", said)
    with path.open() as typed:
        return desk.command("replay", desk.label, *words, stdin=typed, folder=Path("/"))
