"""Tiny tasks of one parameter, which workers execute in a row, with something odd among them."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

#: Names the file that `deed` appends to when it is told to.
MARKS = "MASTERWORKER_TEST_MARKS"

_grown: list[int] = []
_pause = threading.Event()


def deed(item: int | str) -> Any:
    """Double a number; do what a text says."""
    if isinstance(item, int):
        return 2 * item
    return _DEEDS[item]()


def marking(item: int | str) -> Any:
    """Do the same, and leave a mark for each number that has been dealt with."""
    if isinstance(item, int):
        fd = os.open(os.environ[MARKS], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(fd, b"%d\n" % item)
        os.close(fd)
    return deed(item)


def changing(item: int) -> Any:
    """Return results of one kind after the other."""
    return KINDS[item % len(KINDS)]


def growing(item: int) -> list[int]:
    """Return the same list each time, and longer each time."""
    _grown.append(item)
    return _grown


def at_last_growing(item: int) -> Any:
    """Do that, but for most items return numbers, which say nothing of what follows."""
    if item % 100 < 97:
        return item
    return growing(item)


KINDS: list[Any] = [
    *(1.5, 3, True, None, "text", b"bytes", 2j, (1, "a"), -(2**63), 2**63, 2**200, "x" * 65),
    *("y" * 200_000, b"z" * 70_000, (1, (2, 3)), (0,) * 9, [1], {"a": [2]}, float("inf")),
]


def _throw(error: BaseException) -> Any:
    raise error


def _fork() -> str:
    pid = os.fork()
    if not pid:
        return "the child"
    return f"status {os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}"


def _interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)
    _pause.wait(30)


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    _pause.wait(30)


def _loop() -> None:
    Path(os.environ[MARKS]).touch()
    while True:
        pass


def _wait() -> str:
    while not Path(os.environ[MARKS]).exists():
        _pause.wait(0.001)
    return "waited"


_DEEDS: dict[str, Any] = {
    "ValueError": lambda: _throw(ValueError("no")),
    "IndexError": lambda: _throw(IndexError("pop from an empty deque")),
    "StopIteration": lambda: next(iter(())),
    "GeneratorExit": lambda: _throw(GeneratorExit()),
    "KeyboardInterrupt": lambda: _throw(KeyboardInterrupt("mine")),
    "SystemExit": lambda: _throw(SystemExit(3)),
    "exit": lambda: os._exit(3),
    "fork": _fork,
    "interrupt": _interrupt,
    "kill": _kill,
    "loop": _loop,
    "lock": threading.Lock,
    "wait": _wait,
}
