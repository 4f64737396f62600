"""Letting a journal forget outcomes, so that the next run executes their tasks again.

One group with the keys is added at the end, under the lock that masters take. It is whole or not
there, as each group, and needs neither the time nor the room of a second file, as rewriting would:
a journal may have gigabytes, and the disk may be full. `prune` leaves out what was forgotten.
"""

from __future__ import annotations

import os
from collections import defaultdict
from importlib.machinery import PathFinder
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from masterworker.core.task import RESULT
from masterworker.errors import JournalError, UsageError
from masterworker.journal import format as layout
from masterworker.journal.code import source_in
from masterworker.journal.file import cut, write_all
from masterworker.journal.reading import read
from masterworker.journal.records import Began, Code, Done, Forgot, keys_in
from masterworker.journal.upkeep import locked
from masterworker.named import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from masterworker.journal.records import Entry

#: A task can be named by this many digits of its key, or more.
FEWEST = 4


class Wanted(NamedTuple):
    """Which outcomes are to be forgotten: one of these is said."""

    #: The key of a task in hexadecimal digits, or how it begins.
    task: str = ""
    #: Those that are no results.
    failed: bool = False
    #: Those that were computed by code which is not what it is now.
    changed: bool = False


def forget(path: Path, key: bytes, wanted: Wanted) -> int:
    """Let a journal forget outcomes. Returns how many.

    Args:
        path: The journal.
        key: The user's.
        wanted: Which ones.

    Raises:
        JournalError: It cannot be read or written, or a master has it.
        UsageError: There is no such task, or more than one.
    """
    if wanted == Wanted():  # an empty text is no task, and by no means all of them
        raise UsageError("say what is to be forgotten: a task, --failed, or --changed")
    if wanted.task and len(wanted.task) < FEWEST:
        raise UsageError(f"a task needs {FEWEST} digits of its key at least")
    with locked(path) as (fd, view):
        contents = read(view, key)
        found = _chosen(
            lambda: chain.from_iterable(map(layout.records_of, contents.groups)), wanted
        )
        if wanted.task and len(found) != 1:
            number = "no outcome is" if not found else f"{len(found)} outcomes are"
            raise UsageError(
                f"{number} of a task whose key begins with {wanted.task[:40]!r}; `export` names all"
            )
        by_kind: dict[tuple[str, int], list[bytes]] = defaultdict(list)
        for each, about in found.items():
            by_kind[about].append(each)
        gone = [Forgot(b"".join(keys), *about) for about, keys in by_kind.items()]
        if not gone:
            return 0
        try:
            cut(fd, path, contents.end)
            _append(
                fd, contents.end, layout.write_group(gone, len(contents.groups), contents.keyed)
            )
        except OSError as error:
            raise JournalError(f"{path} cannot be written: {error.strerror}") from error
    return len(found)


# -- inside ---------------------------------------------------------------------------------


def _append(fd: int, end: int, parts: Sequence[bytes]) -> None:
    # What a killed master has left is on the disk before what follows it.
    os.fsync(fd)
    try:
        write_all(fd, parts, end)
        os.fsync(fd)
    except BaseException:
        os.ftruncate(fd, end)  # half a group is none
        raise


def _chosen(records: Callable[[], Iterable[Entry]], wanted: Wanted) -> dict[bytes, tuple[str, int]]:
    """Return which outcomes are to be forgotten: tag and kind of each, by the keys of their tasks.

    Args:
        records: Begins to read the journal.
        wanted: Which ones.
    """
    found: dict[bytes, tuple[str, int]] = {}
    codes = _Codes(records()) if wanted.changed else None
    for record in records():
        if isinstance(record, Forgot):
            _leave_out(found, record.keys)
            continue
        if codes is not None:
            codes.follow(record)
        if not isinstance(record, Done):
            continue
        if wanted.failed:
            is_meant = record.kind != RESULT
            if not is_meant:  # it was mended
                _leave_out(found, record.keys)
        else:
            is_meant = codes is None or codes.has_changed(record.tag)
        if is_meant:
            for key in keys_in(record.keys):
                if not wanted.task or key.hex().startswith(wanted.task.lower()):
                    found[key] = record.tag, record.kind
    return found


def _leave_out(found: dict[bytes, tuple[str, int]], keys: bytes) -> None:
    if found:
        for key in keys_in(keys):
            found.pop(key, None)


class _Codes:
    """What the source of functions was as their outcomes were computed, and what it is now.

    What it is now is read from the files of their modules, without executing any; of functions
    whose file is not found, it is the latest that the journal has.
    """

    def __init__(self, records: Iterable[Entry]) -> None:
        #: By the function's name, and then by its module.
        self._then: dict[str, dict[str, str]] = defaultdict(dict)
        self._now: dict[str, dict[str, str]] = defaultdict(dict)
        programs: list[str] = []
        latest: dict[str, str] = {}
        for record in records:
            if isinstance(record, Began):
                programs.append(record.program)
            elif isinstance(record, Code):
                latest[record.name] = record.text
        for name, text in latest.items():
            module, _, function = name.partition(":")
            sources = (source_in(file, function) for file in _files(module, programs))
            source = next((each for each in sources if each is not None), text)
            self._now[function][module] = source

    def follow(self, record: Entry) -> None:
        """A record follows."""
        if isinstance(record, Code):
            module, _, function = record.name.partition(":")
            self._then[function][module] = record.text

    def has_changed(self, tag: str) -> bool:
        """Return whether what is computed under a tag here is not what it would be now.

        Two functions of one name have one tag: then each counts.
        """
        then, now = self._then.get(tag[1:], {}), self._now.get(tag[1:], {})
        return tag.startswith("@") and any(now[module] != text for module, text in then.items())


def _files(module: str, programs: Iterable[str]) -> Iterator[Path]:
    """Yield where the source of a module may be. The latest program's comes first."""
    mains = [Path(program).absolute() for program in dict.fromkeys(reversed(list(programs)))]
    if module in {"__main__", "__mp_main__"}:
        yield from mains[:1]
        return
    places: Sequence[str] | None = [str(Path.cwd()), *[str(main.parent) for main in mains[:1]]]
    for last in (False, True):
        found = _find(module, None if last else places)
        if found is not None:
            yield found


def _find(module: str, places: Sequence[str] | None) -> Path | None:
    """Find the file of a module without importing what it is in."""
    name = ""
    for part in module.split("."):
        name = f"{name}.{part}" if name else part
        spec = PathFinder.find_spec(name, places)
        if spec is None:
            return None
        places = list(spec.submodule_search_locations or ())
    return None if spec is None or not spec.origin else Path(spec.origin)
