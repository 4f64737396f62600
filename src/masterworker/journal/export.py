"""The outcomes of a journal in a file for other programs: CSV, JSON or Parquet, by its ending."""

from __future__ import annotations

import contextlib
import csv
import json
import os
from datetime import UTC, datetime
from importlib import import_module
from itertools import islice
from typing import IO, TYPE_CHECKING, Any, Final

from masterworker.data.cells import harmless
from masterworker.errors import UsageError
from masterworker.journal.aside import LargeFiles, folder_of
from masterworker.journal.plainly import LONGEST
from masterworker.journal.rows import RESULT, Row, rows
from masterworker.journal.walk import Walk
from masterworker.journal.watched import looking_away
from masterworker.machine import random_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

#: This many rows are written to a Parquet file at a time, ...
AT_ONCE: Final = 5000
#: ... or as many as have this many characters.
MOST_TEXT: Final = 16 << 20
#: Python's own reader refuses a CSV file in which any cell is longer (characters).
LONGEST_CELL: Final = 131_072


def export(path: Path, key: bytes, out: Path) -> int:
    """Write the outcomes that count into a file, which is there as a whole or not at all.

    Takes some 20 us for each, and the memory of one group. The values are unpickled, of which
    each has passed its check; classes that cannot be imported here are said to be so.

    Args:
        path: The journal; a master may write it meanwhile.
        key: The user's.
        out: The file; one that is there is replaced.

    Returns:
        How many rows were written.

    Raises:
        JournalError: The journal cannot be read, or is damaged before its end.
        UsageError: The file cannot be written; or its ending is unknown, or a library is missing.
    """
    write = _WRITERS.get(out.suffix.lower())
    if write is None:
        known = ", ".join(_WRITERS)
        raise UsageError(f"{out.name}: the ending says what is written, and must be one of {known}")
    if out.exists() and path.exists() and out.samefile(path):
        raise UsageError(f"{out} is the journal itself: name another file")
    if write is _write_parquet:
        _parquet()
    large = LargeFiles(folder_of(path), key)
    with Walk(path, key) as walk, looking_away():
        part = out.with_name(f"{out.name}.{random_name()[:8]}.part")
        try:
            with part.open("xb") as file:
                number = write(file, rows(walk, large))
                file.flush()
                os.fsync(file.fileno())
            part.replace(out)
        except OSError as error:
            raise UsageError(f"{out} cannot be written: {error.strerror}") from error
        finally:
            with contextlib.suppress(OSError):
                part.unlink()
    return number


def _write_csv(file: IO[bytes], found: Iterator[Row]) -> int:
    number = 0
    with _as_text(file) as text:
        writer = csv.writer(text)
        writer.writerow(Row._fields)
        for row in found:
            number += 1
            writer.writerow([_cell(each) for each in row._replace(time=_when(row))])  # type: ignore[arg-type]
    return number


def _cell(value: Any) -> Any:
    """Return what goes into a cell. Numbers stay what they are: also those below zero."""
    if value is None or isinstance(value, (int, float)):
        return value
    text = harmless(value if isinstance(value, str) else _json(value))
    if len(text) > LONGEST_CELL:
        text = f"{text[:LONGEST]}... ({len(text):,} characters)"
    return text


def _write_json(file: IO[bytes], found: Iterator[Row]) -> int:
    number = 0
    for row in found:
        file.write(b",\n" if number else b"[\n")
        file.write(_json(row._asdict() | {"time": _when(row)}).encode())
        number += 1
    file.write(b"\n]\n" if number else b"[]\n")
    return number


def _write_parquet(file: IO[bytes], found: Iterator[Row]) -> int:
    arrow, parquet = _parquet()
    text, when = arrow.string(), arrow.timestamp("us", tz="UTC")
    kinds = dict.fromkeys(Row._fields, text) | {"attempts": arrow.int64(), "time": when}
    schema = arrow.schema(list(kinds.items()))
    number = 0
    with parquet.ParquetWriter(file, schema) as writer:
        while some := list(_some(found)):
            number += len(some)
            columns = dict(zip(Row._fields, map(list, zip(*some, strict=True)), strict=True))
            columns["time"] = [datetime.fromtimestamp(when, UTC) for when in columns["time"]]
            writer.write_table(arrow.table(columns, schema=schema))
    return number


def _some(found: Iterator[Row]) -> Iterator[Row]:
    """Yield rows, whose values are JSON, until they have many characters."""
    size = 0
    for row in islice(found, AT_ONCE):
        result = _json(row.result) if row.state == RESULT else None
        written = row._replace(parameters=_json(row.parameters), result=result)
        yield written
        size += len(row.failure) + len(written.parameters) + len(result or "")
        if size > MOST_TEXT:
            return


def _parquet() -> tuple[Any, Any]:
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as error:
        raise UsageError(
            f"Parquet needs pyarrow, which is not here ({error}): "
            "pip install 'masterworker[parquet]'; CSV and JSON need nothing"
        ) from None


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _when(row: Row) -> str:
    return datetime.fromtimestamp(row.time, UTC).isoformat()


@contextlib.contextmanager
def _as_text(file: IO[bytes]) -> Iterator[Any]:
    import io

    text = io.TextIOWrapper(file, "utf-8", newline="")
    yield text
    text.detach()


_WRITERS: Final[dict[str, Callable[[IO[bytes], Iterator[Row]], int]]] = {
    ".csv": _write_csv,
    ".json": _write_json,
    ".parquet": _write_parquet,
}
