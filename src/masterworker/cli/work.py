"""`task_manager slave LABEL`: be a worker, with the program that the master has stored."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from masterworker import program, wire
from masterworker.cli import exit_codes
from masterworker.cli.finding import find
from masterworker.data.pickling import loads
from masterworker.errors import RejectedError, Terminated, TransportError, UsageError
from masterworker.launch import parent
from masterworker.worker import Worker, current

if TYPE_CHECKING:
    from masterworker.client import Client

logger = logging.getLogger("masterworker.cli")


class NoCodeError(UsageError):
    """The master has stored no slave code."""


class MasterGoneError(TransportError):
    """The master was there, and is gone."""


def run(label: str, master: str | None, *, wait: bool, launched_by: int | None) -> int:
    """Execute tasks until the job ends."""
    if launched_by is not None:
        parent.launched_by(launched_by)
    client = find(label, master, wait=wait)
    what = _fetch(client, label)
    try:
        told = program.enter(what)
        if told:
            logger.warning("%s", told)
        current.be_slave(current.SlaveContext(label, master, what.digest))
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
    return exit_codes.OK


def _fetch(client: Client, label: str) -> program.Program:
    stored = client.get(wire.PROGRAM, program.KEY)
    if stored is None:
        raise NoCodeError(
            f"the master of {label!r} has stored no slave code: start your slave script itself, or "
            "let the master use runJob or initializeMasterProcess(label, slave_script=...)"
        )
    return program.decode(stored)


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
