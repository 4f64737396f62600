"""Turning values into bytes and back.

Values are pickled plainly where that is enough, since it is by far the fastest. Two things need
more:

* What cannot be found by name (lambdas, local functions) travels by value, with cloudpickle.
* Classes and functions of the *main program* travel by value as well, but under their name: the
  other side uses its own class of that name, where its main program has one, so that `isinstance`
  and `except` work on both sides; otherwise it gets a copy.

Large buffers (the elements of arrays) stay out of the pickle, and are copied once: into a
`Segment`.

`loads` is the only place in the package that unpickles anything; `open_payload` calls it. A caller
must know where the bytes come from: a pickle is a program.
"""

from __future__ import annotations

import contextlib
import functools
import io
import pickle
from itertools import repeat
from typing import TYPE_CHECKING, Any, Final

from masterworker.data import layout, mainmodule, methods, proxies
from masterworker.data.methods import MARK, SMALLEST
from masterworker.data.protocol import PROTOCOL
from masterworker.data.segment import LARGE, Segment
from masterworker.errors import UnpicklableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from masterworker.core.task import Payload
    from masterworker.data.protocol import Keep

#: How a pickle spells the name of the main program's module.
MAIN = b"__main__"

#: No pickle of this length or less (bytes) refers to anything of the main program.
CANNOT_NAME_MAIN = 24
#: Pickles with more bytes than this are not joined just to be searched.
_MUCH = 1 << 20

#: Whether what is pickled as the main program's is found there by the receiver. What was
#: defined here, and has not come from the master, is pickled under the other name of the module.


class _Names:
    shared = False


_names: Final = _Names()
_HERE_ONLY = mainmodule.NAME.encode()


def share_names(*, shared: bool) -> None:
    """Say whether the main program's definitions here are those of the master."""
    _names.shared = shared


def goes_plainly(data: bytes) -> bool:
    """Return whether a plain pickle will do: the receiver finds all that it names."""
    if len(data) >= proxies.SMALLEST and is_peculiar(data):
        return False
    return (MAIN not in data and _HERE_ONLY not in data) or (
        _names.shared and _HERE_ONLY not in data
    )


def is_peculiar(data: bytes) -> bool:
    """Return whether what is plainly pickled would not be the same there, wherever it is found.

    That is a copy of a hidden generator, or a proxy without the key of its manager.
    """
    return (len(data) >= SMALLEST and MARK in data) or proxies.MARK in data


def calls_plainly(data: bytes) -> bool:
    """Return whether a plain pickle of a call will do, where it may be large."""
    return (
        MAIN not in data
        and (len(data) < proxies.SMALLEST or not is_peculiar(data))
        and len(data) <= LARGE
    )


def dumps(value: object) -> bytes:
    """Pickle a value, in one piece however large it is; see `dumps_payload` for what travels.

    Raises:
        Exception: Whatever the value's own pickling raises; see `dumps_call` for one clear error.
    """
    try:
        data = pickle.dumps(value, PROTOCOL)
    except Exception:
        return _dumps_by_value(value)
    if not goes_plainly(data):
        try:
            return _dumps_by_value(value)
        except Exception:
            return data  # by name: good where the other side's main program has that name
    return data


class _LargeError(Exception):
    """A value has a large buffer."""


def _no_large(buffer: pickle.PickleBuffer) -> bool:
    """Let a buffer be a part of the pickle, if it is a small one."""
    if buffer.raw().nbytes > LARGE:
        raise _LargeError
    return True


#: Pickles a value plainly: `dumps`, where it does not raise, the bytes do not name the main program
#: and are not many. For what is done a million times a second.
dumps_plainly: Callable[[object], bytes] = functools.partial(
    pickle.dumps, protocol=PROTOCOL, buffer_callback=_no_large
)


def dumps_payload(value: object) -> Payload:
    """Pickle a value as it travels: a large one, or one with large buffers, is a segment.

    Raises:
        Exception: As `dumps`.
    """
    try:
        data = dumps_plainly(value)
    except _LargeError:
        return _dumps_apart(value)
    except Exception:
        return _large_apart(_dumps_by_value(value))
    if not goes_plainly(data):
        with contextlib.suppress(Exception):  # else by name, as `dumps`
            data = _dumps_by_value(value)
    return data if len(data) <= LARGE else _large_apart(data)


