"""What a supervisor and its template say to each other, one message at a time."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from masterworker.launch.preload import Preload

#: A longer message is not sent: environments and import paths are rarely a tenth of it.
LONGEST: Final = 1 << 17
#: A longer program is not sent: the worker asks its master for it.
LONGEST_PROGRAM: Final = 1 << 15
#: Workers that a template forks in a row.
MOST_AT_ONCE: Final = 8
#: File descriptors that come with a request, in this order: the folder, stdout, stderr, the
#: scoreboard, and the ticket if there is one.
MOST_FDS: Final = 5
#: The numbers that the last two have in each worker.
BOARD_FD: Final = 3
TICKET_FD: Final = 4

#: How replies begin.
READY: Final = b"ready"
FORKED: Final = b"forked "
FAILED: Final = b"failed "
#: The template cannot be forked, and ends.
UNFIT: Final = b"unfit "


def request(command: Sequence[str], environment: Mapping[str, str], program: bytes = b"") -> bytes:
    """Ask for a worker.

    Args:
        command: What would start it as a program of its own.
        environment: Its variables.
        program: What its master has stored for it at this moment; b"": it is to ask.
    """
    if len(program) > LONGEST_PROGRAM:
        program = b""
    variables = [f"{name}={value}" for name, value in environment.items()]
    text = os.fsencode("\0".join([str(len(command)), *command, *variables]))
    return b"%d\0%b%b" % (len(program), program, text)


def read_request(data: bytes) -> tuple[list[str], dict[bytes, bytes], bytes]:
    """Return the command, the variables, and the program."""
    size, _, rest = data.partition(b"\0")
    program, text = rest[: int(size)], rest[int(size) :]
    number, *words = text.split(b"\0")
    split = int(number)
    variables = (each.partition(b"=") for each in words[split:])
    command = [os.fsdecode(word) for word in words[:split]]
    return command, {name: v for name, _, v in variables}, program


def import_request(preload: Preload) -> bytes:
    """Say what a template is to import before it is ready."""
    modules = [f"{name}={origin}" for name, origin in preload.modules]
    return os.fsencode("\0".join([str(int(preload.is_given)), *modules]))


def read_import_request(data: bytes) -> tuple[list[tuple[str, str]], bool]:
    """Return modules with the files of their packages, and whether the caller has named them."""
    given, *modules = map(os.fsdecode, data.split(b"\0"))
    return [(name, origin) for name, _, origin in (m.partition("=") for m in modules)], given == "1"
