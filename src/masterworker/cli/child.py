"""A supervised worker process: executes tasks, with the program that the master has stored.

`task_manager slave LABEL` itself is a supervisor (`cli.worker`), which starts these. What is loaded
here delays the first result of each job, and each replacement of a worker.
"""

from __future__ import annotations

import faulthandler
import gc
import io
import logging
import os
import sys
from typing import TYPE_CHECKING, Final, NoReturn

from masterworker import program, wire
from masterworker.cli import exit_codes
from masterworker.cli.stderr import describe, handed_over, report, show_log
from masterworker.client import Client
from masterworker.data import definitions
from masterworker.data.pickling import open_payload
from masterworker.data.segment import bytes_of
from masterworker.errors import (
    JobEndedError,
    MasterGoneError,
    MasterworkerError,
    NoCodeError,
    RejectedError,
    Terminated,
    TransportError,
    UsageError,
)
from masterworker.launch import scoreboard
from masterworker.launch.command import read_order
from masterworker.launch.exits import PROGRAM
from masterworker.launch.process_context import Assignment, ProcessContext, this_process
from masterworker.launch.worker_limits import STORED
from masterworker.machine import raise_descriptor_limit
from masterworker.surroundings import common, logs, processes, python
from masterworker.transport import discovery
from masterworker.worker import Worker, script
from masterworker.worker.execution import ready

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from masterworker.launch.command import Order
    from masterworker.transport.base import Connection

logger = logging.getLogger("masterworker.cli")

_NOT_LAUNCHED: Final = "only a supervisor starts a worker with --supervised"


#: In a fork of a template: the order for it, which is read already, and the log is shown; and the
#: program, if it was said.
_prepared: Final[list[Order]] = []
_given: Final[list[program.Program]] = []


def prepare(words: Sequence[str], stored: bytes) -> None:
    """Do in a template what each of its forks would do first.

    Args:
        words: Of their commands.
        stored: The program that their master has stored for them; b"": they ask for it.
    """
    if not _prepared:
        show_log(logging.WARNING)
    _prepared[:] = [read_order(words)]
    _given[:] = [program.decode(stored)] if stored else []


def begin() -> NoReturn:
    """Be the main program of a worker."""
    gc.freeze()  # what is loaded stays: to search it for garbage takes a twentieth of a start
    gc.enable()
    sys.exit(main(sys.argv[1:]))


def main(words: Sequence[str]) -> int:
    """Be a worker that a supervisor launches with these words. Returns the exit status."""
    if _prepared:
        order = _prepared[0]
        if order.verbose:
            logging.getLogger("masterworker").setLevel(logging.INFO)
    else:
        try:
            order = read_order(words)
        except (ValueError, KeyError):
            return report(UsageError(_NOT_LAUNCHED))
        show_log(logging.INFO if order.verbose else logging.WARNING)
    # A script that the master has stored makes its worker itself, and finds the context there.
    context = this_process.context = ProcessContext(order.launcher, order.limits)
    reason = ""
    try:
        status = run(order, context)
    except JobEndedError:  # before this worker could join, which is no failure to start
        context.has_left()
        status = exit_codes.OK
    except MasterworkerError as error:
        status, reason = describe(error)
    except KeyboardInterrupt:  # not of the worker: it has not begun, or has left
        return exit_codes.INTERRUPTED
    if not context.conclude(status, reason) and reason:
        print(f"{PROGRAM}{reason}", file=sys.stderr)
    return status


def run(order: Order, context: ProcessContext) -> int:
    """Execute tasks until the job ends."""
    context.end_with_launcher()
    try:
        context.supervised_by(order.slot_fd)
    except (OSError, ValueError):
        raise UsageError(_NOT_LAUNCHED) from None
    board = context.board
    board[scoreboard.STEP] = scoreboard.CONNECTING
    # A worker that hangs says where. What handles this signal in a worker takes the place of this.
    faulthandler.register(scoreboard.LOOK, file=2, all_threads=False)
    raise_descriptor_limit()
    os.environ.pop(python.STARTING, None)  # what a task starts is not to become a worker
    if isinstance(sys.stdout, io.TextIOWrapper):  # it is a pipe now, whatever the user has
        sys.stdout.reconfigure(line_buffering=True)
    label = order.label
    if order.ticket_fd is not None:
        _hold_ticket(order.ticket_fd, label)
    else:
        discovery.remember(label, socket=order.socket)
        context.is_masters_own = bool(order.socket)
    discovery.remember(label, master=order.master)
    client = Client(lambda: discovery.reach(label))
    what = _fetch(client, label)
    board[scoreboard.STEP] = scoreboard.ENTERING
    try:
        _take_over(what, order, client, context)
        board[scoreboard.STEP] = scoreboard.JOINING
        _execute(what, order, client, context)
    except Terminated:  # it ended while we were joining
        context.has_left()
    except RejectedError:
        raise
    except TransportError as error:
        raise MasterGoneError(str(error)) from error
    if context.was_interrupted:
        return exit_codes.INTERRUPTED
    if context.is_recycled:
        return exit_codes.RECYCLED
    return exit_codes.OK


