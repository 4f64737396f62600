"""Plain HTML for notebooks: escaped, without scripts, so it stays as it is in the saved file."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from masterworker.data.record import printable
from masterworker.views import wording

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from masterworker.recorder.shapes import Snapshot
    from masterworker.views.progress.state import State

#: Rows of a table.
MOST: Final = 10
_LINE: Final = '<div style="font-family: monospace">'


def bar(state: State) -> str:
    """Return how a `map` stands: one line, and a bar where it is known how many there are."""
    settled, total = state.counts.settled, state.counts.total
    line = f"{_LINE}{text(state.line())}</div>"
    if not total:
        return line
    return f'{line}<progress value="{settled}" max="{total}" style="width: 30em"></progress>'


def job(label: str, snapshot: Snapshot) -> str:
    """Return how a job stands: a sentence, troubles, tags and failures."""
    found = [f"{_LINE}{text(wording.headline(label, snapshot))}"]
    if snapshot.asked:
        settled = snapshot.done + snapshot.failed + snapshot.cancelled
        found.append(
            f'<br><progress value="{settled}" max="{snapshot.asked}" style="width: 30em">'
            "</progress>"
        )
    found += [f"<br>{text(line)}" for line in (snapshot.note, *snapshot.troubles) if line]
    found.append("</div>")
    tags = sorted(snapshot.tags, key=lambda tag: tag.busy, reverse=True)
    found.append(
        table(
            ("tag", "waiting", "in hand", "done", "failed", "median"),
            [
                (
                    wording.name_of(tag.name),
                    *map(wording.number, (tag.waiting, tag.in_hand, tag.done, tag.failed)),
                    wording.time(tag.median) if tag.executed else "",
                )
                for tag in tags
                if tag.asked
            ],
        )
    )
    kinds = sorted(snapshot.failures, key=lambda kind: kind.number, reverse=True)
    found.append(
        table(
            ("failure", "times", "tasks"),
            [
                (
                    f"{kind.type}: {kind.text}" if kind.text else kind.type,
                    wording.number(kind.number),
                    ", ".join(map(wording.name_of, kind.tasks)),
                )
                for kind in kinds
            ],
        )
    )
    return "".join(found)


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Return a table of names and values."""
    rows = "".join(
        f'<tr><th style="text-align: left">{text(name)}</th>'
        f'<td style="text-align: left">{text(value)}</td></tr>'
        for name, value in pairs
    )
    return f"<table>{rows}</table>"


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; "" where it has no rows."""
    if not rows:
        return ""
    head = "".join(f"<th>{text(title)}</th>" for title in titles)
    lines = ["".join(f"<td>{text(cell)}</td>" for cell in row) for row in rows[:MOST]]
    if len(rows) > MOST:
        lines.append(f'<td colspan="{len(titles)}">and {len(rows) - MOST} more</td>')
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<table><tr>{head}</tr>{body}</table>"


def text(value: str) -> str:
    """Return a text that may come from anywhere, so that it is shown as it is."""
    return escape(printable(value[:1000]))
