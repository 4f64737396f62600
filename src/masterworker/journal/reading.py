"""Reading a journal from its begin, and what to make of one whose end is not whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from masterworker.errors import JournalError
from masterworker.journal.format import (
    Group,
    Keyed,
    groups_after,
    read_group,
    read_header,
    records_of,
)
from masterworker.journal.records import Behind
from masterworker.named import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from masterworker.journal.records import Header


class Contents(NamedTuple):
    """What is in a journal."""

    header: Header
    keyed: Keyed
    groups: list[Group]
    #: Where the last whole group ends; what follows is torn.
    end: int

    @property
    def behind(self) -> list[Group]:
        """The groups that are perhaps only in the cache of the system, with what they refer to."""
        if not self.groups:
            return []
        first = next(iter(records_of(self.groups[-1])), None)
        return self.groups[first.flushed if isinstance(first, Behind) else -1 :]


def read(data: memoryview, key: bytes) -> Contents:
    """Look through a whole journal. Nothing is opened whose check fails.

    Args:
        data: The file.
        key: The user's.

    Raises:
        JournalError: It is none, not this user's, or damaged before its end.
    """
    header, at = read_header(data, key)
    keyed = Keyed(key, header.journal)
    groups: list[Group] = []
    for group in _whole(data, at, keyed):
        if group.number != len(groups):
            raise JournalError(
                f"group {group.number} is where group {len(groups)} is to be, at byte "
                f"{group.begin:,}: a part was left out, or put elsewhere. {REPAIR}"
            )
        groups.append(group)
        at = group.end
    later = next(groups_after(data, at, keyed), None)
    if later is not None and not were_ahead(groups_after(data, at, keyed), len(groups)):
        raise JournalError(
            f"it is damaged at byte {at:,}: whole groups follow from byte {later.begin:,} on. "
            f"{REPAIR}"
        )
    return Contents(header, keyed, groups, at)


#: What to do with a file that is damaged inside.
REPAIR = (
    "`task_manager journal FILE check` says what can be saved, and `prune NEW` saves that "
    "in a new file"
)


def were_ahead(later: Iterator[Group], number: int) -> bool:
    """Return whether groups that follow damage were written before it was on the disk, all of them.

    A system that crashes may leave those and not what is before them: the end is torn.

    Args:
        later: The groups that follow.
        number: Of the first one that is not there.
    """
    for group in later:
        first = next(iter(records_of(group)), None)
        if not isinstance(first, Behind) or first.flushed > number:
            return False
    return True


def _whole(data: memoryview, at: int, keyed: Keyed) -> Iterator[Group]:
    while (group := read_group(data, at, keyed)) is not None:
        yield group
        at = group.end
