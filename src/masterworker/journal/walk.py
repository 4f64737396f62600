"""Walking through the file of a journal, group by group, also while a master writes it.

Of the file one group at a time is in memory, and nothing is locked. What is not whole yet at the
end is left out.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Self

from masterworker.errors import JournalError
from masterworker.journal import format as layout
from masterworker.journal.file import mapped, open_to_read
from masterworker.journal.reading import REPAIR, were_ahead
from masterworker.named import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    from masterworker.journal.records import Entry

#: No header is longer (bytes).
_HEADER = 1 << 16


class Position(NamedTuple):
    """Where a record is."""

    #: The number of its group, and which record of that it is.
    group: int
    record: int


class Walk:
    """A journal that is read from its begin, as often as is wanted. A context.

    Its end is where it is when this is made: what a master adds later is not looked at.

    Args:
        path: The journal.
        key: The user's.

    Raises:
        JournalError: It cannot be read, or is not this user's.
    """

    def __init__(self, path: Path, key: bytes) -> None:
        self._path = path
        self._fd = open_to_read(path)
        try:
            self._size = os.fstat(self._fd).st_size
            begin = memoryview(os.pread(self._fd, _HEADER, 0))
            self.header, self._begin = layout.read_header(begin, key)
        except JournalError as error:
            os.close(self._fd)
            raise JournalError(f"{path}: {error}") from None
        except BaseException:
            os.close(self._fd)
            raise
        self._keyed = layout.Keyed(key, self.header.journal)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        os.close(self._fd)

    def records(self) -> Iterator[tuple[Position, Entry]]:
        """Yield all records, each with its position.

        Raises:
            JournalError: It is damaged before its end.
        """
        at, number = self._begin, 0
        while (group := self._group(at)) is not None:
            if group.number != number:
                raise JournalError(
                    f"{self._path} is damaged at byte {at:,}: group {group.number} is where "
                    f"group {number} is to be. {REPAIR}"
                )
            for position, record in enumerate(layout.records_of(group)):
                yield Position(number, position), record
            at, number = at + len(group.body) + layout.AROUND, number + 1
        if at < self._size:
            self._look_behind(at, number)

    # -- inside -----------------------------------------------------------------------------

    def _group(self, at: int) -> layout.Group | None:
        """Read the group that begins somewhere; None: none does, or not a whole one."""
        size = layout.size_of_group(os.pread(self._fd, layout.AROUND, at))
        if size is None or at + size > self._size:
            return None
        return layout.read_group(memoryview(os.pread(self._fd, size, at)), 0, self._keyed)

    def _look_behind(self, at: int, number: int) -> None:
        """What is not whole is the end, and no damage before that."""
        view = mapped(self._fd)[: self._size]
        later = next(layout.groups_after(view, at, self._keyed), None)
        if later is None or later.begin == at:  # it has become whole meanwhile
            return
        if not were_ahead(layout.groups_after(view, at, self._keyed), number):
            raise JournalError(
                f"{self._path} is damaged at byte {at:,}: whole groups follow from byte "
                f"{later.begin:,} on. {REPAIR}"
            )
