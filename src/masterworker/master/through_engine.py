"""Whether a job executes its tasks through an engine, and which."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any, Final

from masterworker.errors import UsageError
from masterworker.launch.process_context import this_process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from masterworker.engine.opening import Engine
    from masterworker.engine.slots import Slots
    from masterworker.manager import Manager

logger = logging.getLogger("masterworker.master")

#: Says which engine programs use that do not say it.
VARIABLE: Final = "MASTERWORKER_ENGINE"


def choose(given: Any, *, serial: bool) -> Engine | None:
    """Return the engine of a job; None: it has workers.

    Args:
        given: By the program.
        serial: It executes everything itself.

    Raises:
        UsageError: That is no engine; or both are given.
    """
    if serial:
        if given is not None:
            raise UsageError("give serial= or engine=: what executes the tasks is one of them")
        return None
    if given is None:
        given = os.environ.get(VARIABLE)
        if not given or this_process.is_worker:
            return None
        logger.info("the engine of this job is %s, as %s says", given, VARIABLE)
    from masterworker.engine.opening import as_engine  # most jobs have none

    return as_engine(given)


def use(
    engine: Engine | None,
    manager: Manager,
    label: str,
    handlers: Mapping[str, Callable[..., Any]],
    on_stuck: Iterable[Callable[[], None]],
) -> Slots | None:
    """Let the tasks of a job be executed by an engine, if it has one."""
    if engine is None:
        return None
    from masterworker.engine.slots import Slots

    def stuck() -> None:
        for each in on_stuck:
            each()

    return Slots(engine, manager, label, handlers, stuck)
