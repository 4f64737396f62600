"""Exceptions taken apart into what can be pickled, and put together again.

Pickle rebuilds an exception by calling its class with `args`. Where a class has an `__init__` of
its own, that does not take those, or does to them once more what it has done before. So a class is
not called here: what the exception consists of is set, as it was. A class that says itself how it
is pickled is asked.

Causes, contexts, the members of groups and exceptions that are attributes travel along, in a list
in which they refer to each other by position.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from masterworker.named import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: At most this many exceptions travel together: of a chain, and in groups.
MOST: Final = 100
#: What of a class says how its objects are pickled.
_HOOKS: Final = ("__reduce__", "__reduce_ex__", "__getstate__", "__setstate__", "__getnewargs__")
_HEAP_TYPE: Final = 1 << 9
#: Sets what the built-in classes have, also where a class of the user's forbids it.
_set: Final = BaseException.__setattr__


class Ref(NamedTuple):
    """Stands for another exception of the list."""

    position: int


class Several(NamedTuple):
    """Stands for a list or tuple in which there are exceptions."""

    kind: type[Any]
    values: list[Any]


class Parts(NamedTuple):
    """One exception, taken apart."""

    kind: type[BaseException]
    #: What the innermost class, a built-in one, was made with.
    args: list[Any]
    #: Attributes: those in its dictionary, those in slots (with the position of their class in the
    #: order of classes), and what else the built-in class has.
    attributes: dict[str, Any]
    slots: list[tuple[int, str, Any]]
    extra: dict[str, Any]
    cause: Ref | None
    context: Ref | None
    suppresses: bool


#: An exception as it is, where its class says how it is pickled, and its notes.
Whole = tuple[BaseException, list[str], Ref | None, Ref | None, bool]


def take_apart(
    error: BaseException, *, most: int = MOST, asked: Callable[[BaseException], bool] | None = None
) -> list[Parts | Whole]:
    """Return an exception, and those that it refers to, as what they consist of.

    Args:
        error: The first of the list.
        most: The largest number.
        asked: Returns, for those whose class says how it is pickled, whether that is to be
            believed; None: of all.
    """
    errors = Errors([error], most)
    parts: list[Parts | Whole] = []
    for one in errors.found:  # it grows meanwhile
        users = any(hook in vars(c) for c in _of_users(type(one)) for hook in _HOOKS)
        if users and (asked is None or asked(one)):
            parts.append((one, getattr(one, "__notes__", []), *errors.links(one)))
        else:
            parts.append(_take_apart(one, errors))
    return parts


class Errors:
    """Those that are to be taken apart.

    Args:
        found: The first of them.
        most: How many there may be.
    """

    def __init__(self, found: list[BaseException], most: int) -> None:
        self.found = found
        self._most = most

    def ref(self, error: BaseException | None) -> Ref | None:
        """Return what stands for an exception; None: it does not travel."""
        if error is None:
            return None
        for position, known in enumerate(self.found):
            if known is error:
                return Ref(position)
        if len(self.found) >= self._most:
            return None
        self.found.append(error)
        return Ref(len(self.found) - 1)

    def links(self, error: BaseException) -> tuple[Ref | None, Ref | None, bool]:
        """Return its cause, its context, and whether it suppresses that."""
        cause, context = self.ref(error.__cause__), self.ref(error.__context__)
        return cause, context, error.__suppress_context__

    def encoded(self, value: Any) -> Any:
        """Return what stands for a value."""
        if isinstance(value, BaseException):
            return self.ref(value) or value
        kind = value.__class__
        if kind in {list, tuple} and any(isinstance(each, BaseException) for each in value):
            among = [self.ref(v) or v if isinstance(v, BaseException) else v for v in value]
            return Several(kind, among)
        return value


def put_together(parts: list[Parts | Whole]) -> BaseException:
    """Make the first exception of a list again, with all that it refers to.

    Raises:
        Exception: Whatever the classes do that is not expected of them.
    """
    get = _Making(parts).get
    for position, part in enumerate(parts):
        error = get(position)
        cause, context, suppresses = part[-3:]
        _set(error, "__cause__", None if cause is None else get(cause.position))
        _set(error, "__context__", None if context is None else get(context.position))
        _set(error, "__suppress_context__", suppresses)
    for position, part in enumerate(parts):
        if isinstance(part, Parts):
            _fill(get(position), part, get)
        elif part[1]:
            _set(get(position), "__notes__", part[1])
    return get(0)


class _Making:
    """Makes exceptions of a list, each when it is first asked for.

    An object, since an inner function that calls itself refers to itself, and would keep the
    exceptions, with all that their tracebacks refer to, until the collector of garbage comes.

    Args:
        parts: What `take_apart` has returned.
    """

    def __init__(self, parts: list[Parts | Whole]) -> None:
        self._parts = parts
        self._made: list[BaseException | None] = [None] * len(parts)

    def get(self, position: int) -> BaseException:
        """Return the exception at a position."""
        error = self._made[position]
        if error is None:
            part = self._parts[position]
            error = _make(part, self.get) if isinstance(part, Parts) else part[0]
            self._made[position] = error
        return error


def without(parts: list[Parts | Whole], bad: Callable[[Any], str]) -> list[Parts | Whole]:
    """Leave out what cannot travel; a note of each exception says what is missing.

    Args:
        parts: What `take_apart` has returned.
        bad: Says why a value cannot travel; "": it can.
    """
    return [_without(part, bad) if isinstance(part, Parts) else part for part in parts]


def note(error: BaseException, text: str) -> None:
    """Add a note, also where the class forbids new attributes. Never raises."""
    try:
        error.add_note(text)
    except BaseException:  # whatever the class does
        known = getattr(error, "__dict__", {}).get("__notes__", ())
        _set(error, "__notes__", [*known, text])


def _take_apart(error: BaseException, errors: Errors) -> Parts:
    encoded = errors.encoded
    reduced: Any = _built_in(type(error)).__reduce__(error)
    own = dict(getattr(error, "__dict__", {}))
    extra = dict(reduced[2]) if len(reduced) > 2 and isinstance(reduced[2], dict) else {}
    args = tuple(reduced[1])
    if isinstance(error, BaseExceptionGroup):
        given = list if len(args) > 1 and args[1].__class__ is list else tuple
        args = (error.message, given(error.exceptions))
    return Parts(
        type(error),
        [encoded(value) for value in args],
        {name: encoded(value) for name, value in own.items()},
        [(n, name, encoded(value)) for n, name, value in _slots(error)],
        {name: encoded(value) for name, value in extra.items() if name not in own},
        *errors.links(error),
    )


def _make(part: Parts, get: Callable[[int], BaseException]) -> BaseException:
    """Make the object, as its built-in class does."""
    base = _built_in(part.kind)
    args = [_resolved(value, get) for value in part.args]
    error: BaseException = base.__new__(part.kind, *args)
    base.__init__(error, *args)
    return error


def _fill(error: BaseException, part: Parts, get: Callable[[int], BaseException]) -> None:
    """Set its attributes. No property or `__setattr__` of the class is asked."""
    for name, value in part.attributes.items():
        error.__dict__[name] = _resolved(value, get)
    for position, name, value in part.slots:
        vars(part.kind.__mro__[position])[name].__set__(error, _resolved(value, get))
    for name, value in part.extra.items():
        _set(error, name, _resolved(value, get))


def _resolved(value: Any, get: Callable[[int], BaseException]) -> Any:
    if value.__class__ is Ref:
        return get(value.position)
    if value.__class__ is Several:
        return value.kind(_resolved(each, get) for each in value.values)
    return value


def _without(part: Parts, bad: Callable[[Any], str]) -> Parts:
    missing = []

    def kept(values: dict[str, Any]) -> dict[str, Any]:
        found = {}
        for name, value in values.items():
            if why := bad(value):
                missing.append(f"its attribute {name!r} did not travel: {why}")
            else:
                found[name] = value
        return found

    args = []
    for position, value in enumerate(part.args):
        why = bad(value)
        if why:
            missing.append(f"its argument {position + 1} is shown as text: {why}")
        args.append(_shown(value) if why else value)
    attributes, extra = kept(part.attributes), kept(part.extra)
    slots = [(n, name, v) for n, name, v in part.slots if kept({name: v})]
    if missing:
        attributes["__notes__"] = [*attributes.get("__notes__", ()), *missing]
    return part._replace(args=args, attributes=attributes, slots=slots, extra=extra)


def _shown(value: object) -> str:
    try:
        return repr(value)[:500]
    except Exception:
        return f"(a {type(value).__name__})"


def _of_users(kind: type) -> Iterator[type]:
    """The classes that are not built in."""
    return (c for c in kind.__mro__ if c.__flags__ & _HEAP_TYPE)


def _built_in(kind: type[BaseException]) -> Any:
    return next(
        c for c in kind.__mro__ if issubclass(c, BaseException) and not c.__flags__ & _HEAP_TYPE
    )


def _slots(error: BaseException) -> Iterator[tuple[int, str, Any]]:
    """Yield what is in slots: the position of the class, the name there, and the value."""
    for position, kind in enumerate(type(error).__mro__):
        names = vars(kind).get("__slots__", ())
        for name in (names,) if isinstance(names, str) else names:
            private = name.startswith("__") and not name.endswith("__")
            found = f"_{kind.__name__.lstrip('_')}{name}" if private else name
            descriptor = vars(kind).get(found)
            if name in {"__dict__", "__weakref__"} or not hasattr(descriptor, "__set__"):
                continue
            try:
                value = descriptor.__get__(error, kind)  # type: ignore[union-attr]
            except AttributeError:  # it is not set
                continue
            yield position, found, value
