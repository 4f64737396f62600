"""What the processes of a job say to each other: names of calls, shapes, versions.

Everything here becomes plain values (integers, strings, bytes, lists, None): parameters, results
and exceptions are opaque bytes, and large ones travel beside the message. Requests and replies are
decoded into their declared shapes (`operations`), so what comes in is checked before anything is
done. Change a shape, and `PROTOCOL` must change with it.
"""

from masterworker.wire.enclosures import Enclosures
from masterworker.wire.hello import introduce, judge, python_version
from masterworker.wire.operations import OPERATIONS, Shapes, check, read_reply
from masterworker.wire.records import (
    Asker,
    Attendance,
    Collect,
    Collected,
    Ending,
    Exchange,
    Hello,
    Order,
    Reply,
    Still,
    Submission,
    SupervisorOrder,
    Usage,
    Welcome,
    number_of_run,
)
from masterworker.wire.refusals import decode_error, encode_error
from masterworker.wire.vocabulary import *  # noqa: F403  all of it belongs to the language

__all__ = [
    "OPERATIONS",
    "Asker",
    "Attendance",
    "Collect",
    "Collected",
    "Enclosures",
    "Ending",
    "Exchange",
    "Hello",
    "Order",
    "Reply",
    "Shapes",
    "Still",
    "Submission",
    "SupervisorOrder",
    "Usage",
    "Welcome",
    "check",
    "decode_error",
    "encode_error",
    "introduce",
    "judge",
    "number_of_run",
    "python_version",
    "read_reply",
]
