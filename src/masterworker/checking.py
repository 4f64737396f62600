"""Checking what callers give: numbers, and the names of keywords.

NumPy's numbers are numbers. A name that is not known is an error, always, whose message names the
closest one that is known.
"""

from __future__ import annotations

import contextlib
from functools import wraps
from math import inf
from operator import index
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from masterworker.errors import UnknownKeywordError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

#: What other libraries call it, and what is meant here.
ELSEWHERE: Final = {
    **dict.fromkeys(
        ("n", "nworkers", "n_workers", "num_workers", "max_workers", "n_jobs", "processes"),
        "workers",
    ),
    **dict.fromkeys(("n_slaves", "slaves", "nprocs"), "workers"),
    "maxtasksperchild": "max_tasks",
    "max_tasks_per_child": "max_tasks",
    **dict.fromkeys(("max_retries", "retry", "attempts"), "retries"),
    "name": "label",
}
#: What is known elsewhere, and is not needed or is said in another way here.
SAID_OTHERWISE: Final = {
    "chunksize": "the size of portions is found out by itself",
    "chunk_size": "the size of portions is found out by itself",
    "initargs": "the initializer is called without arguments: use functools.partial",
    **dict.fromkeys(
        ("timeout", "retries", "retry_on", "delay", "priority", "pure"),
        "it is said with options, as in master.options({}=...).{}(...)",
    ),
}

_P = ParamSpec("_P")
_R = TypeVar("_R")


def whole_number(value: Any, what: str, least: int, most: int) -> int:
    """Return a whole number as Python's own.

    Args:
        value: What was given.
        what: Its name, and what it must be.
        least: No less.
        most: No more.

    Raises:
        UsageError: It is none, or out of bounds.
    """
    try:
        number = index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool) or not least <= number <= most:
        raise UsageError(f"{what}, not {value!r}")
    return int(number)


def seconds(value: Any, what: str, *, above: float = -inf) -> float:
    """Return a number of seconds as Python's own.

    Args:
        value: What was given.
        what: Its name, and what it must be.
        above: It must be more.

    Raises:
        UsageError: It is no number, or too small.
    """
    number = None
    if not isinstance(value, (str, bytes, bytearray, bool)):
        with contextlib.suppress(TypeError, ValueError, OverflowError):
            number = float(value)
    if number is None or not number > above:
        hint = "; say timedelta.total_seconds()" if hasattr(value, "total_seconds") else ""
        raise UsageError(f"{what}, not {value!r}{hint}")
    return number


def time_limit(timeout: Any) -> float | None:
    """Return for how many seconds a caller wants to wait; None: as long as it takes.

    Raises:
        UsageError: It is no number.
    """
    if timeout is None:
        return None
    return seconds(timeout, "timeout must be a number of seconds, or None")


def known_keywords(public_name: str) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Let a function refuse keywords that it does not know, by its public name."""

    def decorate(function: Callable[_P, _R]) -> Callable[_P, _R]:
        known = keywords_of(function)

        @wraps(function)
        def checked(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            if not kwargs.keys() <= known:
                refuse(public_name, kwargs, known)
            return function(*args, **kwargs)

        return checked

    return decorate


def keywords_of(function: Callable[..., Any]) -> frozenset[str]:
    """Return what a function takes by keyword."""
    code = function.__code__
    number = code.co_argcount + code.co_kwonlyargcount
    return frozenset(code.co_varnames[code.co_posonlyargcount : number]) - {"self"}


def refuse(public_name: str, given: Collection[str], known: Collection[str]) -> None:
    """Refuse what is not known.

    Args:
        public_name: Of what was called.
        given: The keywords that were given.
        known: Those that it takes.

    Raises:
        UnknownKeywordError: Names one that is not known, and what may have been meant.
    """
    for name in given:
        if name in known:
            continue
        message = f"{public_name}() has no keyword {name!r}"
        if name in SAID_OTHERWISE:
            called = "map" if public_name == "map" else "submit"
            raise UnknownKeywordError(f"{message}: {SAID_OTHERWISE[name].format(name, called)}")
        if close := _meant(name, known):
            raise UnknownKeywordError(f"{message}; did you mean {close!r}?")
        raise UnknownKeywordError(f"{message}; it has {', '.join(sorted(known))}")


def _meant(name: str, known: Collection[str]) -> str:
    from difflib import get_close_matches  # of use in errors only

    elsewhere = ELSEWHERE.get(name.lower(), "")
    for meant in (elsewhere, "number" if elsewhere == "workers" else ""):
        if meant and meant in known:
            return meant
    return next(iter(get_close_matches(name, known, 1)), "")
