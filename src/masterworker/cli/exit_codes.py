"""What `task_manager` ends with. Scripts may rely on these numbers."""

from __future__ import annotations

from typing import Final

from masterworker.launch import exits

#: All went well; a worker ended because the job did, or because it was asked to leave.
OK: Final = 0
#: The slave program raised an exception (its traceback is on stderr), or something unexpected.
FAILED: Final = 1
#: The command line makes no sense.
USAGE: Final = 2
#: No such label, no such host, or nothing listens there.
NOT_FOUND: Final = 3
#: The master was there, and is gone.
MASTER_GONE: Final = exits.MASTER_GONE
#: The master refuses this worker: versions differ.
REJECTED: Final = 5
#: The master has stored no slave code.
NO_CODE: Final = 6
#: A key, certificate or ticket cannot be used, or is not accepted by one of the two sides.
NOT_TRUSTED: Final = 7
#: A worker process has executed as many tasks as it may: its supervisor starts a new one.
RECYCLED: Final = exits.RECYCLED
#: Ended by Ctrl-C.
INTERRUPTED: Final = 130
#: Ended by a second SIGTERM.
TERMINATED: Final = 143
