"""Exceptions as users write them, and a function that raises them in a worker."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from subprocess import CalledProcessError
from typing import Any
from urllib.error import HTTPError


class TwoNeeded(Exception):
    def __init__(self, unit: str, value: float) -> None:
        super().__init__(f"{value} is no {unit}")
        self.unit, self.value = unit, value


class KeywordNeeded(Exception):
    def __init__(self, text: str, *, code: int) -> None:
        super().__init__(text)
        self.code = code


class Doubled(Exception):
    """Whoever calls it with its `args` once more gets something else, and no error."""

    def __init__(self, number: int) -> None:
        super().__init__(number * 2)


class Prefixed(ValueError):
    def __init__(self, path: str) -> None:
        super().__init__(f"cannot read {path}")


class WithSlots(Exception):
    __slots__ = ("__hidden", "place")

    def __init__(self, place: str, hidden: int) -> None:
        self.place, self.__hidden = place, hidden

    @property
    def hidden(self) -> int:
        return self.__hidden


class NothingSaid(Exception):
    def __init__(self, *, reason: str) -> None:
        self.reason = reason

    def __str__(self) -> str:
        return f"because {self.reason}"


class OfTheSystem(OSError):
    def __init__(self, path: str, *, tries: int) -> None:
        super().__init__(2, "not there", path)
        self.tries = tries


class Reduced(Exception):
    """Says itself how it is pickled."""

    def __init__(self, a: int, b: int) -> None:
        super().__init__("both")
        self.a, self.b = a, b

    def __reduce__(self) -> Any:
        return Reduced, (self.a, self.b)


class BadlyReduced(Exception):
    """Says it wrongly."""

    def __init__(self, a: int, b: int) -> None:
        super().__init__(a + b)
        self.a = a

    def __reduce__(self) -> Any:
        return BadlyReduced, (self.a,)


class New(Exception):
    def __new__(cls, first: str, *, second: int) -> Any:
        made = super().__new__(cls, first)
        made.second = second
        return made

    def __init__(self, first: str, *, second: int) -> None:
        super().__init__(first.upper())


@dataclass(frozen=True)
class Frozen(Exception):
    field: str
    number: int = 3


class Group(ExceptionGroup):
    def __new__(cls, text: str, errors: list[Exception], code: int) -> Any:
        made = super().__new__(cls, text, errors)
        made.code = code
        return made

    def __init__(self, *_: Any) -> None:
        pass


class Watched(Exception):
    """Whoever sets an attribute calls its code."""

    def __init__(self, a: int) -> None:
        super().__init__("watched")
        self.a = a

    def __setattr__(self, name: str, value: Any) -> None:
        if name != "a" or hasattr(self, "a"):
            raise AttributeError(name)
        super().__setattr__(name, value)


MAKERS: dict[str, Any] = {
    "two needed": lambda: TwoNeeded("length", -1.5),
    "keyword needed": lambda: KeywordNeeded("no", code=7),
    "doubled": lambda: Doubled(4),
    "prefixed": lambda: Prefixed("a.txt"),
    "with slots": lambda: WithSlots("here", 3),
    "nothing said": lambda: NothingSaid(reason="so"),
    "of the system": lambda: OfTheSystem("a.txt", tries=3),
    "reduced": lambda: Reduced(1, 2),
    "badly reduced": lambda: BadlyReduced(1, 2),
    "new": lambda: New("first", second=2),
    "frozen": lambda: Frozen("a"),
    "watched": lambda: Watched(1),
    "local": lambda: _local()("a", b=2),
    "of json": lambda: json.JSONDecodeError("what", "text", 2),
    "of subprocess": lambda: CalledProcessError(3, ["true"], b"out"),
    "of unicode": lambda: UnicodeDecodeError("utf8", b"x", 0, 1, "why"),
    "of urllib": lambda: HTTPError("there", 404, "not found", {}, None),  # type: ignore[arg-type]
    "of import": lambda: ImportError("no", name="module", path="there"),
}


def _local() -> Any:
    class Local(Exception):
        def __init__(self, a: str, *, b: int) -> None:
            super().__init__(a * b)
            self.b = b

    return Local


def fail(which: str) -> None:
    error: Exception = MAKERS[which]()
    raise error


def fail_of_another(how: str) -> None:
    """With a cause, in a context, or in one that is suppressed; with notes."""
    error = KeywordNeeded("outer", code=1)
    error.add_note("of the task")
    try:
        raise TwoNeeded("inner", 2)
    except TwoNeeded as inner:
        if how == "cause":
            raise error from inner
        if how == "suppressed":
            raise error from None
        raise error  # noqa: B904  that is what is tried


def fail_with_others() -> None:
    """In groups within groups, and as an attribute; some of them twice."""
    first = TwoNeeded("first", 1)
    second = KeywordNeeded("second", code=2)
    second.other = [first, "text"]  # type: ignore[attr-defined]
    raise Group("outer", [first, ExceptionGroup("inner", [second, ValueError(3)])], 5)


def fail_with_what_cannot_travel() -> None:
    error = KeywordNeeded("locked", code=9)
    error.lock = threading.Lock()  # type: ignore[attr-defined]
    raise error from ValueError("argument", threading.Lock())
