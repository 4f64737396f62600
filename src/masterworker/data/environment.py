"""What calls need of the main program, as it is now: made once, and again when it has changed.

From the names that a function refers to one comes to other functions and classes, and from these to
further names. What all of them mean is an *environment*: definitions, each with a digest of its
content. Whether it is still true is asked at each call. Names are compared by identity, which costs
some 50 ns each, as long as what they mean cannot change. Lists, dictionaries, arrays and the like
are pickled again, and their digest is compared: about a millisecond for 10 MB of an array.

Values that have parts in common are one definition, so that they have them in common in the worker.
"""

from __future__ import annotations

import io
import pickle
import re
import weakref
from collections import deque
from enum import Enum
from functools import partial
from pathlib import PurePath
from types import (
    BuiltinFunctionType,
    EllipsisType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
    NoneType,
)
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
from xxhash import xxh3_128_digest, xxh3_128_hexdigest

from masterworker.data import definitions, mainmodule, sourcecode
from masterworker.data.definitions import ABSENT, DEFINED, SOURCE, VALUES, Definition
from masterworker.data.pickling import PROTOCOL
from masterworker.data.segment import LARGE, Segment
from masterworker.errors import UnpicklableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from masterworker.core.task import Payload
    from masterworker.data.pickling import Keep

#: Larger definitions are stored by themselves (bytes).
INLINE: Final = 16 << 10

_MAIN: Final = mainmodule.MAIN.encode()

#: In the place of the value of a name that is not defined.
_MISSING: Final = object()

#: Objects of these classes stay what they are, as long as they are the same ones.
_FIXED: Final = frozenset(
    (
        *(int, float, complex, bool, str, bytes, range, slice, NoneType, EllipsisType, ModuleType),
        *(BuiltinFunctionType, re.Pattern, GetSetDescriptorType, MemberDescriptorType),
    )
)
#: Attributes of classes that hold something changeable, which nobody changes.
_UNCHANGED: Final = frozenset(
    (
        *("__annotations__", "__dataclass_fields__", "__dataclass_params__", "__abstractmethods__"),
        *("_abc_impl", "__parameters__", "__orig_bases__", "__static_attributes__"),
    )
)

#: `pickle` notes something in a class when it has seen an object of it.
_OF_PICKLE: Final = "__slotnames__"

#: Files in memory with large buffers, by digest, as long as somebody needs them.
_blobs: weakref.WeakValueDictionary[str, Segment] = weakref.WeakValueDictionary()


class Environment:
    """What calls need that are asked for now.

    Args:
        key: Under which it is stored; "" if nothing is needed.
        parts: What is to be stored, by key.
        sizes: Names that carry much, with the number of bytes, and the class of the value.
    """

    def __init__(
        self, key: str, parts: dict[str, Payload], sizes: list[tuple[str, int, str]]
    ) -> None:
        self.key = key
        self.parts = parts
        self.sizes = sizes


class Pickled(NamedTuple):
    """A value as bytes, and what these refer to."""

    data: bytes
    buffers: list[memoryview]
    names: Iterable[str] = ()
    hints: Iterable[str] = ()
    files: Iterable[str] = ()
    #: Objects that might be parts of other values, too, by identity.
    parts: frozenset[int] = frozenset()

    @property
    def size(self) -> int:
        """Number of bytes, with large buffers."""
        return len(self.data) + sum(len(buffer) for buffer in self.buffers)


def pickled(
    value: object, *, itself: object = None, parts: bool = False, larger_than: int = LARGE
) -> Pickled:
    """Pickle a value as it travels to workers: what the main program defines goes by name.

    Args:
        value: Anything.
        itself: A class or function that is to travel by value all the same.
        parts: Tell of which objects it consists.
        larger_than: Buffers with more bytes stay out of the pickle.

    Raises:
        Exception: It cannot be pickled.
    """
    buffers: list[memoryview] = []

    def keep(buffer: pickle.PickleBuffer) -> bool:
        raw = buffer.raw()
        if raw.nbytes <= larger_than:
            return True
        buffers.append(raw)
        return False

    if itself is None:
        try:
            return _plainly(value, keep, buffers, parts=parts)
        except Exception:  # not plainly: the next try decides
            buffers.clear()
    from masterworker.data.defining import Pickler  # slow to load, and many jobs need it never

    with io.BytesIO() as out:
        pickler = Pickler(out, keep, itself)
        pickler.dump(value)
        return Pickled(
            *(out.getvalue(), buffers, pickler.names, pickler.hints, pickler.files),
            _parts(pickler) if parts else frozenset(),
        )


