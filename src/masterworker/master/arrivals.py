"""Iterating over outcomes as they come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from masterworker.data.outcome import open_finished
from masterworker.errors import TaskError

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.core.task import Finished
    from masterworker.manager import Manager

#: Seconds after which a loop looks whether anything is outstanding still.
LOOK = 1.0


class Arrivals:
    """An iterator over outcomes, which goes on after it has raised one.

    Args:
        collect: Waits for one outcome.
        manager: Is asked whether any is to be expected.
        tag: Only outcomes of tasks of this tag.
        return_errors: Give exceptions in place of results.
    """

    def __init__(
        self,
        collect: Callable[[str | None, float | None], Finished],
        manager: Manager,
        tag: str | None,
        *,
        return_errors: bool,
    ) -> None:
        self._collect = collect
        self._manager = manager
        self._tag = tag
        self._return_errors = return_errors

    def __iter__(self) -> Arrivals:
        return self

    def __next__(self) -> Any:
        while self._manager.outstanding(self._tag):
            try:
                return open_finished(self._collect(self._tag, LOOK))
            except TimeoutError:  # somebody else may have taken the last one
                continue
            except TaskError as error:
                if not self._return_errors:
                    raise
                return error.task_id, error.tag, error
        raise StopIteration