def _take_over(
    what: program.Program, order: Order, client: Client, context: ProcessContext
) -> None:
    """Take over the program's settings, find its definitions, and call the initializer."""
    difference = common.enter(what.surroundings, elsewhere=not client.is_private)
    if difference:
        logger.warning("%s", difference)
    _check_libraries()
    processes.be_a_worker()
    if what.kind != program.SCRIPT:  # that one sets up its own when it is executed
        logs.enter(what.surroundings.settings.logs, elsewhere=not client.is_private)
    _follow(what, client, order.label)
    context.assignment = Assignment(order.label, what.digest, what.worker_class)
    script.fresh_main(what.package)
    definitions.fetch_from(lambda key: client.get(wire.DEFINITIONS, key))
    if order.limits.initializer:
        _initialize(client, order.limits.initializer, context)
        client.disconnect()


def _check_libraries() -> None:
    """Go on with what the template has imported, if this is what would be imported here.

    Raises:
        UsageError: It is not; the next process is a program of its own.
    """
    loading = sys.modules.get("masterworker.launch.template.loading")
    if loading is None:
        return
    if not loading.is_as_found():
        raise MasterworkerError("a library is not found where the template of workers has found it")
    loading.restore_filters()


def _follow(what: program.Program, client: Client, label: str) -> None:
    """Look for modules in the folders that the master adds later, too."""

    def ask() -> bytes | None:  # it may be needed while the worker's own connection is busy
        asking = Client(lambda: discovery.reach(label))
        try:
            found = asking.get(wire.PROGRAM, wire.IMPORT_PATH)
        except (MasterworkerError, ImportError, AttributeError):
            # The last two: what is missed is missed by an import that asking needs itself.
            return None
        finally:
            asking.disconnect()
        return None if found is None else bytes_of(found)

    common.follow(what.surroundings, ask, elsewhere=not client.is_private)


def _hold_ticket(fd: int, label: str) -> None:
    from masterworker.security import ticket

    given = ticket.parse(handed_over(fd))
    if given.label != label:
        raise UsageError(f"this ticket is for the job {given.label!r}, not for {label!r}")
    ticket.hold(given)


def _initialize(client: Client, initializer: str, context: ProcessContext) -> None:
    """Do what each process is to do before it works.

    Raises:
        RuntimeError: What would end this process in good order was raised: it is a failure here.
    """
    context.board[scoreboard.STEP] = scoreboard.IMPORTING
    function = _find_initializer(client, initializer)
    context.board[scoreboard.STEP] = scoreboard.INITIALIZING
    try:
        function()
    except (SystemExit, KeyboardInterrupt, GeneratorExit) as error:
        if isinstance(error, KeyboardInterrupt) and context.board[scoreboard.END]:
            raise  # of our supervisor
        raise RuntimeError(f"the initializer has raised {type(error).__name__}") from error


def _find_initializer(client: Client, initializer: str) -> Callable[[], object]:
    import importlib
    import operator

    if initializer.startswith(STORED):
        pickled = client.get(wire.PROGRAM, initializer.removeprefix(STORED))
        if pickled is None:
            raise UsageError("the master has not stored the initializer of this worker")
        return ready(bytes_of(pickled))
    module, _, name = initializer.partition(":")
    try:
        found: Callable[[], object] = operator.attrgetter(name)(importlib.import_module(module))
    except (ImportError, AttributeError) as error:
        raise UsageError(f"there is no initializer {initializer}: {error}") from error
    return found


def _fetch(client: Client, label: str) -> program.Program:
    if _given:
        client.connect()
        return _given[0]
    stored = client.get(wire.PROGRAM, program.KEY)
    if stored is None:
        raise NoCodeError(
            f"the master of {label!r} has stored no slave code: start your slave script itself, or "
            "let the master use runJob or initializeMasterProcess(label, slave_script=...)"
        )
    return program.decode(bytes_of(stored))


def _execute(what: program.Program, order: Order, client: Client, context: ProcessContext) -> None:
    label = order.label
    if what.kind == program.GENERIC:
        Worker(label, connect=_going_on(client, order), context=context).run()
        return
    client.disconnect()
    if what.kind == program.CLASS:
        worker_class, start, keywords = open_payload(what.pickled)
        getattr(worker_class(label, **keywords), start)()
    else:
        try:
            script.execute(what)
        except SystemExit as end:  # as in sys.exit(main()), when main has come back
            if end.code:
                raise
        if not context.was_asked:
            raise UsageError(
                f"the slave code ({what.filename}) ended without starting a slave: its last line "
                "must be startSlaveProcess() or runJob(...), and not guarded by "
                "if __name__ == '__main__'"
            )


def _going_on(client: Client, order: Order) -> Callable[[], Connection]:
    """Make what connects a worker: first by the connection that is there, later by a new one."""
    ready = [connection] if (connection := client.release()) is not None else []
    return lambda: ready.pop() if ready else discovery.reach(order.label)
