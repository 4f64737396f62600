"""What is known of a job as a file for other programs: JSON, or a table as CSV."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from msgspec import to_builtins

from masterworker.data.cells import harmless
from masterworker.data.record import printable
from masterworker.views.tracks import names_of
from masterworker.views.wording import name_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from masterworker.views.known import Known

#: Columns of the table; `kind` says of what a row is, and what is not known of it is empty.
COLUMNS: Final = (
    *("kind", "tag", "host", "worker", "name", "begin", "end", "asked", "executed", "done"),
    *("failed", "cancelled", "lost", "busy", "mean", "median", "p99", "memory", "cpu", "text"),
)
#: Longest text of a cell (characters).
_TEXT: Final = 1000
#: Spans that are written into the file at a time.
_SOME: Final = 5000


def write_json(known: Known, file: BinaryIO) -> None:
    """Write all that is known: the snapshot, and the spans as columns."""
    about = {
        "label": known.label,
        "saved": known.saved,
        "master": known.master,
        "snapshot": to_builtins(known.snapshot),
    }
    file.write(json.dumps(about)[:-1].encode())
    file.write(b', "spans": [')
    some: list[str] = []
    number = 0
    for span in known.spans:
        some.append(json.dumps(to_builtins(span)))
        if len(some) >= _SOME:
            file.write((",\n" if number else "\n").encode() + ",\n".join(some).encode())
            number, some = number + len(some), []
    if some:
        file.write((",\n" if number else "\n").encode() + ",\n".join(some).encode())
    file.write(b"]}\n")


def write_csv(known: Known, file: BinaryIO) -> None:
    """Write one table of tags, hosts, workers, failures and spans."""
    text = io.TextIOWrapper(file, "utf-8", newline="")
    try:
        writer = csv.DictWriter(text, COLUMNS)
        writer.writeheader()
        for row in rows(known):
            writer.writerow({name: _cell(value) for name, value in row.items()})
    finally:
        text.detach()


def rows(known: Known) -> Iterator[dict[str, Any]]:
    """Yield the rows of the table. Times are seconds since the job began."""
    snapshot = known.snapshot
    for tag in snapshot.tags:
        names = ("asked", "executed", "done", "failed", "cancelled", "busy", "mean", "median")
        figures = {name: getattr(tag, name) for name in (*names, "p99")}
        yield {"kind": "tag", "tag": name_of(tag.name), **figures}
    for host in snapshot.hosts:
        about = {"executed": host.tasks, "lost": host.lost, "busy": host.busy}
        yield {"kind": "host", "host": host.name, **about, "memory": host.memory, "cpu": host.cpu}
    for worker in snapshot.worker_list:
        place = {"host": worker.host, "worker": worker.id, "name": worker.info}
        times = {"begin": worker.joined, "end": worker.left}
        about = {"executed": worker.tasks, "busy": worker.busy, "memory": worker.memory}
        yield {"kind": "worker", **place, **times, **about, "cpu": worker.cpu}
    for failure in snapshot.failures:
        times = {"begin": failure.first, "end": failure.last}
        texts = {
            "tag": name_of(failure.tag),
            "name": failure.type,
            "host": ", ".join(failure.hosts),
        }
        number = {"failed": failure.number}
        yield {"kind": "failure", **texts, **times, **number, "text": failure.text}
    names_by_id = names_of(known)
    for span in known.spans:
        name = names_by_id.get(span.worker, "")
        texts = {"kind": "span", "tag": name_of(span.tag), "host": span.host, "name": name}
        times = {"begin": round(span.begin, 6), "end": round(span.end, 6)}
        figures = {"worker": span.worker, "executed": span.tasks, "busy": round(span.busy, 6)}
        yield {**texts, **times, **figures}


def _cell(value: Any) -> Any:
    """Return what goes into a cell: numbers as they are, texts so that they do no harm."""
    if value is None or isinstance(value, (int, float)):
        return value
    return harmless(printable(str(value)[:_TEXT]))
