"""A supervised worker process: executes tasks, with the program that the master has stored.

`task_manager slave LABEL` itself is a supervisor (`supervise`), which starts these.
"""

from __future__ import annotations

import importlib
import io
import logging
import operator
import sys
from typing import TYPE_CHECKING

from masterworker import program, wire
from masterworker.cli import exit_codes
from masterworker.cli.finding import find
from masterworker.data.pickling import loads, open_payload
from masterworker.data.segment import bytes_of
from masterworker.errors import (
    MasterGoneError,
    NoCodeError,
    RejectedError,
    Terminated,
    TransportError,
    UsageError,
)
from masterworker.launch import parent
from masterworker.worker import Worker, current

if TYPE_CHECKING:
    import argparse

    from masterworker.client import Client

logger = logging.getLogger("masterworker.cli")


def run(label: str, options: argparse.Namespace) -> int:
    """Execute tasks until the job ends."""
    parent.launched_by(options.launched_by)
    parent.end_with_launcher()
    try:
        parent.supervised_by(options.supervised)
    except (OSError, ValueError):
        raise UsageError("only a supervisor starts a worker with --supervised") from None
    limits = parent.WorkerLimits(
        options.max_tasks, options.idle_timeout, options.deadline, options.initializer or ""
    )
    parent.limited_to(limits)
    if isinstance(sys.stdout, io.TextIOWrapper):  # it is a pipe now, whatever the user has
        sys.stdout.reconfigure(line_buffering=True)
    master = options.master
    client = find(label, master, wait=False)
    what = _fetch(client, label)
    try:
        told = program.enter(what, elsewhere=not client.is_private)
        if told:
            logger.warning("%s", told)
        current.be_slave(current.SlaveContext(label, master, what.digest))
        _initialize(client, limits.initializer)
        client.disconnect()
        _execute(what, label, master)
    except Terminated:
        pass  # it ended while we were joining
    except RejectedError:
        raise
    except TransportError as error:
        raise MasterGoneError(str(error)) from error
    if current.was_interrupted():
        return exit_codes.INTERRUPTED
    if current.was_recycled():
        return exit_codes.RECYCLED
    return exit_codes.OK


def _initialize(client: Client, initializer: str) -> None:
    """Do what each process is to do before it works."""
    if not initializer:
        return
    program.fresh_main()
    if initializer.startswith(parent.STORED):
        pickled = client.get(wire.PROGRAM, initializer.removeprefix(parent.STORED))
        if pickled is None:
            raise UsageError("the master has not stored the initializer of this worker")
        open_payload(pickled)()
        return
    module, _, name = initializer.partition(":")
    try:
        function = operator.attrgetter(name)(importlib.import_module(module))
    except (ImportError, AttributeError) as error:
        raise UsageError(f"there is no initializer {initializer}: {error}") from error
    function()


def _fetch(client: Client, label: str) -> program.Program:
    stored = client.get(wire.PROGRAM, program.KEY)
    if stored is None:
        raise NoCodeError(
            f"the master of {label!r} has stored no slave code: start your slave script itself, or "
            "let the master use runJob or initializeMasterProcess(label, slave_script=...)"
        )
    return program.decode(bytes_of(stored))


def _execute(what: program.Program, label: str, master: str | None) -> None:
    if what.kind == program.GENERIC:
        program.fresh_main()
        Worker(label, master).run()
    elif what.kind == program.CLASS:
        program.fresh_main()
        worker_class, start, keywords = loads(what.pickled)
        getattr(worker_class(label, master, **keywords), start)()
    else:
        program.execute(what)
        if not current.slave_context_used():
            raise UsageError(
                f"the slave code ({what.filename}) ended without starting a slave: its last line "
                "must be startSlaveProcess() or runJob(...), and not guarded by "
                "if __name__ == '__main__'"
            )
