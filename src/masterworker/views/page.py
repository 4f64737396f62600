"""A job on one screen of text: what is shown, in how many lines. Colours are styles by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from masterworker.core.audit import times
from masterworker.named import NamedTuple
from masterworker.views import wording
from masterworker.views.tables import cut, table

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.recorder.shapes import Snapshot

#: A piece of text, and how it looks: "", "bold", "dim", "good", "bad", "busy".
Piece = tuple[str, str]
Line = list[Piece]

#: Workers that are shown: those that are silent, or at one task for longest.
SLOWEST: Final = 10
KEYS: Final = "q quit   1 tags  2 hosts  3 workers  4 failures  0 all   up/down scroll"


class View(NamedTuple):
    """What of it is shown."""

    #: Only this section, from this row on; 0: all of them.
    section: int = 0
    offset: int = 0
    #: What is to be said besides, such as that there is no answer.
    message: str = ""
    #: The last line says which keys there are.
    keys: bool = True


def page(label: str, snapshot: Snapshot, width: int, height: int, view: View) -> list[Line]:
    """Return the lines of a screen: no more than its height, none longer than its width."""
    headline = wrapped(cut(wording.headline(label, snapshot), 3 * width), width, ", ")
    lines: list[Line] = [[(cut(text, width), "bold")] for text in headline[:2]]
    lines.append(bar(snapshot, width))
    lines += [[(cut(text, width), style)] for text, style in remarks(snapshot, view, width)]
    keys: Line = [(cut(KEYS, width), "dim")]
    room = height - len(lines) - 1  # of which the last is for the keys, or for what follows
    chosen = SECTIONS if not view.section else [SECTIONS[view.section - 1]]
    parts = [section(snapshot, width, all_of_it=bool(view.section)) for section in chosen]
    parts = [part for part in parts if len(part) > 1]
    for part, share in zip(parts, shares([len(part) for part in parts], room), strict=True):
        shown = part if not view.section else [part[0], *part[1 + view.offset :]]
        lines += [[(text, "dim" if not n else "")] for n, text in enumerate(shown[:share])]
    if not view.keys or height < 2:
        return lines[: max(1, height - 1)]
    return [*lines[: height - 1], *([[("", "")]] * (height - 1 - len(lines))), keys]


def bar(snapshot: Snapshot, width: int) -> Line:
    """Return a bar of what is done, what has failed, and what is in workers' hands."""
    asked = max(1, snapshot.asked)
    parts = (
        (snapshot.done, "━", "good"),
        (snapshot.failed + snapshot.cancelled, "x", "bad"),
        (snapshot.in_hand, "╌", "busy"),
    )
    line: Line = []
    used = 0
    for number, sign, style in parts:
        places = min(width - used, -(-number * width // asked) if number else 0)
        used += places
        line.append((sign * places, style))
    return [*line, ("·" * (width - used), "dim")]


def remarks(snapshot: Snapshot, view: View, width: int) -> list[Piece]:
    """Return what is to be said besides numbers, in lines."""
    found: list[Piece] = []
    if view.message:
        found.append((view.message, "bad"))
    if snapshot.note:
        found.append((snapshot.note, ""))
    for trouble in snapshot.troubles[:3]:
        found += [(line, "bad") for line in wrapped(f"! {trouble}", width)[:3]]
    return found


def wrapped(text: str, width: int, between: str = " ") -> list[str]:
    """Break a text into lines, at what is between words."""
    first, *words = text.split(between)
    lines = [first]
    for word in words:
        if len(lines[-1]) + len(between) + len(word) > width:
            lines[-1] += between.rstrip()
            lines.append(word)
        else:
            lines[-1] += between + word
    return lines


def shares(wanted: list[int], room: int) -> list[int]:
    """Divide lines among sections: no more than one wants, and otherwise alike."""
    given = [0] * len(wanted)
    while room > 0:
        hungry = [n for n, want in enumerate(wanted) if given[n] < want]
        if not hungry:
            break
        for n in hungry[:room]:
            given[n] += 1
        room -= len(hungry)
    return given


# -- sections -----------------------------------------------------------------------------------


def tags(snapshot: Snapshot, width: int, *, all_of_it: bool) -> list[str]:
    """Return what is known of each tag, the one with most work first."""
    forecasts = {each.tag: wording.when(each) for each in snapshot.forecasts}
    ranked = sorted(snapshot.tags, key=lambda tag: tag.busy, reverse=True)
    rows = [
        (
            tag.name.removeprefix("@"),
            *map(wording.number, (tag.waiting, tag.in_hand, tag.done, tag.failed)),
            wording.number(tag.busy_workers),
            wording.time(tag.median),
            wording.time(tag.p99),
            forecasts.get(tag.name, "") if all_of_it or width >= 110 else "",
        )
        for tag in ranked
        if tag.asked
    ]
    titles = ("TAG", "waiting", "in hand", "done", "failed", "workers", "median", "99 %", "")
    return table(titles, rows, width, frozenset(range(1, 8))) if rows else []


def hosts(snapshot: Snapshot, width: int, *, all_of_it: bool) -> list[str]:  # noqa: ARG001
    """Return what is known of each host, the one with most workers first."""
    ranked = sorted(snapshot.hosts, key=lambda host: (host.workers, host.tasks), reverse=True)
    rows = [
        (
            host.name,
            *map(wording.number, (host.workers, host.lost, host.tasks)),
            wording.time(host.busy / host.tasks) if host.tasks else "",
            wording.time(host.busy),
            wording.memory(host.memory),
        )
        for host in ranked
    ]
    titles = ("HOST", "workers", "lost", "tasks", "mean", "busy", "memory")
    return table(titles, rows, width, frozenset(range(1, 7))) if rows else []


def workers(snapshot: Snapshot, width: int, *, all_of_it: bool) -> list[str]:
    """Return the workers that are silent, or at one task for longest."""
    rows = []
    for worker in wording.slowest(snapshot)[: None if all_of_it else SLOWEST]:
        since = wording.time(wording.at_it(worker, snapshot)) if worker.tag else ""
        what = worker.task or worker.tag
        if wording.is_silent(worker, snapshot):
            what = f"silent for {wording.time(snapshot.age - worker.heard)}; {what or 'idle'}"
        rows.append(
            (
                f"{worker.id}: {worker.info.partition(' (')[0]}",
                wording.number(worker.tasks),
                wording.time(worker.busy),
                wording.memory(worker.memory),
                since,
                what.removeprefix("@") or "idle",
            )
        )
    titles = ("WORKER", "tasks", "busy", "memory", "since", "is at")
    return table(titles, rows, width, frozenset(range(1, 5))) if rows else []


def failures(snapshot: Snapshot, width: int, *, all_of_it: bool) -> list[str]:
    """Return failures by kind, the most frequent first."""
    ranked = sorted(snapshot.failures, key=lambda kind: kind.number, reverse=True)
    rows = [
        (
            f"{kind.type}: {kind.text}" if kind.text else kind.type,
            times(kind.number),
            ", ".join(kind.tasks[: None if all_of_it else 1]).replace("@", ""),
            ", ".join(kind.hosts[: None if all_of_it else 2]),
        )
        for kind in ranked
    ]
    return table(("FAILURE", "", "tasks", "hosts"), rows, width, frozenset((1,))) if rows else []


SECTIONS: Final[list[Callable[..., list[str]]]] = [tags, hosts, workers, failures]
