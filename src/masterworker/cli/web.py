"""`task_manager web LABEL`: show a job in a browser, by a process of its own."""

from __future__ import annotations

import contextlib
import getpass
import html
import os
import secrets
import signal
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from masterworker import job_record
from masterworker.cli import exit_codes
from masterworker.cli.finding import find, is_elsewhere
from masterworker.cli.knowing import record_of
from masterworker.client import Client
from masterworker.errors import MasterNotFoundError, UsageError
from masterworker.machine import random_name
from masterworker.security.peer import Role
from masterworker.security.private import write_new
from masterworker.transport.discovery import reach
from masterworker.transport.runtime import runtime_folder

if TYPE_CHECKING:
    import argparse
    import socket
    from collections.abc import Iterator

    from masterworker.views.web.watcher import Watcher

#: Seconds after the last viewer of a job that is over.
UNUSED: Final = 600.0
#: The port of the laptop that is proposed where the page has a socket and no port.
PROPOSED: Final = 8765

_PAGE: Final = """\
<!doctype html><meta charset="utf-8"><meta name="referrer" content="no-referrer">
<meta http-equiv="refresh" content="0;url={0}"><title>masterworker</title>
<p><a href="{0}">the page of the job</a></p>
"""


def run(label: str, options: argparse.Namespace) -> int:
    """Show a job to browsers, until Ctrl-C or 10 minutes after its last viewer."""
    for name in ("starlette", "uvicorn"):
        if find_spec(name) is None:
            raise UsageError(f"web needs {name}: pip install 'masterworker[views]'")
    if options.port is not None and options.socket is not None:
        raise UsageError("give --port or --socket: the page is at one of them")
    watcher = _watcher(label, options)
    from masterworker.views.web import serving
    from masterworker.views.web.app import application

    path = None if options.socket is None else Path(options.socket).absolute()
    listening = serving.listen(options.port or 0) if path is None else serving.listen_at(path)
    signal.signal(signal.SIGTERM, _stop)
    token = secrets.token_urlsafe(32)
    with contextlib.ExitStack() as stack:
        stack.callback(listening.close)
        if path is not None:
            stack.callback(path.unlink, missing_ok=True)
        _announce(label, listening, path, token, options, stack)
        guard = application(watcher, token, options.host_name or ())
        serving.serve(guard, listening, lambda: watcher.unused < UNUSED)
        watcher.close()
    return exit_codes.OK


def _watcher(label: str, options: argparse.Namespace) -> Watcher:
    """Look at the job, or at its record.

    Raises:
        MasterNotFoundError: There is neither.
    """
    from masterworker.views.web.watcher import Watcher

    record = None
    kept = None if is_elsewhere(options) else job_record.find
    try:
        client = find(label, options.master, wait=options.wait, role=Role.OBSERVER)
    except MasterNotFoundError as error:
        if kept is None:
            raise
        record = record_of(label, error)
        client = Client(lambda: reach(label, None, Role.OBSERVER))
    return Watcher(label, client, record, kept=kept)


def _stop(*_: object) -> NoReturn:
    """SIGTERM: as Ctrl-C, so that nothing is left behind."""
    raise SystemExit(exit_codes.TERMINATED)


# -- telling where the page is ------------------------------------------------------------------


def _announce(
    label: str,
    listening: socket.socket,
    path: Path | None,
    token: str,
    options: argparse.Namespace,
    stack: contextlib.ExitStack,
) -> None:
    """Say where the page is: to the terminal, or in a private file."""
    port = PROPOSED if path is not None else listening.getsockname()[1]
    there = f"127.0.0.1:{port}" if path is None else str(path)
    address = f"http://127.0.0.1:{port}/#{token}"
    tunnel = f"ssh -N -L {port}:{there} {getpass.getuser()}@{os.uname().nodename}"
    if options.behind == "told" or (options.behind is None and sys.stdout.isatty()):
        where = address
    else:
        where = f"the address in {stack.enter_context(_private(label, address, '.txt'))}"
    if path is None:
        print(f"{label} is shown at {where}")
        print(f"from another machine: {tunnel}    then open the same address there")
    else:
        print(f"{label} is shown at {path}: {tunnel}")
        print(f"then open {where}")
    if options.open and path is None:
        page = _PAGE.format(html.escape(address))
        _open(stack.enter_context(_private(label, page, ".html")))
    sys.stdout.flush()
    if options.behind is not None:  # what has started this process reads no more
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 1)
        os.dup2(nothing, 2)


@contextlib.contextmanager
def _private(label: str, text: str, ending: str) -> Iterator[Path]:
    """Keep a text in a file of this user, as long as the page is there."""
    stem = "".join(c if c.isascii() and c.isalnum() else "_" for c in label)[:40]
    path = runtime_folder() / f"web-{stem}-{random_name()}{ending}"
    write_new(path, f"{text}\n".encode())
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _open(page: Path) -> None:
    """Let a browser open a private file that leads to the page: no command line has the token."""
    import webbrowser

    shown = any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))
    try:
        found = (shown or sys.platform == "darwin") and webbrowser.open(page.as_uri())
    except (webbrowser.Error, OSError):
        found = False
    if not found:
        print("task_manager: no browser was found: open the address yourself", file=sys.stderr)
