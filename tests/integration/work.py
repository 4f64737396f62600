"""What the workers of these tests execute. A module of its own, so that they can import it."""

from __future__ import annotations

import dataclasses
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from masterworker import current_worker


class Plain(Exception):
    """An ordinary exception of a user's module."""


class TwoArguments(Exception):
    """Cannot be rebuilt from its `args`."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(f"{number} and {text}")
        self.number = number
        self.text = text


class BadReduce(Exception):
    """Refuses to be pickled."""

    def __reduce__(self) -> Any:
        raise RuntimeError("no pickling here")


class BadText(Exception):
    """Has no text."""

    def __str__(self) -> str:
        raise RuntimeError("no text here")


class BadBoth(BadReduce):
    """Has neither."""

    __str__ = BadText.__str__
    __repr__ = BadText.__str__


class ExitInText(Exception):
    """Its text is worse than an exception."""

    def __str__(self) -> str:
        raise SystemExit(3)


@dataclasses.dataclass(frozen=True)
class Frozen(Exception):
    """Refuses every change, also notes."""

    code: int = 0


class BadNotes(Exception):
    """Has notes of its own making."""

    __notes__ = 5


def throw(error: BaseException) -> None:
    raise error


def result_of(future: Any) -> Any:
    return future.result()


class FrozenWhenRebuilt:
    """A parameter that raises one of those."""

    def __reduce__(self) -> Any:
        return fail, ("Frozen", 7)


class ExitInReduce(Exception):
    """Pickling it is worse than an exception."""

    def __reduce__(self) -> Any:
        raise SystemExit(3)


class ExitInRebuild(Exception):
    """Unpickling it is."""

    def __reduce__(self) -> Any:
        return sys.exit, (3,)


class BadTextInPickling:
    """Pickling it raises an exception that has no text."""

    def __reduce__(self) -> Any:
        raise BadText


class ExitInPickling:
    """Pickling it is worse than an exception."""

    def __reduce__(self) -> Any:
        raise SystemExit(3)


class HoldsALock(Exception):
    """Cannot be pickled because of what it holds."""

    def __init__(self) -> None:
        super().__init__("holds a lock")
        self.lock = threading.Lock()


def of_no_module(text: str) -> Exception:
    """Neither found by name nor made anew from what it is."""

    class OfNoModule(Exception):
        lock = threading.Lock()

    return OfNoModule(text)


class RefusesToBeRebuilt:
    """Can be pickled and not be unpickled."""

    def __reduce__(self) -> Any:
        return _refuse, ()


class ExitsWhenRebuilt:
    """The same, and worse."""

    def __reduce__(self) -> Any:
        return sys.exit, (3,)


def _refuse() -> None:
    raise ValueError("cannot be rebuilt")


def square(x: float) -> float:
    return x * x


def add(*numbers: float, scale: float = 1) -> float:
    return sum(numbers) * scale


def pid(*_: object) -> int:
    return os.getpid()


def fail(kind: str, *args: Any) -> None:
    """Raise an exception of this module or a built-in one."""
    found = globals().get(kind) or vars(__import__("builtins"))[kind]
    raise found(*args)


def fail_with_cause() -> None:
    try:
        try:
            {}["first"]
        except KeyError as first:
            raise OSError(2, "second") from first
    except OSError as second:
        raise Plain("third") from second


def recurse(depth: int = 0) -> int:
    return recurse(depth + 1)


def deep_list() -> list[Any]:
    found: list[Any] = []
    for _ in range(200_000):
        found = [found]
    return found


def long_text() -> None:
    raise ValueError("x" * 100_000_000)


def group() -> None:
    raise ExceptionGroup("several", [ValueError("one"), ExceptionGroup("more", [KeyError("two")])])


def first_then_say(name: str, path: str) -> str:
    """Say that this has begun, and wait for a file."""
    Path(path, name).touch()
    wait_for_file(str(Path(path, "go")))
    return name


def unpicklable() -> Any:
    return threading.Lock()


def make(kind: str) -> Any:
    return globals()[kind]()


def wait_for_file(path: str, seconds: float = 30.0) -> bool:
    """Wait until a file is there."""
    end = time.monotonic() + seconds
    while not Path(path).exists():
        if time.monotonic() > end:
            raise TimeoutError(path)
        threading.Event().wait(0.01)
    return True


def nest(depth: int) -> int:
    """Ask for a task like this one, one level less, and wait for its result."""
    if depth == 0:
        return 0
    worker = current_worker()
    worker.request_task("nest", depth - 1)
    return int(worker.retrieve_result("nest")[2]) + 1


def same(value: Any) -> Any:
    return value


def unwrapped(value: Any) -> Any:
    return value[0] if isinstance(value, list) else value


def unwrapped_pair(first: Any, second: Any) -> tuple[Any, Any]:
    return unwrapped(first), unwrapped(second)


_counted = [0]


def counted_list(step: int) -> list[int]:
    """The same object each time, with another content: odd and even in turn."""
    _counted[0] = 2 * (_counted[0] // 2 + 1) + (step > 0)
    return _counted


def popped(values: list[int]) -> int:
    return values.pop()


def root_or_exit(number: float) -> float:
    if not number:
        os._exit(3)
    return float(number**0.5)


def wait_if_file(value: int | str) -> Any:
    return value if isinstance(value, int) else wait_for_file(value)


def started_and_waits(value: int | str) -> Any:
    if isinstance(value, int):
        return value
    Path(value).touch()
    return wait_for_file(value + " never")


def pid_of(_: int) -> int:
    return os.getpid()
