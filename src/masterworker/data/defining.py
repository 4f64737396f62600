"""Pickling what the master sends, where it refers to the main program: by name, not by value.

A class or function that the main program has under its name travels as that name; which names a
pickle refers to is noted, so that the sender can see to it that they are there. What has no
name (lambdas, functions inside functions) travels by value, but its globals are those of the main
program in the worker, and not a copy of them.

This half makes the pickles; what rebuilds them is in `definitions`, which needs no cloudpickle.
"""

from __future__ import annotations

import copyreg
from enum import Enum
from functools import partial
from types import CellType, CodeType, FunctionType, MemberDescriptorType
from typing import TYPE_CHECKING, Any, TypedDict

import cloudpickle

from masterworker.data import definitions, enums, mainmodule, marks, rebuilding, sourcecode
from masterworker.data.fixed import names_of_objects
from masterworker.data.protocol import PROTOCOL
from masterworker.data.standard import reduce_standard

if TYPE_CHECKING:
    import io

    from masterworker.data.protocol import Keep


#: Returns the class that has come before, if it is the same one as in the master.
_same_class = cloudpickle.cloudpickle._lookup_class_or_track


class _Typed(TypedDict):
    """Shows what makes such classes."""


_OF_TYPED_DICTS = type(_Typed)


class Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
    """A pickler that refers to the main program's definitions by their names.

    Args:
        out: Where the pickle goes.
        keep: Says which buffers are a part of the pickle; None: all.
        itself: These classes and functions travel by value, since they are definitions of names.
        share: What functions and classes hold that is the value of a global, too, goes by the name
            of that.
        copies: Objects that modules have, too, are copied.
    """

    def __init__(
        self,
        out: io.BytesIO,
        keep: Keep | None,
        itself: tuple[Any, ...] = (),
        *,
        share: bool = False,
        copies: bool = False,
    ) -> None:
        super().__init__(out, PROTOCOL, buffer_callback=keep)
        self._main = mainmodule.namespace()
        self._copies = copies
        self._itself = {id(each): each for each in itself}
        self._inside = tuple(f"{each.__qualname__}." for each in itself if isinstance(each, type))
        #: By identity: the values of globals that functions and classes share with these.
        self._objects = names_of_objects() if share else {}
        #: Names in the main program that the pickle refers to, and that code in it does.
        self.parts: dict[str, None] = {}
        self.names: dict[str, None] = {}
        #: Names that only annotations refer to.
        self.hints: set[str] = set()
        #: Code in it may find names that it does not mention.
        self.looks_up = False
        #: Sources of the code in it.
        self.files: dict[str, None] = {}
        #: Variables of closures, by identity, which the functions' states fill.
        self._cells: dict[int, CellType] = {}
        #: Functions that remember their results are in it.
        self.has_caches = False

    def reducer_override(self, obj: Any) -> Any:
        """Say how to pickle what is not built in; see `pickle.Pickler`."""
        if isinstance(obj, CodeType):
            self.files[obj.co_filename] = None
            return rebuilding.load_code, (sourcecode.dump(obj),)
        if id(obj) in self._cells:
            return rebuilding.make_cell, ()
        if not isinstance(obj, (type, FunctionType, mainmodule.CACHED)):
            found = reduce_standard(obj) or self._named(obj)
            found = found or (not self._copies and marks.reduce_known(obj))
            return found or super().reducer_override(obj)
        if self._goes_by_name(obj):
            self.parts[obj.__qualname__.partition(".")[0]] = None
            return definitions.find, (obj.__qualname__,)
        return self._by_value(obj)

    def _named(self, obj: Any) -> Any:
        name = mainmodule.own_name(obj) or self._objects.get(id(obj))
        if not name:
            return None
        if id(obj) in self._itself:
            args = name, copyreg.__newobj__, (type(obj),)  # type: ignore[attr-defined]
            return rebuilding.begin, args, obj.__getstate__()
        self.parts[name] = None
        return definitions.find, (name,)

    def _by_value(self, obj: Any) -> Any:
        if isinstance(obj, FunctionType) and obj.__globals__ is self._main:
            return self._begun(obj, *self._function(obj))
        if isinstance(obj, mainmodule.CACHED) and obj.__module__ == mainmodule.MAIN:
            self.has_caches = True
            args = obj.cache_parameters(), obj.__wrapped__
            return self._begun(obj, rebuilding.make_cached, args)
        if (dispatching := reduce_standard(obj)) is not None:
            return self._begun(obj, *dispatching)
        reduced = super().reducer_override(obj)
        if isinstance(obj, type) and isinstance(reduced, tuple) and len(reduced) > 2:
            return self._class(obj, *reduced)
        return reduced

    def _goes_by_name(self, obj: Any) -> bool:
        if id(obj) in self._itself or not mainmodule.is_found(obj):
            return False
        return not obj.__qualname__.startswith(self._inside)

    def _begun(self, obj: Any, make: Any, args: tuple[Any, ...], *rest: Any) -> Any:
        """Let a definition be found by its name from the moment when it has been made."""
        if id(obj) not in self._itself or not mainmodule.is_found(obj) or "." in obj.__qualname__:
            return make, args, *rest
        return rebuilding.begin, (obj.__qualname__, make, args), *rest

    def _function(self, function: FunctionType) -> tuple[Any, ...]:
        code, cells = function.__code__, function.__closure__
        names = sourcecode.global_names(code)
        self.names.update(dict.fromkeys(names))
        self.hints |= sourcecode.annotation_names(function)
        if sourcecode.looks_names_up(code):
            self.looks_up = True
            self.hints.update(self._main)
        elif sourcecode.looks_for_subclasses(code):
            self.looks_up = True
            self.hints.update(name for name, each in self._main.items() if isinstance(each, type))
        values = [self._main.get(name) for name in names]
        contents = tuple(map(self._content, cells)) if cells is not None else None
        self._cells.update((id(cell), cell) for cell in cells or ())
        filled = zip(cells or (), contents or (), strict=True)
        values += [cell.cell_contents for cell, content in filled if content]
        defaults, keywords = function.__defaults__, function.__kwdefaults__
        state = {
            "__name__": function.__name__,
            "__qualname__": function.__qualname__,
            "__doc__": function.__doc__,
            "__defaults__": defaults and tuple(map(self._shared, defaults)),
            "__kwdefaults__": keywords and self._all_shared(keywords),
            "__annotations__": function.__annotations__,
        }
        if function.__module__ != mainmodule.MAIN:  # as a rule it is, and need not be said
            state["__module__"] = function.__module__
        parts = (
            self._all_shared(function.__dict__),
            state,
            contents,
            sourcecode.submodules(code, values),
        )
        return rebuilding.make_function, (code, cells), parts, None, None, rebuilding.fill_function

    def _content(self, cell: Any) -> tuple[Any, ...]:
        """Return what is in a variable of a closure: one value, or nothing yet."""
        try:
            return (self._shared(cell.cell_contents),)
        except ValueError:
            return ()

    def _all_shared(self, values: dict[str, Any]) -> dict[str, Any]:
        return {name: self._shared(value) for name, value in values.items()}

    def _shared(self, value: Any) -> Any:
        """Return what is pickled for a value that a function or class holds.

        Lists and the like have to be looked for here, since the pickler asks nothing about them.
        """
        name = self._objects.get(id(value))
        if name is None:
            return value
        self.parts[name] = None
        return definitions.ByName(name)

    def _class(self, cls: type, make: Any, args: Any, state: Any, *rest: Any) -> Any:
        self.hints |= sourcecode.annotation_names(cls)
        attributes, more = state
        *nothing, fill = rest
        rest = (*nothing, partial(rebuilding.fill_class, fill))
        attributes.pop("__slotnames__", None)  # a note of pickle's own
        if issubclass(cls, Enum):
            return self._enum(cls, args, attributes, more, *rest)
        maker = _maker_of(type(cls))
        kind = type(cls) if maker is None else partial(rebuilding.new_class, maker, type(cls))
        if issubclass(cls, tuple) and "_fields" in attributes:  # not by `typing` once more
            args = kind, cls.__name__, cls.__bases__, *args[3:]
        elif maker is not None:  # with the bases that it has, which a TypedDict does not give
            args = kind, args[1], cls.__bases__, *args[3:]
        namespace = args[3]
        namespace["__qualname__"] = cls.__qualname__
        if any(each.__module__ == "_ctypes" for each in type(cls).__mro__):
            _lay_out(attributes, namespace)
        if "__slots__" in attributes:  # a class has them from the beginning, or not at all
            namespace["__slots__"] = attributes.pop("__slots__")
        for name, value in tuple(attributes.items()):
            if isinstance(value, MemberDescriptorType) and value.__objclass__ is cls:
                del attributes[name]  # of private slots; the class makes it anew
        if self._objects:
            attributes.update(self._all_shared(attributes))
        parts = make, args, cls.__bases__
        return self._begun(cls, rebuilding.make_class, parts, (attributes, more), *rest)

    def _enum(
        self, cls: type[Enum], args: Any, attributes: dict[str, Any], more: Any, *rest: Any
    ) -> Any:
        about, track = (cls.__module__, cls.__qualname__), partial(_same_class, args[5])
        made_of = cls.__name__, cls.__bases__, enums.members_of(cls), about, track
        state = enums.state_of(cls, attributes), more
        *nothing, fill = rest
        return self._begun(
            *(cls, rebuilding.make_class, (enums.make_enum, made_of, cls.__bases__)),
            *((fill, state, enums.attributes_of(cls)), *nothing, enums.fill_enum),
        )


def _maker_of(kind: type) -> type | None:
    """Return which class has what makes classes of a metaclass of the main program.

    None: the metaclass itself, which is not of the main program.
    """
    if kind.__module__ != mainmodule.MAIN and kind is not _OF_TYPED_DICTS:
        return None
    others = (each for each in kind.__mro__ if each.__module__ != mainmodule.MAIN)
    return next(each for each in others if each is not _OF_TYPED_DICTS)


def _lay_out(attributes: dict[str, Any], namespace: dict[str, Any]) -> None:
    """Let a class of `ctypes` have its fields from the beginning: they make its layout."""
    for name, value in tuple(attributes.items()):
        if type(value).__name__ == "CField":
            del attributes[name]
    for name in ("_fields_", "_pack_", "_anonymous_", "_layout_", "_align_", "_type_", "_length_"):
        if name in attributes:
            namespace[name] = attributes.pop(name)
