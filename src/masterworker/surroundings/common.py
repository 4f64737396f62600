"""All of it together: captured in the master, and entered in a worker."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from masterworker.named import NamedTuple
from masterworker.surroundings import folders, installed, late, python, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Surroundings(NamedTuple):
    """What a worker takes over from its master's process. Plain data."""

    #: The working directory.
    folder: str
    #: `sys.path`, in its order, without relative entries.
    path: list[str]
    argv: list[str]
    #: User ids that the folders belong to on the master's machine.
    owners: list[int]
    #: Which Python installation the master runs in (`sys.prefix`).
    prefix: str
    #: Options of the interpreter that matter on every machine.
    options: list[str]
    #: What PYTHONHASHSEED is to be in all workers of the job; "": the master fills it in.
    hash_seed: str
    settings: settings.Settings
    #: Modules that it has imported, and workers may have from the start.
    libraries: list[str]

    def as_data(self) -> tuple[Any, ...]:
        """Make the form that can be stored: names of files need not be texts."""
        folder, path, argv, *others = self
        names = [list(map(folders.as_bytes, each)) for each in (path, argv)]
        return (folders.as_bytes(folder), *names, *others)


def capture(argv: list[str] | None = None) -> Surroundings:
    """Describe this process.

    Args:
        argv: What `sys.argv` is to be; None: as it is here.
    """
    folder = folders.here()
    path = folders.import_path(folder)
    return Surroundings(
        folder,
        path,
        list(map(str, sys.argv if argv is None else argv)),
        folders.owners([folder, *path]),
        sys.prefix,
        python.portable_options(),
        "",
        settings.capture(),
        installed.imported(),
    )


def of_data(stored: Iterable[Any]) -> Surroundings:
    """Read what `Surroundings.as_data` has made."""
    found = Surroundings(*stored)
    return found._replace(
        folder=folders.as_text(found.folder),  # type: ignore[arg-type]
        path=list(map(folders.as_text, found.path)),  # type: ignore[arg-type]
        argv=list(map(folders.as_text, found.argv)),  # type: ignore[arg-type]
        settings=settings.of_data(found.settings),
    )


def encode_import_path() -> bytes:
    """Describe where this process imports from, for a worker that misses something."""
    import msgspec  # a master begins without

    path = folders.import_path(folders.here())
    return msgspec.msgpack.encode(list(map(folders.as_bytes, path)))


def follow(theirs: Surroundings, fetch: Callable[[], bytes | None], *, elsewhere: bool) -> None:
    """Look for what is found nowhere in the folders that the master has added since.

    Args:
        theirs: The master's surroundings.
        fetch: Returns what `encode_import_path` says there; None: it cannot be asked.
        elsewhere: See `enter`.
    """

    def decoded() -> list[str] | None:
        found = fetch()
        if found is None:
            return None
        import msgspec

        return list(map(folders.as_text, msgspec.msgpack.decode(found, type=list[bytes])))

    late.look_for_late_folders(decoded, theirs.owners if elsewhere else None)


def enter(theirs: Surroundings, *, elsewhere: bool = False) -> str:
    """Make this process's surroundings those of the master, as far as they exist here.

    Args:
        theirs: The master's.
        elsewhere: The master is perhaps on another machine. What has the same name here may be
            another user's, so only folders that no other user can fill are entered and imported
            from.

    Returns:
        What differs, in one line; "" if nothing does.
    """
    message = folders.enter(theirs.folder, theirs.owners, elsewhere=elsewhere)
    if elsewhere:
        folders.merge_path(theirs.path, theirs.owners)
    elif theirs.prefix == sys.prefix:
        sys.path[:] = theirs.path
    else:
        folders.merge_path(theirs.path)
    sys.argv = list(theirs.argv)
    settings.enter(theirs.settings)
    return message
