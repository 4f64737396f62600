"""Folders that the master imports from since a worker has begun: asked for when they are missed."""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING

from masterworker.surroundings import folders

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType


class _Finder:
    """Is asked last of all finders, when a module is nowhere.

    Args:
        fetch: Returns the master's `sys.path` of this moment; None: it cannot be asked.
        owners: See `folders.add_missing`.
    """

    def __init__(
        self, fetch: Callable[[], Sequence[str] | None], owners: Sequence[int] | None
    ) -> None:
        self._fetch, self._owners = fetch, owners
        self._asking = False

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Look in the master's new folders, if there are any."""
        if self._asking:  # what is needed to ask, or two threads
            return None
        self._asking = True
        try:
            theirs = self._fetch()
        finally:
            self._asking = False
        if theirs is None or not folders.add_missing(theirs, self._owners):
            return None
        return PathFinder.find_spec(name, path, target)


def look_for_late_folders(
    fetch: Callable[[], Sequence[str] | None], owners: Sequence[int] | None
) -> None:
    """From now on a module that is found nowhere is looked for where the master looks by now.

    Args:
        fetch: Returns its `sys.path` of this moment; None: it cannot be asked.
        owners: Only folders that no other user than these can fill; None: all.
    """
    sys.meta_path.append(_Finder(fetch, owners))
