"""The module of the job's main program in this process, and how its definitions are found.

In the master it is the program itself. In a worker it is a module in its place: what the master's
functions refer to comes to live there, once, under its name (`definitions`), so that calls,
initializers and scripts share one set of globals. Its `__name__` is the one that `multiprocessing`
gives to the main program of its processes, so guards do not fire, and everything that is pickled
under either name finds it.
"""

from __future__ import annotations

import builtins
import functools
import sys
from types import FunctionType, ModuleType
from typing import Any, Final

#: The name of the main program in a process that does not execute it as the main program.
NAME: Final = "__mp_main__"
#: The name under which what it defines is pickled, on both sides.
MAIN: Final = "__main__"

#: What `functools.lru_cache` makes of a function. Pickle knows it by name only.
CACHED: Final = type(functools.lru_cache(len))

#: What a module has, whatever its program defines.
OF_MODULES: Final = frozenset(
    ("__name__", "__spec__", "__loader__", "__builtins__", "__package__", "__annotations__")
)


class _Main:
    """The main program of this process, of which there is one."""

    #: Its namespace, where that is not the one of the module `__main__`.
    elsewhere: dict[str, Any] | None = None


_main: Final = _Main()


def namespace() -> dict[str, Any]:
    """Return the globals of the main program in this process."""
    if _main.elsewhere is not None:
        return _main.elsewhere
    main = sys.modules.get(MAIN)
    return {} if main is None else main.__dict__


def live_in(module: ModuleType) -> None:
    """From now on the main program's definitions live in a module of their own."""
    _main.elsewhere = module.__dict__


def live_in_names(names: dict[str, Any]) -> None:
    """From now on the main program has these names; its module in this process is another one."""
    _take_the_place_of_main(names)


def look_for_script() -> None:
    """Find the script where a tool executes it: a profiler, a tracer, a debugger.

    Such a tool is the main program itself, and gives the script a namespace in which `__name__`
    says "__main__" as well. What is pickled under that name has to be found in the script.
    """
    main = sys.modules.get(MAIN)
    frame = sys._getframe(1)
    while frame is not None:
        found = frame.f_globals
        if found.get("__name__") == MAIN:
            if main is None or found is not main.__dict__:
                _take_the_place_of_main(found)
            return
        frame = frame.f_back  # type: ignore[assignment]


class _Script(ModuleType):
    """The module of a script whose namespace belongs to the tool that executes it."""

    def __getattr__(self, name: str) -> Any:
        try:
            return namespace()[name]
        except KeyError:
            raise AttributeError(f"the main program has no {name!r}") from None


def _take_the_place_of_main(script: dict[str, Any]) -> None:
    _main.elsewhere = script
    module = _Script(MAIN)
    for name in ("__file__", "__spec__", "__doc__"):
        module.__dict__[name] = script.get(name)
    sys.modules[MAIN] = sys.modules[NAME] = module


def put_in_place() -> dict[str, Any]:
    """Put an empty main program in the place of this process's own. Returns its namespace."""
    module = new()
    sys.modules[MAIN] = sys.modules[NAME] = module
    _main.elsewhere = None
    return module.__dict__


def new() -> ModuleType:
    """Make an empty module for the definitions of a main program."""
    module = ModuleType(NAME)
    module.__dict__["__builtins__"] = builtins  # where imports from C look for `__import__`
    del module.__dict__["__doc__"]  # it is the master's, if code refers to it
    return module


def find(qualname: str) -> Any:
    """Return what the main program has under a name.

    Raises:
        AttributeError: It has nothing there.
    """
    first, *others = qualname.split(".")
    try:
        found = namespace()[first]
    except KeyError:
        raise AttributeError(f"the main program has no {first!r} here") from None
    for name in others:
        found = getattr(found, name)
    return found


def own_name(obj: Any) -> str:
    """Return the name as which an object says that it is pickled; "" if it says none.

    So do types that `typing.NewType` has made, and marks of which there is one only.
    """
    reduce = type(obj).__reduce__
    if not isinstance(reduce, FunctionType) or getattr(obj, "__module__", None) != MAIN:
        return ""
    name = reduce(obj)
    return name if isinstance(name, str) and namespace().get(name) is obj else ""


def is_found(obj: Any) -> bool:
    """Return whether a class or function is found by its name in this process's main program."""
    if not isinstance(obj, (type, FunctionType, CACHED)):
        return False
    module = getattr(obj, "__module__", None)
    if module != MAIN and (obj.__qualname__ not in namespace() or _has(module, obj)):
        return False
    try:
        return find(obj.__qualname__) is obj
    except AttributeError:
        return False


def _has(module: object, obj: Any) -> bool:
    """Return whether a module has a class or function, which may only say so (`__module__`)."""
    found = sys.modules.get(module) if isinstance(module, str) else None
    return getattr(found, obj.__qualname__, None) is obj
