"""The report of a job: one file, of the kind that its ending says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from masterworker.errors import UsageError
from masterworker.views.export import write_csv, write_json
from masterworker.views.files import written
from masterworker.views.html import write_html

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from masterworker.views.known import Known

_WRITERS: Final[dict[str, Callable[[Known, BinaryIO], None]]] = {
    ".html": write_html,
    ".json": write_json,
    ".csv": write_csv,
}
ENDINGS: Final = "|".join(_WRITERS)


def check(out: str) -> None:
    """Look whether a report could be of this name.

    Raises:
        UsageError: Its ending is unknown.
    """
    if Path(out).suffix.lower() not in _WRITERS:
        raise UsageError(
            f"{out}: the ending says what is written, and must be one of {', '.join(_WRITERS)}"
        )


def save(known: Known, out: str) -> None:
    """Write a report; the file is there as a whole, or not at all.

    Args:
        known: The job.
        out: Its path. A file that is there is replaced.

    Raises:
        UsageError: It cannot be written; says why.
    """
    check(out)
    with written(out) as file:
        _WRITERS[Path(out).suffix.lower()](known, file)
