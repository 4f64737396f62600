"""`task_manager replay LABEL [TASK]`: carry out a failed task's saved call, here.

The stored slave program is executed as in a worker, up to where the worker would begin to execute
tasks. It has a job of its own then, inside this process, so that what its constructors and
handlers ask of a task manager has an answer.
"""

from __future__ import annotations

import contextlib
import logging
import pdb  # noqa: T100  what --pdb and --break are for
import shlex
import sys
import traceback
from typing import TYPE_CHECKING, Any

from masterworker import failed, failed_keeping, failed_limits, program, wire
from masterworker.cli import exit_codes
from masterworker.client import Client
from masterworker.core.filters import CALL_MARK
from masterworker.core.streams import Stream, stream_of_run
from masterworker.core.task import LOST, read_history
from masterworker.data import definitions
from masterworker.data.pickling import open_payload
from masterworker.data.record import printable
from masterworker.errors import MasterworkerError, NotKeptError, RejectedError, UsageError
from masterworker.launch.process_context import Assignment, this_process
from masterworker.master import Master, engine_of
from masterworker.surroundings import common
from masterworker.transport.address import check_label
from masterworker.transport.discovery import reach
from masterworker.worker import Worker, methods_of, script, streams
from masterworker.worker import engine_of as worker_engine_of
from masterworker.worker.execution import ready
from masterworker.worker.streams import call_handler

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping
    from types import FrameType, TracebackType

    from masterworker.core.task import Payload
    from masterworker.worker.engine import WorkerEngine

#: Frames of these modules at the top of a traceback are ours, and mean nothing to users.
OURS = ("masterworker.", "Scientific.DistributedComputing.", "bdb")
#: A longer result is cut (characters).
MAX_SHOWN = 10_000


def run(label: str, options: argparse.Namespace) -> int:
    """List the failed calls of a label, or carry out the one of a task."""
    if options.clear:
        return _clear(label or None)
    check_label(label)
    failed_keeping.tidy()
    if len(options.words) < 3:
        return _list(label)
    task = options.words[2]
    summary = failed.find(label, task)
    if summary is None:
        raise NotKeptError(
            f"no failed call of task {task[:100]!r} of {label!r} is kept; "
            f"see: task_manager replay {shlex.quote(label)}"
        )
    if summary.python != wire.python_version():
        raise RejectedError(
            f"task {summary.task_id} was executed by Python {summary.python}, this is "
            f"{wire.python_version()}: pickled code is not understood across versions, so start "
            "task_manager with the same Python"
        )
    call = failed.read(summary)
    if call.parameters is None:
        raise UsageError(
            f"the parameters of {summary.task_id} have {summary.size:,} bytes, so they were not "
            f"kept (at most {failed_limits.LARGEST:,})"
        )
    if summary.kind == LOST:
        ended = len(read_history(call.outcome))
        text = f"warning: this task has ended {ended} processes; it may end this one as well"
        print(text, file=sys.stderr, flush=True)
    if not options.verbose:  # the job inside this process is of no interest
        logging.getLogger("masterworker").setLevel(logging.ERROR)
    return _Replay(call, options).run()


def _clear(label: str | None) -> int:
    number = failed_keeping.clear(label)
    whose = "" if label is None else f" of {label!r}"
    print(f"{number} failed call{'' if number == 1 else 's'}{whose} removed")
    return exit_codes.OK


def _list(label: str) -> int:
    found = failed.saved(label)
    if not found:
        raise NotKeptError(f"no failed calls of {label!r} are kept")
    for summary in found:
        text = f"{summary.task_id}  {summary.local_time}  {summary.raised}"
        print(printable(text))
    return exit_codes.OK


