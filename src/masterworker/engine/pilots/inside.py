"""A pilot in the engine's process: it starts our supervisor, and waits for its end.

The supervisor ends with this process, whatever ends that: it holds the other end of a pipe, and
watches the process itself, since forks of it have the pipe as well.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from typing import Final

from masterworker.errors import WorkerStartError
from masterworker.launch import exits
from masterworker.surroundings import folders, python

#: Seconds for a supervisor to end when it is told to, and for its last words.
_GRACE: Final = 4.0
_MOST: Final = 65_536
#: The path comes first, since nothing of ours may be found without it.
_BEGIN: Final = (
    "import sys, json; sys.path[:] = json.loads(sys.stdin.buffer.readline()); "
    "from masterworker.cli.pilot import main; sys.exit(main(sys.argv[1:]))"
)


def run(order: bytes) -> int | str:
    """Be a pilot, until the job ends or its worker leaves.

    Args:
        order: What `travelling.Order` holds.

    Returns:
        0: the worker has left in good order; else why it has not.
    """
    where = f"{os.uname().nodename}, in process {os.getpid()}"
    try:
        status, why = _supervise(order)
    except (OSError, WorkerStartError) as error:
        return f"no worker can be started on {where}: {error}"
    return 0 if status == 0 else f"{why or exits.describe(status)} (on {where})"


def _supervise(order: bytes) -> tuple[int, str]:
    reading, writing = os.pipe()
    try:
        command = [python.executable(), "-P", "-c", _BEGIN, str(writing), str(os.getpid())]
        child = subprocess.Popen(
            command, stdin=subprocess.PIPE, pass_fds=[writing], start_new_session=True
        )
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    assert child.stdin is not None  # noqa: S101  for the type checker
    said = b""
    path = json.dumps(folders.import_path(folders.here())).encode()
    try:
        with contextlib.suppress(OSError):  # it has ended already, and that is what is told
            child.stdin.write(b"\n".join([path, order, b""]))
            child.stdin.flush()
        child.wait()
    finally:  # also where the engine raises something here, as Ray does to cancel
        with contextlib.suppress(OSError):
            child.stdin.close()
        try:
            child.wait(_GRACE)
        except BaseException:
            child.kill()
            child.wait()
            raise
        finally:
            os.set_blocking(reading, False)
            with contextlib.suppress(OSError):
                said = os.read(reading, _MOST)
            os.close(reading)
    return child.returncode, _reason(said)


def _reason(said: bytes) -> str:
    return said.decode("utf-8", "replace").strip()
