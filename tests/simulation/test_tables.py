"""What happens in histories is what the tables of states say, and each line of one happens.

The machines raise an error for what has no line, so a history in which that happens fails. Here the
lines are counted that happen in some history: a line that never does would say nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from masterworker.conversation import membership, numbered, waiting
from masterworker.conversation.worker import session, states
from masterworker.core import member, presence
from simulation.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

#: Histories, at most: the search ends with the one that shows the last line.
SEEDS = 1_000

#: Each table, where its machine looks it up, and the lines that hardly one of 300 histories has.
#: A caller may do these things at any time, so they are played in `tests/unit/test_tables.py`, as
#: all are.
TABLES: list[tuple[ModuleType, ModuleType, str]] = [
    (
        waiting,
        waiting,
        "WAITS-ABANDONED ANSWERED-SERVED ANSWERED-ORDERED ANSWERED-ABANDONED ANSWERED-DROPPED",
    ),
    (numbered, numbered, "UNDER_WAY-ARRIVED UNWANTED-ARRIVED UNWANTED-GIVEN_UP KEPT-GIVEN_UP"),
    (
        presence,
        member,
        "ALONE-UNATTENDED UNEXPLAINED-CLOSED_BUSY UNEXPLAINED-CLOSED_IDLE",
    ),
    (membership, membership, "STRUCK-CROWDED_OUT"),
    (
        states,
        session,
        """OUTSIDE-BROKEN OUTSIDE-STOPPED MEMBER-RESIGNED CUT_OFF-BROKEN CUT_OFF-UNKNOWN
        CUT_OFF-RESIGNED CUT_OFF-SIGNED_OFF STOPPING-BROKEN STOPPING-UNKNOWN STOPPING-RESIGNED
        STRANDED-WELCOMED STRANDED-BROKEN STRANDED-UNKNOWN STRANDED-RESIGNED MEMBER-SIGNED_OFF
        STOPPING-STOPPED""",
    ),
]


class Counted(dict[Any, Any]):
    """A table that notes which of its lines were used."""

    def __init__(self, table: dict[Any, Any]) -> None:
        super().__init__(table)
        self.used: set[Any] = set()

    def __getitem__(self, line: Any) -> Any:
        self.used.add(line)
        return super().__getitem__(line)


@pytest.fixture(scope="module")
def used() -> Iterator[list[Counted]]:
    """The tables, with the lines that were used in some history."""
    with pytest.MonkeyPatch.context() as patch:
        tables = []
        for table, user, _ in TABLES:
            tables.append(Counted(table.TRANSITIONS))
            patch.setattr(user, "TRANSITIONS", tables[-1])
        for seed in range(SEEDS):
            World(seed).run()
            if not any(map(_missing, TABLES, tables)):
                break
        yield tables


def _missing(line: tuple[Any, Any, str], table: Counted) -> set[str]:
    """The lines of a table that are to happen, and have not."""
    unused = {f"{state.name}-{event.name}" for state, event in set(table) - table.used}
    return unused - set(line[2].split())


@pytest.mark.parametrize("number", range(len(TABLES)), ids=[t.__name__ for t, _, _ in TABLES])
def test_each_line_happens(number: int, used: list[Counted]) -> None:
    """And nothing else does, or the history had failed."""
    assert _missing(TABLES[number], used[number]) == set()
