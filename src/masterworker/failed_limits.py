"""Whether failed calls and records of jobs are kept, and how many calls: what masters ask first."""

from __future__ import annotations

import os

#: How many calls of a label are kept, and of how many labels.
KEPT_CALLS = 100
KEPT_LABELS = 50
#: At most this many bytes for all labels together, ...
KEPT_BYTES = 200 * 10**6
#: ... and none is kept for longer (seconds; 30 days).
KEPT_SECONDS = 30 * 86_400.0
#: Larger parameters are not kept (bytes).
LARGEST = 64 << 20

#: Words for no.
_NO = {"0", "no", "off", "false", "never", "none"}


def is_wanted() -> bool:
    """Return whether failed calls are kept at all: MASTERWORKER_KEEP_FAILED=0 says no."""
    return os.environ.get("MASTERWORKER_KEEP_FAILED", "").strip().lower() not in _NO


def records_are_wanted() -> bool:
    """Return whether it is kept how jobs stood last: MASTERWORKER_RECORDS=0 says no."""
    return os.environ.get("MASTERWORKER_RECORDS", "").strip().lower() not in _NO
