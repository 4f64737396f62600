"""What pickles of functions and classes call when they are opened; see `defining`.

It is loaded by each worker, so it needs little.
"""

from __future__ import annotations

import functools
import importlib
import linecache
import marshal
from types import CellType, CodeType, FunctionType
from typing import TYPE_CHECKING, Any

from masterworker.data import mainmodule

if TYPE_CHECKING:
    from collections.abc import Callable


def load_code(data: bytes) -> CodeType:
    """Rebuild code."""
    found = marshal.loads(data)  # noqa: S302  a part of a pickle, which is as trusted
    assert isinstance(found, CodeType)  # noqa: S101  for the type checker
    return found


def show_source(filename: str, text: str) -> None:
    """Let tracebacks, debuggers and `inspect` of this process find the text of a source."""
    lines = text.splitlines(keepends=True)
    linecache.cache[filename] = len(text), None, lines, filename


def make_function(code: CodeType) -> FunctionType:
    """Begin to rebuild a function, whose globals are those of the main program."""
    closure = tuple(CellType() for _ in code.co_freevars) if code.co_freevars else None
    return FunctionType(code, mainmodule.namespace(), None, None, closure)


def fill_function(function: FunctionType, told: tuple[Any, ...]) -> None:
    """Finish what `make_function` has begun."""
    attributes, state, contents, modules = told
    function.__dict__.update(attributes)
    function.__module__ = mainmodule.MAIN
    for name, value in state.items():
        setattr(function, name, value)
    for cell, content in zip(function.__closure__ or (), contents or (), strict=True):
        if content:
            (cell.cell_contents,) = content
    for name in modules:
        importlib.import_module(name)


def make_cached(parameters: dict[str, Any], function: Callable[..., Any]) -> Any:
    """Rebuild what `functools.lru_cache` has made: each process has a cache of its own."""
    return functools.lru_cache(**parameters)(function)


def begin(name: str, make: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    """Begin to rebuild a definition, which may refer to itself by its name."""
    made = make(*args)
    mainmodule.namespace()[name] = made
    return made