def _large_apart(data: bytes) -> Payload:
    return data if len(data) <= LARGE else Segment.of([data])


def _dumps_apart(value: object) -> Payload:
    """Pickle a value with large buffers apart."""
    buffers: list[memoryview] = []

    def keep(buffer: pickle.PickleBuffer) -> bool:
        raw = buffer.raw()
        if raw.nbytes <= LARGE:
            return True
        buffers.append(raw)
        return False

    try:
        data = pickle.dumps(value, PROTOCOL, buffer_callback=keep)
        by_value = not goes_plainly(data)
    except Exception:
        by_value = True
    if by_value:
        buffers.clear()
        data = _dumps_by_value(value, keep=keep)
    return Segment.of(layout.pack(data, buffers)) if buffers else _large_apart(data)


#: Rebuilds a value from bytes that come from a process of this job. Pickle's own function, and not
#: one that calls it, since it is called twice for each task.
loads: Callable[..., Any] = pickle.loads


def open_payload(payload: Payload, *, writable: bool = True) -> Any:
    """Rebuild a value from what comes from a process of this job.

    Args:
        payload: What `dumps_payload` has made.
        writable: Arrays can be written to, which no other reader sees. They are not copied.
    """
    if isinstance(payload, bytes):
        if payload[: len(layout.MARK)] != layout.MARK:
            return loads(payload)
        memory = memoryview(bytearray(payload))
    elif payload.head(len(layout.MARK)) != layout.MARK:
        return loads(payload.open(writable=False))
    else:
        memory = payload.open(writable=writable)
    pickled, buffers = layout.unpack(memory)
    return loads(pickled, buffers=buffers)


def dumps_many_quickly(function: bytes, calls: Sequence[tuple[Any, ...]]) -> list[bytes] | None:
    """Pickle calls of one function, each by itself, if that can be done plainly; else None."""
    nothing: dict[str, Any] = {}
    parameters = zip(repeat(function), calls, repeat(nothing))
    try:
        data = list(map(dumps_plainly, parameters))
    except Exception:
        return None
    if max(map(len, data)) > LARGE:
        return None
    if sum(map(len, data)) > _MUCH:
        return data if all(map(calls_plainly, data)) else None
    joined = b"".join(data)
    return None if MAIN in joined or is_peculiar(joined) else data


def dumps_call(what: str, parameters: tuple[Any, ...]) -> Payload:
    """Pickle the positional parameters of a task.

    Args:
        what: Names the call in the error.
        parameters: They are fixed now: a change after this call does not matter.

    Raises:
        UnpicklableError: Names the first parameter that cannot be pickled, and why.
    """
    try:
        return dumps_payload(parameters)
    except Exception as error:
        from masterworker.data.blame import why  # of use in errors only

        for position, parameter in enumerate(parameters):
            try:
                dumps(parameter)
            except Exception as cause:
                raise UnpicklableError(
                    f"{what}: parameter {position + 1} (a {type(parameter).__name__}) cannot be "
                    f"pickled, so it cannot be sent to a worker: {why(parameter, cause, dumps)}"
                ) from cause
        raise UnpicklableError(
            f"{what}: the parameters cannot be pickled: {line_of(error)}"
        ) from error


def dumps_function_by_name(function: Callable[..., Any]) -> bytes | None:
    """Pickle a function by its name, where the other side can import it; else None."""
    try:
        data = pickle.dumps(methods.by_name(function), PROTOCOL)
    except Exception:
        return None
    return None if MAIN in data or len(data) > LARGE else data


def _dumps_by_value(value: object, itself: object = None, keep: Keep | None = None) -> bytes:
    # cloudpickle takes longer to load than a worker to do its first task, and most jobs, and
    # nearly all workers, never need it
    from masterworker.data.byvalue import Pickler

    with io.BytesIO() as out:
        Pickler(out, itself, keep).dump(value)
        return out.getvalue()


def line_of(error: BaseException) -> str:
    """Return an error in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:500]