def _plainly(value: object, keep: Keep, buffers: list[memoryview], *, parts: bool) -> Pickled:
    """Pickle a value without cloudpickle, which is many times as fast."""
    with io.BytesIO() as out:
        plain = pickle.Pickler(out, PROTOCOL, buffer_callback=keep)
        plain.dump(value)
        data = out.getvalue()
        if _MAIN not in data:
            return Pickled(data, buffers, parts=_parts(plain) if parts else frozenset())
    buffers.clear()
    with io.BytesIO() as out:
        noting = _ByName(out, PROTOCOL, buffer_callback=keep)
        names: dict[str, None] = {}
        noting.names = names
        noting.dump(value)
        data = out.getvalue()
        if _MAIN in data:
            raise pickle.PicklingError("something else is pickled by its name")
        return Pickled(data, buffers, names, parts=_parts(noting) if parts else frozenset())


class _ByName(pickle.Pickler):
    """Notes what of the main program a pickle refers to, and cannot do more than that."""

    names: dict[str, None]

    def reducer_override(self, obj: Any) -> Any:
        """Say how to pickle what is not built in; see `pickle.Pickler`."""
        if isinstance(obj, (type, FunctionType, mainmodule.CACHED)) and mainmodule.is_found(obj):
            self.names[obj.__qualname__.partition(".")[0]] = None
            return definitions.find, (obj.__qualname__,)
        if isinstance(obj, MethodType) and obj != getattr(obj.__self__, obj.__name__, None):
            raise pickle.PicklingError("a method that is not found by its name")
        return NotImplemented


def _parts(pickler: pickle.Pickler) -> frozenset[int]:
    known: dict[int, tuple[int, object]] = pickler.memo.copy()
    shared_anyway = str, bytes, tuple, type
    return frozenset(
        each for each, (_, found) in known.items() if not isinstance(found, shared_anyway)
    )


