"""Asks for single tasks: makes the payload, and notes request and future in one step.

It pickles in the caller's thread, so errors surface at the call, and holds no lock while it does.
"""

from __future__ import annotations

from types import BuiltinFunctionType, FunctionType
from typing import TYPE_CHECKING, Any

from masterworker.data.pickling import calls_plainly, dumps_call, dumps_plainly
from masterworker.master.batching import call_payload
from masterworker.master.future import Future
from masterworker.master.needs import holds
from masterworker.master.task_options import check_tag
from masterworker.named import NamedTuple
from masterworker.taskid import task_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.core.options import Options
    from masterworker.core.task import Payload
    from masterworker.manager import Manager
    from masterworker.master.journaled import Journaled
    from masterworker.master.needs import Needs
    from masterworker.master.results import ResultRouter
    from masterworker.streams.seeds import SeedBook, Streams

#: Most functions that are called are of these classes; those that can be imported are remembered.
_FUNCTIONS = frozenset((FunctionType, BuiltinFunctionType))


class Submission(NamedTuple):
    """Where requests of one kind go, and with what options.

    Args:
        manager: The task manager of the job.
        router: Where futures and batches wait for outcomes.
        needs: What calls need of the main program.
        seeds: The streams of random numbers of the job.
        together: Tasks of `map` may be put together. False: they are taken one at a time, so
            nothing is gained.
        options: What all tasks get; None: nothing special.
        streams: Of their random numbers; None: those of the run.
        journaled: The journal of the job; None: it has none.
        key: What that knows the tasks by; None: by their parameters.
    """

    manager: Manager
    router: ResultRouter
    needs: Needs
    seeds: SeedBook
    together: bool = True
    options: Options | None = None
    streams: Streams | None = None
    journaled: Journaled | None = None
    key: str | None = None

    def request(self, tag: str, parameters: tuple[Any, ...]) -> str:
        """Ask for a task by tag; see `Submitter.request_task`."""
        share = None if self.streams is None else self.streams.take(1)
        if share is not None:
            parameters = *parameters, next(share.each())
        manager, journaled, number = self.manager, self.journaled, -1
        sent = parameters
        if journaled is not None and self.key is None:
            sent = journaled.watched(tag, parameters)
        payload = dumps_call(f"task {tag!r}", sent)
        check_tag(tag)
        try:
            if journaled is None:
                number = manager.request(tag, (payload,), self.options)
            else:
                digest = journaled.digest(tag, parameters, key=self.key)
                number = journaled.request_task(digest, tag, payload, self.options)
            if share is not None:
                share.note(number, 1)
            return task_name(tag, number)
        except BaseException:
            if number >= 0:
                manager.repairs.append((manager.to_withdraw, number, 1))
            raise

    def submit(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Future[Any]:
        """Ask for a call; see `Submitter.submit`."""
        manager, router, needs, _, _, options, streams, journaled, key = self
        known = needs.importable.get(function) if function.__class__ in _FUNCTIONS else None
        tag, fixed, hold = known or needs.of_function(function)
        share = None
        if streams is not None:
            share = streams.take(1)
            fixed, args = share.seeded(fixed), (*args, share.numbers[0])
        if journaled is not None:
            salt = None if share is None else share.name
            digest = journaled.digest(function, args, kwargs, salt, key)
            if key is None:
                args = journaled.watched(function, args)
                kwargs = journaled.watched_names(function, kwargs)
        payload: Payload
        more = None
        try:
            payload = dumps_plainly((fixed, args, kwargs))
            plain = calls_plainly(payload)
        except Exception:
            plain = False
        if not plain:
            payload, more = call_payload(needs, tag, fixed, args, kwargs)
        future: Future[Any] = Future(router, tag)
        if hold is not None or more is not None:
            future._holds = holds(hold, more)
        if journaled is None:
            manager.submit(tag, payload, options, future, router.futures)
        else:
            journaled.submit(digest, tag, payload, options, future)
        if share is not None:
            share.note(future.number, 1)
        return future
