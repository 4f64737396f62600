"""What of the attributes of modules is sent, and how to see whether one has changed.

What modules keep for themselves is sent where it can be pickled to few bytes, without more work
than these take.
"""

from __future__ import annotations

import pickle
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, Final

from masterworker.data import mainmodule, marks, places, snapshot
from masterworker.data.builtin import MISSING
from masterworker.data.byname import Pickled, pickled
from masterworker.data.copied import relies_on_being_one
from masterworker.data.fixed import is_fixed
from masterworker.data.protocol import PROTOCOL

if TYPE_CHECKING:
    from collections.abc import Callable

#: What modules keep for themselves is sent up to this size (bytes).
MUCH: Final = 64 << 10


class _TooMuchError(Exception):
    """A pickle is larger than is worth while."""


class _Bounded:
    """Takes a pickle up to some size.

    Args:
        most: Number of bytes.
    """

    def __init__(self, most: int) -> None:
        self._left = most

    def write(self, data: Any) -> int:
        """Take a piece."""
        size = memoryview(data).nbytes
        self._left -= size
        if self._left < 0:
            raise _TooMuchError
        return size


def itself(value: object) -> tuple[object, ...]:
    """Return what goes by value as the value of an attribute, though it has a name.

    A function of the main program may say that it is the one in whose place it is:
    `functools.wraps` sees to it. By that name a worker would find its own.
    """
    if not issubclass(type(value), FunctionType):  # a proxy is asked nothing: it may raise
        return ()
    is_ours = value.__globals__ is mainmodule.namespace()  # type: ignore[attr-defined]
    return (value,) if is_ours and not mainmodule.is_found(value) else ()


def is_same_object(name: str, value: object) -> bool:
    """Return whether an attribute is still the same object; a method is made each time."""
    found = places.find(name)
    if type(found) is type(value) is MethodType:
        return found.__self__ is value.__self__ and found.__func__ is value.__func__
    return found is value


def is_usual_method(name: str, value: object) -> bool:
    """Return whether an attribute is the method of its object that the class has: nothing is set.

    Code may set it that is not executed. Sent as it is, it would be the method of a copy.
    """
    if type(value) is not MethodType:
        return False
    home, _, last = name.rpartition(".")
    return (
        places.find(home) is value.__self__
        and getattr(type(value.__self__), last, None) is value.__func__
    )


def is_refused(name: str, value: object) -> bool:
    """Return whether an attribute is still one that cannot be sent; a property may make it anew."""
    try:
        pickled_as_now(name)
    except Exception:
        return type(places.find(name)) is type(value)
    return False


def pickled_as_now(name: str, *, objects: bool = False) -> Pickled:
    """Pickle the value of an attribute, which may be another object each time.

    Args:
        name: Of the attribute.
        objects: Return of which objects it consists.

    Raises:
        Exception: It cannot be pickled, or is there no more.
    """
    value = places.find(name)
    if value is MISSING:
        raise AttributeError(name)
    return pickled((marks.by_place(value, name),), itself=itself(value), objects=objects)


def as_state(name: str) -> str:
    """Return the name of the object whose attribute this is, if that can be sent; else the same."""
    home, _, _ = name.rpartition(".")
    return home if is_smaller(places.find(home), MUCH) else name


def pickled_gone() -> Pickled:
    """Pickle what says that there is no such attribute any more."""
    return pickled((places.Gone,))


def is_small(name: str) -> bool:
    """Return whether the value of an attribute can be sent with each call that comes.

    What modules keep for themselves may be a cache, or a model: it is not looked at for long.
    """
    value = places.find(name)
    if value is MISSING or is_fixed(value):
        return True
    if type(value) in (dict, list, set) and len(value) > MUCH:  # each item is a byte at least
        return False
    return not relies_on_being_one(value) and is_smaller(value, MUCH)


def check_of_too_much(name: str) -> Callable[[], bool]:
    """Return a check whether what is too much is so still: it is, as long as it is the same."""
    value = places.find(name)
    holds_the_same = snapshot.shallow(value)
    return lambda: (places.find(name) is value and holds_the_same()) or not is_small(name)


def is_smaller(value: object, most: int) -> bool:
    """Return whether a value can be pickled plainly, within a number of bytes."""

    def keep(buffer: pickle.PickleBuffer) -> bool:
        if buffer.raw().nbytes > most:
            raise _TooMuchError
        return True

    try:
        pickle.Pickler(_Bounded(most), PROTOCOL, buffer_callback=keep).dump(value)
    except Exception:
        return False
    return True


def bare(error: Exception) -> Exception:
    """Return an exception without its frames, which refer to whatever all callers have."""
    error.__traceback__ = error.__context__ = error.__cause__ = None
    return error