class Plan:
    """An environment, and how to see whether it is still what names mean.

    Args:
        names: Names to begin with.
        files: Sources of code that is not in the environment.

    Raises:
        UnpicklableError: Names what cannot be sent, and why.
    """

    def __init__(self, names: Iterable[str], files: Iterable[str] = ()) -> None:
        self._main = mainmodule.namespace()
        #: What each name is bound to.
        self._bindings: list[tuple[str, object]] = []
        #: What has to be looked at, besides: whether it is what it was.
        self._checks: list[Callable[[], bool]] = []
        self._definitions: list[Definition] = []
        self._parts: dict[str, Payload] = {}
        self._sizes: list[tuple[str, int, str]] = []
        self._files = dict.fromkeys(files)
        self._values: dict[str, Pickled] = {}
        self._build(names)
        self.environment = self._finish()

    def is_true(self) -> bool:
        """Tell whether all names mean what they did when this was made."""
        get = self._main.get
        for name, value in self._bindings:
            if get(name, _MISSING) is not value:
                return False
        try:
            return all(check() for check in self._checks)
        except Exception:  # it cannot be pickled any more: whoever makes the next plan says so
            return False

    # -- making it --------------------------------------------------------------------------

    def _build(self, names: Iterable[str]) -> None:
        todo = deque((name, False) for name in names)
        todo.append(("__file__", True))
        seen: set[str] = set()
        while todo:
            name, hint = todo.popleft()
            if name in seen or name in mainmodule.OF_MODULES:
                continue
            value = self._main.get(name, _MISSING)
            if hint and value is _MISSING:
                continue
            seen.add(name)
            self._bindings.append((name, value))
            try:
                found = self._add(name, value)
            except Exception as error:
                if hint:
                    continue
                raise UnpicklableError(_cannot(name, value, error)) from error
            todo.extend((each, False) for each in found.names)
            todo.extend((each, True) for each in found.hints)
            self._files.update(dict.fromkeys(found.files))
        self._add_values()

    def _add(self, name: str, value: object) -> Pickled:
        """Add what a name means; values are put aside until it is known what they share."""
        if value is _MISSING:
            self._definitions.append(Definition(ABSENT, (name,), b""))
            return Pickled(b"", [])
        if not self._is_defined(name, value):
            found = pickled(value, parts=not _is_fixed(value))
            self._values[name] = found
            return found
        found = pickled(value, itself=value)
        if isinstance(value, type):  # whose source is looked for in the file of its module
            self._files[str(self._main.get("__file__", ""))] = None
        digest = self._add_definition(DEFINED, (name,), found)
        self._checks.append(
            _check_of(value) or _compare(DEFINED, partial(pickled, value, itself=value), digest)
        )
        return found

    def _is_defined(self, name: str, value: object) -> bool:
        """Tell whether a name means a function or class of the main program."""
        if isinstance(value, FunctionType) and value.__globals__ is self._main:
            return value.__qualname__ == name or not mainmodule.is_found(value)
        return mainmodule.is_found(value) and value.__qualname__ == name  # type: ignore[attr-defined]

    def _add_values(self) -> None:
        for names in _together({name: each.parts for name, each in self._values.items()}):
            values = tuple(self._main[name] for name in names)
            found = pickled(values)
            digest = self._add_definition(VALUES, names, found)
            if not all(map(_is_fixed, values)):
                self._checks.append(_compare(VALUES, partial(pickled, values), digest))

    def _add_definition(self, kind: int, names: tuple[str, ...], found: Pickled) -> bytes:
        buffers = tuple(store_buffer(each, self._parts) for each in found.buffers)
        digest = _digest(kind, found.data, buffers)
        inline = len(found.data) <= INLINE
        if not inline:
            self._parts[definitions.key_of(digest)] = _payload(found.data)
        self._definitions.append(
            Definition(kind, names, digest, found.data if inline else b"", buffers)
        )
        if found.size > INLINE:
            value = self._main.get(names[0])
            self._sizes.append((", ".join(names), found.size, type(value).__name__))
        return digest

    def _finish(self) -> Environment:
        for name in self._files:
            if name and (text := sourcecode.source_of(name)):
                self._add_definition(SOURCE, (name,), Pickled(text.encode(errors="replace"), []))
        if not self._definitions:
            return Environment("", {}, [])
        encoded = msgspec.msgpack.encode(self._definitions)
        key = xxh3_128_hexdigest(encoded)
        return Environment(key, {**self._parts, key: _payload(encoded)}, self._sizes)


def root_parts(found: Pickled) -> tuple[str, tuple[str, ...], dict[str, Payload]]:
    """Store what a function consists of that has no name, and carries much.

    Returns:
        The key of its pickle, the keys of its large buffers, and what is to be stored.
    """
    parts: dict[str, Payload] = {}
    keys = tuple(store_buffer(each, parts) for each in found.buffers)
    key = xxh3_128_hexdigest(found.data)
    parts[key] = _payload(found.data)
    return key, keys, parts


def store_buffer(buffer: memoryview, parts: dict[str, Payload]) -> str:
    """Enter a large buffer into what is to be stored. Returns its key."""
    key = xxh3_128_hexdigest(buffer)
    known = _blobs.get(key)
    if known is None:
        _blobs[key] = known = Segment.of([buffer])
    parts[key] = known
    return key


def _payload(data: bytes) -> Payload:
    return data if len(data) <= LARGE else Segment.of([data])


def _digest(kind: int, data: bytes, buffers: Iterable[str]) -> bytes:
    about = "".join(buffers).encode()
    return xxh3_128_digest(b"%d %d " % (kind, len(about)) + about + data)


