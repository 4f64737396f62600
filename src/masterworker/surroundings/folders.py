"""The working directory, and where modules are imported from."""

from __future__ import annotations

import os
import re
import stat
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

#: What a folder of a Python installation or environment has in its path, as lib/python3.11.
_STANDARD: Final = re.compile(r"(?:^|/)python3(?:\.\d+t?|\d+\.zip)?(?:/|$)")


def here() -> str:
    """Return the working directory; "" if it has been removed."""
    try:
        return os.getcwd()
    except OSError:
        return ""


def as_bytes(text: str) -> bytes:
    """Encode the name of a file: it may have bytes that are no text."""
    return text.encode("utf-8", "surrogateescape")


def as_text(name: bytes) -> str:
    """Decode it."""
    return name.decode("utf-8", "surrogateescape")


def import_path(folder: str) -> list[str]:
    """Return `sys.path` without relative entries, which mean another folder elsewhere.

    Args:
        folder: The working directory.
    """
    return [os.path.join(folder, entry) if entry else folder for entry in _texts(sys.path)]


def _texts(entries: Sequence[object]) -> list[str]:
    return [entry for entry in entries if isinstance(entry, str)]  # as the import system does


def is_standard(path: str) -> bool:
    """Return whether a folder is part of a Python installation or environment."""
    return _STANDARD.search(path) is not None


def path_of_tool() -> list[str]:
    """Return where this process imports from, without the folder of its script.

    That is no project of the user's: the folder of `task_manager`, or the one where it was typed.
    But it may be where this package is, as for an application in one file.
    """
    path = import_path(here())
    home = os.path.abspath(os.path.join(__file__, *[os.pardir] * 3))
    if sys.flags.safe_path or not path or path[0] == home:
        return path
    return path[1:]


def standard_first(path: Sequence[str]) -> list[str]:
    """Put the folders of the Python installation before those of users."""
    return sorted(path, key=lambda entry: not is_standard(entry))


def owners(paths: Sequence[str]) -> list[int]:
    """Return the user ids that the folders among these belong to that are users' own."""
    found = set()
    for path in paths:
        if not is_standard(path):
            try:
                found.add(os.stat(path).st_uid)
            except OSError:
                continue
    return sorted(found)


def enter(folder: str, owners: Sequence[int], *, elsewhere: bool) -> str:
    """Go to the master's folder.

    Returns:
        Why not, in one line; "" if it worked.
    """
    if elsewhere and os.path.isdir(folder) and not is_believed(folder, owners):
        message = f"others can write to {folder} here, which is the master's folder"
    else:
        try:
            os.chdir(folder)
        except OSError:
            message = f"the master's folder {folder} does not exist here"
        else:
            return ""
    return f"{message}; staying in {_some_folder()}"


def merge_path(theirs: Sequence[str], owners: Sequence[int] | None = None) -> None:
    """Import from the master's folders as well, before and behind our own as they are there.

    Args:
        theirs: Its `sys.path`.
        owners: Only folders that no other user than these can fill; None: all.
    """
    front: list[str] = []
    back: list[str] = []
    standard = False
    for path in theirs:
        standard = standard or is_standard(path)
        if owners is not None and not is_believed(path, owners):
            continue
        if not standard:
            front.append(path)
        elif path not in sys.path and os.path.exists(path):
            back.append(path)
    sys.path[:] = [*front, *(path for path in _texts(sys.path) if path not in front), *back]


def add_missing(theirs: Sequence[str], owners: Sequence[int] | None) -> bool:
    """Import from those of the master's folders as well that we do not have, each in its place.

    Args:
        theirs: Its `sys.path`.
        owners: Only folders that no other user than these can fill; None: all.

    Returns:
        False: there are none.
    """
    at, before = len(sys.path), len(sys.path)
    for path in reversed(theirs):
        if path in sys.path:
            at = sys.path.index(path)
        elif owners is None or is_believed(path, owners):
            sys.path.insert(at, path)
    return len(sys.path) > before


def is_believed(path: str, owners: Sequence[int]) -> bool:
    """Return whether what is in a folder can be by us, the system, or its owner at the master only.

    Groups are believed: projects share folders in this way.
    """
    try:
        found = os.stat(path)
    except OSError:
        return False
    return found.st_uid in {os.getuid(), 0, *owners} and not found.st_mode & stat.S_IWOTH


def _some_folder() -> str:
    """Return the folder that this process is in; go somewhere if that one is gone as well."""
    if not here():
        import tempfile  # hardly ever needed, and slow to load

        os.chdir(tempfile.gettempdir())
    return here()
