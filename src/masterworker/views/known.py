"""What is known of a job, of which something is written: while it runs, or of its record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from masterworker.recorder.shapes import Snapshot
    from masterworker.recorder.spanned import Table


class Known(Struct, frozen=True):
    """How a job stands, or stood last, and all its spans."""

    label: str
    snapshot: Snapshot
    spans: Table
    #: When its record was saved (seconds since 1970), and which process its master was; None: the
    #: job is there.
    saved: float | None = None
    master: str = ""