def _compare(kind: int, again: Callable[[], Pickled], digest: bytes) -> Callable[[], bool]:
    """Return a check that pickles something again, and looks whether it has the same content."""

    def check() -> bool:
        found = again()
        return _digest(kind, found.data, map(xxh3_128_hexdigest, found.buffers)) == digest

    return check


def _together(parts: dict[str, frozenset[int]]) -> list[tuple[str, ...]]:
    """Put names together whose values have parts in common."""
    groups: list[tuple[list[str], set[int]]] = []
    for name, own in parts.items():
        names, all_parts = [name], set(own)
        apart = []
        for group in groups:
            if own and not own.isdisjoint(group[1]):
                names += group[0]
                all_parts |= group[1]
            else:
                apart.append(group)
        groups = [*apart, (names, all_parts)]
    return [tuple(sorted(names)) for names, _ in groups]


# -- what can change ------------------------------------------------------------------------


def _is_fixed(value: object) -> bool:
    """Tell whether an object cannot change as long as it is the same one."""
    kind = type(value)
    if kind in _FIXED:
        return True
    if kind is tuple or kind is frozenset:
        return all(map(_is_fixed, value))  # type: ignore[call-overload]
    if isinstance(value, type):
        return value.__module__ != mainmodule.MAIN or mainmodule.is_found(value)
    if isinstance(value, FunctionType):
        return value.__module__ != mainmodule.MAIN or mainmodule.is_found(value)
    return isinstance(value, (PurePath, Enum))


def _check_of(value: object) -> Callable[[], bool] | None:
    """Return a quick check of a function or class; None: its parts can change."""
    if isinstance(value, FunctionType):
        return _check_function(value)
    if isinstance(value, mainmodule.CACHED):
        return _check_function(value.__wrapped__)
    return _check_class(value) if type(value) is type else None


def _check_function(function: Any) -> Callable[[], bool] | None:
    if not isinstance(function, FunctionType) or not _has_fixed_parts(function):
        return None
    code, defaults, keywords = function.__code__, function.__defaults__, function.__kwdefaults__
    cells = [(cell, cell.cell_contents) for cell in function.__closure__ or () if _is_full(cell)]
    empty = [cell for cell in function.__closure__ or () if not _is_full(cell)]
    attributes = tuple(function.__dict__.items())

    def check() -> bool:
        return (
            function.__code__ is code
            and function.__defaults__ is defaults
            and function.__kwdefaults__ is keywords
            and all(cell.cell_contents is content for cell, content in cells)
            and not any(map(_is_full, empty))
            and tuple(function.__dict__.items()) == attributes
        )

    return check


def _is_full(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def _has_fixed_parts(function: FunctionType) -> bool:
    parts: list[object] = [*(function.__defaults__ or ()), *function.__dict__.values()]
    parts += [cell.cell_contents for cell in function.__closure__ or () if _is_full(cell)]
    return not function.__kwdefaults__ and all(map(_is_fixed, parts))


def _check_class(cls: type) -> Callable[[], bool] | None:
    attributes = dict(vars(cls))
    attributes.pop(_OF_PICKLE, None)
    for name, value in attributes.items():
        if name not in _UNCHANGED and not _is_fixed_attribute(value):
            return None
    bases, known = cls.__bases__, list(attributes.items())

    def check() -> bool:
        now = vars(cls)
        return (
            len(now) - (_OF_PICKLE in now) == len(known)
            and cls.__bases__ is bases
            and all(now.get(name) is value for name, value in known)
        )

    return check


def _is_fixed_attribute(value: object) -> bool:
    if isinstance(value, (staticmethod, classmethod)):
        value = value.__func__
    if isinstance(value, property):
        return all(map(_is_fixed_attribute, (value.fget, value.fset, value.fdel)))
    if isinstance(value, FunctionType):
        return _has_fixed_parts(value)
    return _is_fixed(value)


def _cannot(name: str, value: object, error: Exception) -> str:
    text = " ".join(str(error).split())
    return (
        f"{name!r} (a {type(value).__name__}) of the main program, to which the function refers, "
        f"cannot be sent to a worker: {type(error).__name__}: {text}"[:700]
    )
