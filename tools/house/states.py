"""Draws the tables of states that the machines of the conversation obey."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from masterworker.conversation import membership, numbered, waiting
from masterworker.conversation.worker import states
from masterworker.core import presence

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Table = Mapping[tuple[Any, Any], Any]

#: What is drawn: its title, and the table.
TABLES: Final[list[tuple[str, Table]]] = [
    ("A worker, as it sees itself", states.TRANSITIONS),
    ("A call that waits, as the manager sees it", waiting.TRANSITIONS),
    ("A numbered call, as the manager sees it", numbered.TRANSITIONS),
    ("A process that has joined, as the scheduler sees it", presence.TRANSITIONS),
    ("A process that comes again, as the manager sees it", membership.TRANSITIONS),
]


def draw_states() -> str:
    """Draw every table."""
    lines: list[str] = []
    for title, table in TABLES:
        lines += [title, "", *_rows(table), ""]
    return "```\n" + "\n".join(lines[:-1]) + "\n```"


def _rows(table: Table) -> Iterator[str]:
    """Yield each state, and what leads from it to which other."""
    kind = type(next(iter(table.values())))
    for state in kind:
        yield f"  {state.name:<11} {state.value}"
        for (before, event), after in table.items():
            if before is state:
                yield f"      {event.value + ' ':.<66}> {after.name}"
