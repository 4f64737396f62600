"""One form for values that are alike, as bytes: what the keys of a journal are digests of.

A pickle is no such form: it says which parts are one object, lists sets in the order of a hash that
changes from process to process, and arrays as they lie in memory. Here a value is what it is made
of: plain values as they are pickled, containers with their parts, sets in the order of these,
arrays by type, shape and elements, functions by name or by what they are made of, and all else by
what it tells pickle about itself (`__reduce_ex__`).
"""

from __future__ import annotations

import copyreg
import hashlib
import pickle
import sys
from typing import TYPE_CHECKING, Any, Final

from masterworker.errors import JournalError
from masterworker.journal.kinds import KINDS, later_kind, named

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

#: What is longer is put into a larger whole as its digest, so values that share parts stay small.
LONG: Final = 64
_ATOMS: Final = frozenset((type(None), bool, int, float, complex, str, bytes, type(...)))
#: Further calls within calls for values that are nested deep: they need about five for each level.
DEEP: Final = 10_000
#: The protocol whose bytes a plain value is: it must never change.
_PROTOCOL: Final = 4


def digest_of(form: bytes) -> bytes:
    """Return the digest of a form."""
    return hashlib.blake2b(form, digest_size=16).digest()


class Canonical:
    """Makes the forms of values. For one thread, and one call, at a time.

    Args:
        special: Returns the form of a value that is more than it is made of; None: of all others.
    """

    def __init__(self, special: Callable[[Any], bytes | None] | None = None) -> None:
        self._special = special
        self._begin()

    def _begin(self) -> None:
        #: What is being looked into, by its id, and how deep.
        self._open: dict[int, int] = {}
        #: The forms of what has been looked into, which is kept so that ids stay its own.
        self._done: dict[int, tuple[Any, bytes]] = {}
        #: The outermost of what was referred to from inside of it.
        self._outermost = sys.maxsize

    def form(self, value: Any) -> bytes:
        """Return the form of a value.

        Raises:
            JournalError: A part has none; says which class that is of.
        """
        kind = type(value)
        if kind in _ATOMS:
            return pickle.dumps(value, _PROTOCOL)
        if kind is tuple and _ATOMS.issuperset(map(type, value)):
            return _together(b"(", [pickle.dumps(each, _PROTOCOL) for each in value])
        try:
            return self.of(value)
        except RecursionError:
            return self._deep(value)
        finally:
            self._begin()

    def of(self, value: Any) -> bytes:
        """Return the form of a part."""
        if type(value) in _ATOMS:
            return pickle.dumps(value, _PROTOCOL)
        number = id(value)
        known = self._done.get(number)
        if known is not None:
            return known[1]
        depth = self._open.get(number)
        if depth is not None:
            self._outermost = min(self._outermost, depth)
            return b"^%d;" % depth
        before, self._outermost = self._outermost, sys.maxsize
        depth = self._open[number] = len(self._open)
        try:
            form = self._look_into(value)
        finally:
            del self._open[number]
        if len(form) > LONG:
            form = b"#" + digest_of(form)
        if self._outermost >= depth:
            self._done[number] = value, form
        self._outermost = min(before, self._outermost if self._outermost < depth else sys.maxsize)
        return form

    def parts(self, mark: bytes, values: Iterable[Any]) -> bytes:
        """Return the form of something that is made of parts in an order."""
        return _together(mark, [self.of(each) for each in values])

    def unordered(self, mark: bytes, values: Iterable[Any]) -> bytes:
        """Return the form of something that is made of parts without one."""
        return _together(mark, sorted(self.of(each) for each in values))

    def as_pickled(self, value: Any) -> bytes:
        """Return the form of what a value tells pickle about itself."""
        return self._reduced(value, type(value))

    def attributes(self, mark: bytes, state: dict[Any, Any]) -> bytes:
        """Return the form of names with values, in whichever order they were given."""
        return self.unordered(mark, state.items())

    # -- inside -----------------------------------------------------------------------------

    def _deep(self, value: Any) -> bytes:
        """Return the form of a value that is nested about as deep as pickle can write it."""
        self._begin()
        before = sys.getrecursionlimit()
        sys.setrecursionlimit(before + DEEP)
        try:
            return self.of(value)
        except RecursionError:
            raise JournalError(f"{_named(value)} is nested too deep") from None
        finally:
            sys.setrecursionlimit(before)

    def _look_into(self, value: Any) -> bytes:
        kind = type(value)
        if self._special is not None and (form := self._special(value)) is not None:
            return form
        make = KINDS.get(kind) or later_kind(kind)
        if make is not None:
            return make(self, value)
        name = named(value)
        if name is not None:
            return b"N" + name.encode("utf-8", "surrogatepass")
        return self._reduced(value, kind)

    def _reduced(self, value: Any, kind: type) -> bytes:
        """Return the form of what tells pickle how it is made."""
        try:
            reduce = copyreg.dispatch_table.get(kind)
            if issubclass(kind, BaseException):  # tblib, with Dask, adds what they were raised by
                reduce = None
            told: Any = reduce(value) if reduce is not None else value.__reduce_ex__(_PROTOCOL)
        except RecursionError:
            raise
        except Exception as error:
            raise JournalError(f"{_named(value)} has no form: {error}") from error
        if isinstance(told, str):
            return b"N" + f"{getattr(value, '__module__', '')}:{told}".encode()
        function, arguments, state, items, pairs = [*list(told), None, None, None][:5]
        forms = [self.of(function), self.of(arguments), self._state(state)]
        forms.append(b"" if items is None else self.parts(b"l", items))
        forms.append(b"" if pairs is None else self.parts(b"d", pairs))
        return _together(b"R", forms)

    def _state(self, state: Any) -> bytes:
        if type(state) is dict:
            return self.attributes(b"s", state)
        if type(state) is tuple and len(state) == 2 and type(state[1]) is dict:  # with slots
            return _together(b"t", [self._state(state[0]), self._state(state[1])])
        return self.of(state)


def _together(mark: bytes, forms: list[bytes]) -> bytes:
    return b"".join((mark, b"%d:" % len(forms), *(b"%d;" % len(f) + f for f in forms)))


def _named(value: Any) -> str:
    kind = type(value)
    return f"a value of class {kind.__module__}.{kind.__qualname__}"
