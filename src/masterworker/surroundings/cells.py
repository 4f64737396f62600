"""Notices in a notebook which modules have changed since the last cell, by whatever means.

What IPython calls *autoreload* changes functions and classes in place, and does not always load the
module again, so the import system knows nothing of it. Costs a look at the user's own modules for
each cell; elsewhere nothing.
"""

from __future__ import annotations

import contextlib
import os
import sys
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any
from weakref import WeakMethod

from masterworker.surroundings import folders

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

#: Values of these types are compared as they are; others only by what is done with them.
_PLAIN = (int, float, complex, str, bytes, type(None))


def watch(listener: Callable[[str], None]) -> Callable[[], None]:
    """Call something with the name of each module that has changed when a cell begins.

    Args:
        listener: A method. Whose it is may go meanwhile: it is not kept.

    Returns:
        What ends this.
    """
    python = sys.modules.get("IPython")
    shell = python.get_ipython() if python is not None else None
    if shell is None:
        return lambda: None
    return _Watch(shell.events, listener).end


class _Watch:
    def __init__(self, events: Any, listener: Callable[[str], None]) -> None:
        self._events = events
        self._listener = WeakMethod(listener)
        self._known = _describe_all()
        events.register("pre_run_cell", self._on_begin)
        events.register("post_run_cell", self._on_end)

    def end(self) -> None:
        """Look at nothing any more."""
        for event, call in (("pre_run_cell", self._on_begin), ("post_run_cell", self._on_end)):
            if call in self._events.callbacks[event]:
                self._events.unregister(event, call)

    def _on_begin(self, *_: object) -> None:
        before, self._known = self._known, _describe_all()
        listener = self._listener()
        if listener is None:
            self.end()
            return
        for name, (written, content) in self._known.items():
            last_written, last_content = before.get(name, (written, content))
            if written != last_written and content != last_content:
                listener(name)
            elif content == last_content:  # it was edited, and may be loaded later
                self._known[name] = last_written, content

    def _on_end(self, *_: object) -> None:
        """Be the last one again: what reloads modules may have come after us."""
        self._events.unregister("pre_run_cell", self._on_begin)
        self._events.register("pre_run_cell", self._on_begin)


def _describe_all() -> dict[str, tuple[int, list[Any]]]:
    """Describe the modules that are the user's own: when the file was written, what is in it."""
    found = {}
    for name, module in list(sys.modules.copy().items()):
        file = getattr(module, "__file__", None)
        if not isinstance(file, str) or folders.is_standard(file):
            continue
        if not name.startswith(("masterworker", "__")):
            with contextlib.suppress(OSError):
                found[name] = os.stat(file).st_mtime_ns, [*_describe(module)]
    return found


def _describe(module: ModuleType) -> Iterator[CodeType | tuple[str, Any]]:
    for name, value in list(vars(module).copy().items()):
        if isinstance(value, FunctionType):
            yield value.__code__
        elif isinstance(value, _PLAIN):
            yield name, value
        elif isinstance(value, type) and value.__module__ == module.__name__:
            for attribute, inner in list(vars(value).copy().items()):
                function = getattr(inner, "__func__", getattr(inner, "fget", inner))
                if isinstance(function, FunctionType):
                    yield function.__code__
                elif isinstance(function, _PLAIN):
                    yield attribute, function
