"""Iterating over outcomes as they come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from masterworker.data.outcome import open_finished
from masterworker.errors import TaskError

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.core.task import Finished
    from masterworker.manager import Manager


class Arrivals:
    """An iterator over outcomes, which goes on after it has raised one.

    Args:
        manager: Takes an outcome back that was not delivered.
        following: Waits for the next outcome (of a tag); None: none is outstanding.
        tag: Only outcomes of tasks of this tag.
        return_errors: Give exceptions in place of results.
    """

    def __init__(
        self,
        manager: Manager,
        following: Callable[[str | None], Finished | None],
        tag: str | None,
        *,
        return_errors: bool,
    ) -> None:
        self._manager = manager
        self._following = following
        self._tag = tag
        self._return_errors = return_errors

    def __iter__(self) -> Arrivals:
        return self

    def __repr__(self) -> str:
        kind = "" if self._tag is None else f" of tag {self._tag!r}"
        return f"<outcomes{kind} as they come: loop over them>"

    def __next__(self) -> Any:
        finished = self._following(self._tag)
        if finished is None:
            raise StopIteration
        try:
            return open_finished(finished)
        except TaskError as error:
            if not self._return_errors:
                raise
            return error.task_id, error.tag, error
        except BaseException:  # of a signal handler, say: it waits for the next call
            self._manager.repairs.append((self._manager.to_undelivered, [finished]))
            raise
