"""Which part of a value cannot be pickled, and what to do about it: for errors only."""

from __future__ import annotations

import io
import socket
import threading
from collections.abc import Iterator, Mapping
from functools import partial
from types import FunctionType, GeneratorType, MethodType
from typing import TYPE_CHECKING, Any, Final

from masterworker.errors import UnpicklableError

if TYPE_CHECKING:
    from collections.abc import Callable

#: How deep a value is searched, and how many parts of it.
DEEPEST: Final = 6
MOST: Final = 200

_LOCKS = (type(threading.Lock()), type(threading.RLock()), threading.Condition, threading.Event)
#: What to do instead.
INSTEAD: Final[tuple[tuple[tuple[type, ...], str], ...]] = (
    (
        (*_LOCKS, threading.Semaphore, threading.Thread),
        "make it inside the function: workers are processes, and each needs one of its own",
    ),
    (
        (io.IOBase, socket.socket),
        "open it inside the function, or in an initializer of the workers",
    ),
    ((GeneratorType, Iterator), "make a list of it, or use map, which draws items as needed"),
)
#: The same, for what processes of the standard library inherit: its locks, queues and arrays.
OF_A_MANAGER: Final = "one of a multiprocessing.Manager() can be sent, as Manager().Queue()"
#: The same, for what pickle says of objects that belong to their process.
OF_THE_PROCESS: Final = "make it inside the function, or in an initializer of the workers"


def why(value: object, error: Exception, dump: Callable[[Any], object]) -> str:
    """Say in one line why a value cannot be pickled: which part it is, and what to do.

    Args:
        value: What was to be pickled.
        error: What came of it.
        dump: Pickles a value, or raises.
    """
    path, part = "", value
    left = MOST
    for _ in range(DEEPEST):
        for name, inner in _parts(part):
            left -= 1
            found = _fault(inner, dump) if left > 0 else None
            if found is not None:
                path, part, error = f"{path}{name}", inner, found
                break
        else:
            break
    text = " ".join(str(error).split())
    message = text if isinstance(error, UnpicklableError) else f"{type(error).__name__}: {text}"
    where = f"{path.removeprefix(', ')} (a {type(part).__name__}): " if path else ""
    instead = next((advice for kinds, advice in INSTEAD if isinstance(part, kinds)), "")
    if any(_is_inherited(each) for each in (value, part)):
        instead = OF_A_MANAGER
    if not instead and isinstance(error, TypeError) and text.startswith("cannot pickle"):
        instead = OF_THE_PROCESS
    return f"{where}{message}"[:500] + (f"; {instead}" if instead else "")


def _is_inherited(value: object) -> bool:
    package = type(value).__module__.partition(".")[0]
    return package.removeprefix("_") == "multiprocessing"


def _fault(value: object, dump: Callable[[Any], object]) -> Exception | None:
    try:
        dump(value)
    except Exception as error:
        return error
    return None


def _parts(value: object) -> Iterator[tuple[str, object]]:
    """Yield what a value consists of, with words for where it is."""
    if isinstance(value, MethodType):
        yield ", the object that it is a method of", value.__self__
    elif isinstance(value, FunctionType):
        for name, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=False):
            try:
                yield f", variable {name!r} of the function around it", cell.cell_contents
            except ValueError:  # it is empty
                continue
        names = value.__code__.co_varnames[: value.__code__.co_argcount]
        defaults = value.__defaults__ or ()
        for name, default in zip(names[len(names) - len(defaults) :], defaults, strict=True):
            yield f", the default of {name!r}", default
    elif isinstance(value, partial):
        yield ", the function", value.func
        yield from ((f", argument {number + 1}", each) for number, each in enumerate(value.args))
        yield from ((f", argument {name!r}", each) for name, each in value.keywords.items())
    elif isinstance(value, Mapping):
        yield from ((f", item {key!r:.50}", each) for key, each in value.items())
    elif isinstance(value, (list, tuple, set, frozenset)):
        yield from ((f", item {number}", each) for number, each in enumerate(value))
    elif isinstance(value, type) or type(value).__reduce__ is not object.__reduce__:
        return  # its class says how it is pickled
    elif isinstance(own := getattr(value, "__dict__", None), dict):
        yield from ((f", attribute {name!r}", each) for name, each in own.items())
