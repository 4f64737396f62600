"""Notices that a module of this process has been loaded again: by `reload`, or as a new one.

The import system says so itself: it asks all finders for the module, also those that have none.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Final
from weakref import WeakMethod

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType


#: What has been loaded again since this process watches for that.
_again: Final[set[str]] = set()


class _Finder:
    """Finds nothing, and sees all searches for modules. Costs nothing but when there is one."""

    def __init__(self) -> None:
        self.listeners: list[WeakMethod[Callable[[str], None]]] = []
        #: They are told of each search for a module.
        self.searchers: list[WeakMethod[Callable[[str], None]]] = []
        self._loaded = set(sys.modules)
        self._last = ""

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,  # noqa: ARG002  as all finders
        target: ModuleType | None = None,
    ) -> None:
        """Take note of what is looked for. Only `importlib.reload` says what it is for."""
        if self._last in sys.modules:
            self._loaded.add(self._last)
        self._last = name
        for searcher in list(self.searchers):
            if (tell := searcher()) is not None:
                tell(name)
        if target is not None or name in self._loaded:
            _again.add(name)
            for listener in list(self.listeners):
                if (call := listener()) is not None:
                    call(name)


def loaded_again() -> frozenset[str]:
    """Return the names of modules that were loaded again while this process watched for that."""
    return frozenset(_again)


def changed_since(when: float) -> list[str]:
    """Return which modules of this process have files that were changed after a time.

    Also such as were moved there with an earlier date. Costs a look at each file.

    Args:
        when: Seconds since 1970.
    """
    found = []
    for name, module in sys.modules.copy().items():
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and name.partition(".")[0] != "masterworker":
            with contextlib.suppress(OSError, ValueError):
                if os.stat(file).st_ctime > when:
                    found.append(name)
    return found


def watch_searches(listener: Callable[[str], None]) -> None:
    """Call something, a method, with the name of a module that is looked for, before it is loaded.

    It is not kept, and called as long as `watch` watches.
    """
    finder = _finder()
    finder.searchers = [known for known in finder.searchers if known() is not None]
    finder.searchers.append(WeakMethod(listener))


def _finder() -> _Finder:
    found = next((each for each in sys.meta_path if isinstance(each, _Finder)), None)
    if found is None:
        found = _Finder()
        sys.meta_path.insert(0, found)
    return found


def watch(listener: Callable[[str], None]) -> Callable[[], None]:
    """Call something with the name of each module that is loaded again from now on.

    It is called in the thread that loads it, before that is done.

    Args:
        listener: A method. Whose it is may go meanwhile: it is not kept.

    Returns:
        What ends this.
    """
    finder = _finder()
    finder.listeners = [known for known in finder.listeners if known() is not None]
    weak = WeakMethod(listener)
    finder.listeners.append(weak)

    def end() -> None:
        if weak in finder.listeners:
            finder.listeners.remove(weak)
        if not finder.listeners and finder in sys.meta_path:
            sys.meta_path.remove(finder)
            finder.searchers.clear()

    return end
