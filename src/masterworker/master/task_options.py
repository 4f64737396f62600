"""Checking the options of tasks."""

from __future__ import annotations

from types import FunctionType
from typing import TYPE_CHECKING, Any

from masterworker.checking import seconds, whole_number
from masterworker.core.filters import CALL_MARK
from masterworker.core.options import DEFAULT, FARTHEST, LONGEST, Options
from masterworker.data.pickling import dumps, loads
from masterworker.data.record import sendable
from masterworker.errors import UnknownKeywordError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_LEAST = 5e-324


def make_options(
    timeout: Any, retries: Any, retry_on: Any, delay: Any, priority: Any, pure: Any
) -> Options | None:
    """Make the options of tasks; None: all as usual.

    Raises:
        UsageError: Says which value cannot be used.
    """
    limit = None if timeout is None else _seconds(timeout, "timeout", "above 0", 0)
    retries = whole_number(retries, "retries must be a number, 0 or more", 0, FARTHEST)
    delay = _seconds(delay, "delay", "0 or more", -_LEAST)
    what = f"priority must be a whole number from -{FARTHEST:,} to {FARTHEST:,}"
    priority = whole_number(priority, what, -FARTHEST, FARTHEST)
    chosen = retry_on if isinstance(retry_on, tuple) else (retry_on,)
    for kind in chosen:
        if not (isinstance(kind, type) and issubclass(kind, BaseException)):
            raise UsageError(f"retry_on must be classes of exceptions, not {kind!r}")
    if chosen and not retries:
        raise UsageError("retry_on has no effect without retries=")
    pickled = dumps(chosen) if chosen else b""
    options = Options(limit, retries, delay, priority, bool(pure), pickled)
    return None if options == DEFAULT else options


def _seconds(value: Any, name: str, bound: str, above: float) -> float:
    what = f"{name} must be a number of seconds {bound}"
    number = seconds(value, what, above=above)
    if number >= LONGEST:
        raise UsageError(f"{what}, and below {LONGEST:,.0f}, not {value!r}")
    return max(0.0, number)


def refuse_options(function: Callable[..., Any], keywords: Mapping[str, Any]) -> None:
    """Refuse options of a task that are given to a function, which does not take them.

    Raises:
        UnknownKeywordError: Says how it is written.
    """
    if function.__class__ is FunctionType:  # most, and many of them have a `seed`
        code = function.__code__
        if keywords.keys() <= set(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]):
            return
    import inspect  # of use here only

    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # some built-in ones have none
        return
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        return
    for name in keywords:
        if (name in Options._fields or name == "seed") and name not in parameters:
            called = getattr(function, "__name__", "the function")
            raise UnknownKeywordError(
                f"{called}() has no keyword {name!r}, and submit() gives it all: what concerns the "
                f"task is said with options, as in master.options({name}=...).submit({called}, ...)"
            )


def describe(options: Options | None) -> str:
    """Say what was chosen, as it was written."""
    chosen = options or DEFAULT
    shown = [
        f"{name}={value!r}"
        for name, value, usual in zip(Options._fields, chosen, DEFAULT, strict=True)
        if value != usual and name != "retry_on"
    ]
    if chosen.retry_on:
        kinds = loads(chosen.retry_on)
        names = ", ".join(kind.__name__ for kind in kinds)
        shown.insert(2, f"retry_on={names if len(kinds) == 1 else f'({names})'}")
    return f"options({', '.join(shown)})"


def check_key(key: object) -> str:
    """Return what a journal is to know a task by.

    Raises:
        UsageError: It is not text, or empty.
    """
    if not isinstance(key, str) or not key:
        raise UsageError(f"a key must be a text such as 'run 7', not {key!r}")
    return key


def check_tag(tag: object) -> str:
    """Return a tag that can be used.

    Raises:
        UsageError: It is not text, empty, marked as a call, or cannot travel.
    """
    if not isinstance(tag, str) or not tag or tag.startswith(CALL_MARK):
        raise UsageError(f"a tag must be a text such as 'sqrt', not {tag!r}")
    if not tag.isascii() and sendable(tag) != tag:  # part of a name of a file, perhaps
        raise UsageError(f"a tag must be a text that can be written in UTF-8, not {tag!r}")
    return tag