class _Replay:
    """One failed call, and how it is to be carried out."""

    def __init__(self, call: failed.Call, options: argparse.Namespace) -> None:
        self.call = call
        self.options = options
        self.status: int | None = None

    def run(self) -> int:
        """Carry it out. Returns the exit status."""
        what = program.decode(self.call.program) if self.call.program else program.generic()
        with Master() as home:
            engine_of(home).dead_letters.close()  # a further task that fails is not one of the job
            text = common.enter(what.surroundings)
            if text:
                print(f"warning: {text}", file=sys.stderr)
            definitions.fetch_from(self._fetch_definition)
            this_process.context.assignment = Assignment(
                home.label, what.digest, what.worker_class, self.instead
            )
            try:
                self._execute(what, home.label)
            except SystemExit:  # as in sys.exit(main()), when main has come back
                if self.status is None:
                    raise
        if self.status is None:
            raise UsageError(f"the slave code ({what.filename}) ended without starting a slave")
        return self.status

    def _execute(self, what: program.Program, label: str) -> None:
        if what.kind == program.SCRIPT:
            script.execute(what)
            return
        script.fresh_main(what.package)
        if what.kind == program.GENERIC:
            self.instead(worker_engine_of(Worker(label)), {})
            return
        worker_class, start, keywords = open_payload(what.pickled)
        slave = worker_class(label, None, **keywords)
        if isinstance(slave, Worker):
            self.instead(worker_engine_of(slave), methods_of(slave))
        else:
            getattr(slave, start)()

    def instead(self, engine: WorkerEngine, handlers: Mapping[str, Callable[..., Any]]) -> None:
        """Carry out the call with the handlers of a worker, in place of its work."""
        tag = self.call.summary.tag
        if tag[0] != CALL_MARK and tag not in handlers:
            raise UsageError(
                f"the code that is stored with the job has no handler for {tag!r}: its worker has "
                "brought its own, which is not kept (see run_job and runJob)"
            )
        summary = self.call.summary
        stream = stream_of_run(summary.run, summary.number)
        executing = streams.executing(stream, is_seeded=False)
        with engine.standing_by(handlers, self._fetch_state), executing:
            self.status = self._carry_out(handlers.get(tag))

    def _carry_out(self, handler: Callable[..., Any] | None) -> int:
        done: list[Any] = []
        try:
            function = self._prepare(handler)
            if self.options.stop_first:
                _Debugger().runcall(lambda: done.append(function()))
            else:
                done.append(function())
        except (KeyboardInterrupt, NotKeptError):
            raise
        except BaseException as error:  # whatever a handler raises
            return self._tell_failure(error)
        if not done:
            print("the debugger was left before the task had ended", file=sys.stderr)
            return exit_codes.FAILED
        print(f"task {printable(self.call.summary.task_id)} returned {_shown(done[0])}")
        return exit_codes.OK

    def _prepare(self, handler: Callable[..., Any] | None) -> Callable[[], Any]:
        """Rebuild the parameters, and the function where it comes along."""
        assert self.call.parameters is not None  # noqa: S101  for the type checker
        parameters = open_payload(self.call.parameters)
        if handler is not None:
            if parameters and isinstance(parameters[-1], Stream):
                return lambda: call_handler(handler, parameters)
            return lambda: handler(*parameters)
        function, args, keywords = parameters
        called = ready(function)
        return lambda: called(*args, **keywords)

    def _fetch_definition(self, key: str) -> Payload:
        """Get what the call refers to, which has been kept with it."""
        try:
            return self.call.needs[key]
        except KeyError:
            raise NotKeptError(
                f"what {self.call.summary.task_id} refers to was not kept: it had more than "
                f"{failed_limits.LARGEST:,} bytes"
            ) from None

    def _tell_failure(self, error: BaseException) -> int:
        frames = _without_ours(error.__traceback__)
        traceback.print_exception(type(error), error, frames)
        if self.options.pdb and frames is not None:
            pdb.post_mortem(frames)
        return exit_codes.FAILED

    def _fetch_state(self, name: str) -> Payload | None:
        """Get a value of a state from the job, if it still runs."""
        summary = self.call.summary
        client = Client(lambda: reach(summary.label, self.options.master))
        value = None
        with contextlib.suppress(MasterworkerError):
            if client.call("instance") == summary.run:
                value = client.get(wire.STATES, name)
        client.disconnect()
        if value is not None:
            return value
        state, _, value_name = name.partition("/")
        raise NotKeptError(
            f"the value {value_name!r} of state {state} is not available any more: the job that "
            "stored it has ended, or deleted it"
        )


class _Debugger(pdb.Pdb):
    """Stops at the first line that is not ours."""

    def __init__(self) -> None:
        super().__init__(skip=[f"{name}*" for name in OURS])
        self._begun = False

    def user_call(self, frame: FrameType, argument_list: None) -> None:
        """A function is called: the first one is entered without a stop."""
        if self._begun:
            super().user_call(frame, argument_list)

    def user_line(self, frame: FrameType) -> None:
        """A line is about to be executed."""
        self._begun = True
        super().user_line(frame)


def _without_ours(frames: TracebackType | None) -> TracebackType | None:
    """Leave out our own frames at the top, unless there are no others."""
    left = frames
    while left is not None and left.tb_frame.f_globals.get("__name__", "").startswith(OURS):
        left = left.tb_next
    return frames if left is None else left


def _shown(result: object) -> str:
    try:
        text = repr(result)
    except Exception as error:
        return f"a {type(result).__name__}, which cannot be shown: {type(error).__name__}"
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}... ({len(text):,} characters)"
