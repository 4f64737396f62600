"""Starts the process that shows a job in a browser, which outlives this one."""

from __future__ import annotations

import subprocess
import sys
import threading
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Final

from masterworker import forks
from masterworker.errors import UsageError

#: What the process executes: `task_manager`, with this package, wherever that is.
_BEGIN: Final = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); from masterworker.cli.main import run; run()"
)


def check_page(label: str | None, *, serial: bool) -> None:
    """Check that there can be a page.

    Args:
        label: The label of the job, if it has one.
        serial: The job has no connections.

    Raises:
        UsageError: The job cannot be found, what a page takes is not installed, or this is no
            Python interpreter.
    """
    if label is None or serial:
        raise UsageError("web=True needs a label, by which the page finds the job, and no serial=")
    for name in ("starlette", "uvicorn"):
        if find_spec(name) is None:
            raise UsageError(f"web=True needs {name}: pip install 'masterworker[views]'")
    if getattr(sys, "frozen", False) or not sys.executable:
        raise UsageError("web=True needs a Python interpreter: type task_manager web LABEL")


def start_page(label: str) -> None:
    """Start it, and let a thread print on stderr where the page is.

    The address is a secret: it is printed where stderr is a terminal, else it is in a file. The
    process is in a session of its own, so Ctrl-C is for this one, and has none of its files open:
    a pipe that this process writes to ends with it.

    Args:
        label: The label of the job.

    Raises:
        UsageError: The process cannot be started.
    """
    try:
        told = "told" if sys.stderr is not None and sys.stderr.isatty() else "hidden"
    except ValueError:  # it is closed
        told = "hidden"
    package = str(Path(__file__).parents[2])
    words = ["-c", _BEGIN, package, "web", f"--behind={told}", "--", label]
    try:
        with forks.held_off():
            process = subprocess.Popen(
                [sys.executable, *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
    except OSError as error:
        raise UsageError(f"the process of the page cannot be started: {error}") from None
    assert process.stdout is not None  # noqa: S101  for the type checker
    arguments = (process, process.stdout)
    threading.Thread(target=_pass_on, args=arguments, name="masterworker-page", daemon=True).start()


def _pass_on(process: subprocess.Popen[bytes], lines: IO[bytes]) -> None:
    """Print what it says, until it has said where the page is; wait for its end."""
    for line in lines:
        try:
            sys.stderr.write(line.decode(errors="replace"))
            sys.stderr.flush()
        except (AttributeError, OSError, ValueError):  # there is no stderr (any more)
            break
    lines.close()
    process.wait()
