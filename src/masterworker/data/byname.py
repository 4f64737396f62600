"""Pickling what the master sends: plainly where that will do, else so that names are noted.

What the main program defines goes by name (`defining`, which needs cloudpickle, is for what has
none). It lists these names, so that they can be there before the pickle is opened.
"""

from __future__ import annotations

import io
import pickle
from enum import Enum
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any, Final

from masterworker.data import definitions, mainmodule, marks, methods, proxies
from masterworker.data.protocol import PROTOCOL
from masterworker.data.segment import LARGE
from masterworker.data.standard import of_array
from masterworker.named import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from masterworker.data.protocol import Keep

_MAIN: Final = mainmodule.MAIN.encode()
#: A pickle that holds one of these is perhaps not what is to travel. The last one makes arrays of
#: subclasses, among others.
_MARKS: Final = _MAIN, methods.MARK, proxies.MARK, b"_reconstruct"


class Pickled(NamedTuple):
    """A value as bytes, and what these refer to."""

    data: bytes
    buffers: list[memoryview]
    #: Names of what is a part of it, and what else it needs.
    parts: Iterable[str] = ()
    names: Iterable[str] = ()
    hints: Iterable[str] = ()
    files: Iterable[str] = ()
    #: Objects that might be parts of other values, too, by identity. They are held here: what is
    #: made for pickling alone, such as the state of an object, would leave its identity to others.
    objects: Mapping[int, object] = {}

    #: Functions that remember their results are in it.
    has_caches: bool = False
    #: Code in it may find names that it does not mention.
    looks_up: bool = False

    @property
    def needs(self) -> tuple[str, ...]:
        """All names that have to mean something."""
        return (*self.parts, *self.names)

    @property
    def size(self) -> int:
        """Number of bytes, with large buffers."""
        return len(self.data) + sum(len(buffer) for buffer in self.buffers)


def pickled(
    value: object,
    *,
    itself: tuple[object, ...] = (),
    share: bool = False,
    objects: bool = False,
    larger_than: int = LARGE,
    copies: bool = False,
) -> Pickled:
    """Pickle a value as it travels to workers: what the main program defines goes by name.

    Args:
        value: Anything.
        itself: Classes and functions that are to travel by value all the same.
        share: What functions and classes hold that is the value of a global goes by name, too.
        objects: Return of which objects it consists.
        larger_than: Buffers with more bytes stay out of the pickle.
        copies: It is a parameter: what modules have, too, is copied.

    Raises:
        Exception: It cannot be pickled.
    """
    buffers: list[memoryview] = []
    value = methods.by_name(value)

    def keep(buffer: pickle.PickleBuffer) -> bool:
        raw = buffer.raw()
        if raw.nbytes <= larger_than:
            return True
        buffers.append(raw)
        return False

    if not itself:
        try:
            return _plainly(value, keep, buffers, objects=objects, copies=copies)
        except Exception:  # not plainly: the next try decides
            buffers.clear()
    from masterworker.data.defining import Pickler  # slow to load, and many jobs need it never

    with io.BytesIO() as out:
        pickler = Pickler(out, keep, itself, share=share, copies=copies)
        pickler.dump(value)
        return Pickled(
            *(out.getvalue(), buffers, pickler.parts, pickler.names, pickler.hints, pickler.files),
            _objects(pickler) if objects else {},
            pickler.has_caches,
            pickler.looks_up,
        )


def as_function(obj: object) -> Pickled | None:
    """Pickle by its name what a decorator has made of a function; None: it is nothing of the kind.

    An object that can be called, and has the name under which it is found, is one for its program.
    """
    name = getattr(obj, "__qualname__", None)
    if not isinstance(name, str) or mainmodule.namespace().get(name) is not obj:
        return None
    return Pickled(pickle.dumps(definitions.ByName(name), PROTOCOL), [], {name: None})


def _plainly(
    value: object, keep: Keep, buffers: list[memoryview], *, objects: bool, copies: bool
) -> Pickled:
    """Pickle a value without cloudpickle, which is many times as fast."""
    with io.BytesIO() as out:
        plain = pickle.Pickler(out, PROTOCOL, buffer_callback=keep)
        plain.dump(value)
        data = out.getvalue()
        is_plain = copies or not marks.are_in(data, plain)
        if is_plain and not any(mark in data for mark in _MARKS):
            return Pickled(data, buffers, objects=_objects(plain) if objects else {})
    buffers.clear()
    with io.BytesIO() as out:
        noting = _ByName(out, PROTOCOL, buffer_callback=keep)
        names: dict[str, None] = {}
        noting.names, noting.copies = names, copies
        noting.dump(value)
        data = out.getvalue()
        if _MAIN in data:
            raise pickle.PicklingError("something else is pickled by its name")
        return Pickled(data, buffers, names, objects=_objects(noting) if objects else {})


class _ByName(pickle.Pickler):
    """Notes what of the main program a pickle refers to, and cannot do more than that."""

    names: dict[str, None]
    copies: bool

    def reducer_override(self, obj: Any) -> Any:
        """Say how to pickle what is not built in; see `pickle.Pickler`."""
        if isinstance(obj, (type, FunctionType, mainmodule.CACHED)) and mainmodule.is_found(obj):
            self.names[obj.__qualname__.partition(".")[0]] = None
            return definitions.find, (obj.__qualname__,)
        if isinstance(obj, (MethodType, BuiltinFunctionType)):
            named = methods.by_name(obj)
            if named is not obj:
                return named.__reduce__()
        if isinstance(obj, MethodType) and obj != getattr(obj.__self__, obj.__name__, None):
            raise pickle.PicklingError("a method that is not found by its name")
        found = proxies.reduce_proxy(obj) or of_array(obj)
        return found or (not self.copies and marks.reduce_known(obj)) or NotImplemented


def _objects(pickler: pickle.Pickler) -> Mapping[int, object]:
    """Return which objects a pickle consists of that might be parts of other values, too."""
    known: dict[int, tuple[int, object]] = pickler.memo.copy()
    kinds = {type(found) for _, found in known.values()}
    shared = {kind for kind in kinds if _is_shared(kind)}
    return {each: found for each, (_, found) in known.items() if type(found) in shared}


def _is_shared(kind: type) -> bool:
    """Return whether sharing an object of a class makes a difference to two values.

    It makes none for what cannot change: texts, tuples, types of array elements. Such classes have
    a hash of their own, which is not written in Python.
    """
    if issubclass(kind, (type, FunctionType, Enum)):
        return False
    usual = kind.__hash__ is None or kind.__hash__ is object.__hash__
    return usual or isinstance(kind.__hash__, FunctionType)
