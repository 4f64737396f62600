"""What programs say about a journal, checked; and where it is if only the environment says so."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Final, cast, get_args

from masterworker.errors import UsageError
from masterworker.journal.journal import Journal, Settings
from masterworker.journal.writing import Mode

#: A folder: programs that are not to be changed have their journals there.
VARIABLE: Final = "MASTERWORKER_JOURNAL"
CHANGED: Final = ("stop", "use", "recompute")
FAILURES: Final = ("retry", "keep")


def open_journal(path: Any, mode: Any, failures: Any, changed: Any, label: str) -> Journal:
    """Open the journal of a job.

    Args:
        path: Of the file; None: it is in the folder that the environment names.
        mode: See `Master`.
        failures: See `Master`.
        changed: See `Master`.
        label: Of the job; "" where it has none.

    Raises:
        JournalError: It cannot be used; says why.
        UsageError: Says what can be given.
    """
    if mode not in get_args(Mode):
        raise UsageError(f'journal_mode must be "disk" or "relaxed", not {mode!r}')
    if failures not in FAILURES:
        raise UsageError(f'journal_failures must be "retry" or "keep", not {failures!r}')
    if changed not in CHANGED:
        raise UsageError(f'journal_changed must be "stop", "use" or "recompute", not {changed!r}')
    if path is None:
        path = _place_of(label)
    elif not isinstance(path, (str, os.PathLike)) or not os.fspath(path):
        raise UsageError(f"journal must be the path of a file, not {path!r}")
    place = Path(os.fsdecode(os.fspath(path))).expanduser().absolute()
    return Journal(Settings(place, cast("Mode", mode), failures == "keep", changed))


def _place_of(label: str) -> Path:
    """Return where the journal of a job is that does not say so itself."""
    name = label or Path(sys.argv[0] or "python").stem
    safe = "".join(c if c.isalnum() or c in "-_." else f"%{ord(c):x}" for c in name)
    return Path(os.environ[VARIABLE]) / f"{safe}.journal"
