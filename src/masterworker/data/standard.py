"""Pickling what the standard library makes of functions, and cannot pickle itself."""

from __future__ import annotations

import functools
import importlib
import operator
import struct
import sys
from types import FunctionType, ModuleType
from typing import Any

from masterworker.data import mainmodule, methods, rebuilding
from masterworker.data.proxies import reduce_proxy


def reduce_standard(obj: Any) -> tuple[Any, ...] | None:
    """Say how to pickle some things of the standard library that are not found by a name.

    A cached property has a lock (up to Python 3.11), a function with one implementation for each
    class a cache of weak references. Both are made anew where the pickle is opened, and so are
    formats of `struct`, the system's random numbers, and what `ctypes` makes of types and of
    libraries. Modules of a class of their own are imported, as all others are. Proxies of managers
    bring their key.

    Returns:
        As `pickle.Pickler.reducer_override`; None: it is none of these.
    """
    if isinstance(obj, type) and "_ctypes" in (type(obj).__module__, obj.__module__):
        return _of_ctypes(obj)
    if isinstance(obj, type) and (named := _under_another_name(obj)) is not None:
        return named
    if type(obj).__module__ == "ctypes":
        return _library(obj)
    if issubclass(type(obj), ModuleType):
        return _module(obj)
    if isinstance(obj, FunctionType) and obj.__globals__ is vars(functools):
        registry, first = getattr(obj, "registry", None), getattr(obj, "__wrapped__", None)
        if registry is not None and first is not None:
            others = [each for each in registry.items() if each[0] is not object]
            return (
                *(rebuilding.make_dispatching, (first,), others, None, None),
                rebuilding.register_all,
            )
    return _of_one_class(obj)


def _under_another_name(cls: type) -> tuple[Any, ...] | None:
    """Return how to find a class of a module that is there under another name: that of locks."""
    module = sys.modules.get(cls.__module__)
    if module is None or cls.__module__ in (mainmodule.MAIN, mainmodule.NAME):
        return None
    if "." in cls.__qualname__ or vars(module).get(cls.__qualname__) is cls:
        return None
    name = next((name for name, each in list(vars(module).items()) if each is cls), None)
    return None if name is None else (getattr, (module, name))


def _module(obj: ModuleType) -> tuple[Any, ...] | None:
    """Return how to import a module whose class is its own; cloudpickle knows the usual one only.

    Libraries give themselves such a class to load lazily, or to have properties (mpmath).
    """
    name = object.__getattribute__(obj, "__dict__").get("__name__")
    if type(obj) is ModuleType or name in (mainmodule.MAIN, mainmodule.NAME):
        return None
    found = isinstance(name, str) and sys.modules.get(name) is obj
    return (importlib.import_module, (name,)) if found else None


def _of_one_class(obj: Any) -> tuple[Any, ...] | None:
    if type(obj) is functools.cached_property:
        return rebuilding.make_cached_property, (obj.func, obj.attrname, obj.__doc__)
    if type(obj) is struct.Struct:
        return struct.Struct, (obj.format,)
    if (type(obj).__module__, type(obj).__name__) == ("random", "SystemRandom"):  # has no state
        return type(obj), ()
    if (proxy := reduce_proxy(obj)) is not None:
        return proxy
    if isinstance(obj, type):
        return None
    named = methods.by_name(obj)
    return of_array(obj) if named is obj else named.__reduce__()


def of_array(obj: Any) -> tuple[Any, ...] | None:
    """Say how to pickle an array of a subclass with its attributes, which NumPy leaves out.

    A class that says itself how its arrays are pickled is left alone. What maps a file comes as a
    copy, and without the mapping, as NumPy's own pickle has it.
    """
    kind = type(obj)
    bases = [each for each in kind.__mro__ if each.__module__ == "numpy"]
    array = next((each for each in bases if each.__name__ == "ndarray"), None)
    if array is None or kind is array:
        return None
    names = ("__reduce__", "__reduce_ex__", "__setstate__", "__getstate__")
    is_usual = all(getattr(kind, name, None) is getattr(array, name, None) for name in names)
    attributes = getattr(obj, "__dict__", None)
    if not is_usual or not attributes:
        return None
    if any(each.__name__ == "memmap" for each in bases):
        attributes = {name: each for name, each in attributes.items() if name != "_mmap"}
    make, args, state = obj.__reduce__()
    return make, args, (state, attributes), None, None, rebuilding.fill_array


def _of_ctypes(cls: Any) -> tuple[Any, ...] | None:
    """Return how to make the type of an array or a pointer, or to find a class of classes."""
    import ctypes  # it is loaded, since there is a class of it

    own = vars(cls)
    if "_type_" in own:
        if type(cls) is type(ctypes.Array):
            return operator.mul, (own["_type_"], own["_length_"])
        if type(cls) is type(ctypes._Pointer):
            return ctypes.POINTER, (own["_type_"],)
    for order, usual in (("__ctype_be__", "__ctype_le__"), ("__ctype_le__", "__ctype_be__")):
        if own.get(order) is cls and cls.__name__.endswith(order[-4:-2]):  # of another processor
            return getattr, (own[usual], order)
    known = ctypes.Structure, ctypes.Union, ctypes.Array, ctypes._Pointer, ctypes._SimpleCData
    return next(((type, (each,)) for each in known if type(each) is cls), None)


def _library(obj: Any) -> tuple[Any, ...] | None:
    """Return how to load a shared library again, with the types of its functions."""
    if type(obj).__name__ not in ("CDLL", "PyDLL"):
        return None
    functions = [
        (name, each.restype, each.argtypes)
        for name, each in vars(obj).items()
        if isinstance(each, obj._FuncPtr)
    ]
    return rebuilding.load_library, (type(obj), obj._name, functions)
