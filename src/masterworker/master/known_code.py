"""Functions as they are, beside what they were when the outcomes in a journal were computed."""

from __future__ import annotations

import logging
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final

from masterworker.errors import CodeChangedError, JournalError
from masterworker.journal import code
from masterworker.journal.calls import known_as
from masterworker.journal.records import Code

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.journal.journal import Journal

logger = logging.getLogger("masterworker.master")

_AGAIN: Final = "recompute"


class KnownCode:
    """The code of the functions of a job. Thread-safe.

    Args:
        journal: Has what the code was.
    """

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self._known: set[Any] = set()
        #: How many times outcomes of functions were given up; of those where any were.
        self._generations: dict[Any, int] = {}

    def look_at(self, function: Callable[..., Any] | str) -> None:
        """Compare a function with what it was when the outcomes in the journal were computed.

        Raises:
            CodeChangedError: It has changed; says how.
            JournalError: The journal cannot be used any more.
        """
        if self.journal.failure:
            raise JournalError(f"nothing can be kept any more: {self.journal.failure}")
        if function.__class__ is FunctionType and function in self._known:  # as most are
            return
        known = known_as(function)  # of a closure: None, as it has no source, and is let go
        if known is None or known in self._known or isinstance(function, str):
            return
        name = f"{getattr(function, '__module__', '')}:{getattr(function, '__qualname__', '')}"
        source = code.source_of(function)
        before = self.journal.codes.get(name)
        generation = 0 if before is None else before.generation
        if source is not None and (before is None or before.text != source):
            if before is not None:
                generation += self._judge(name, before.text, source)
            self.journal.note_code(Code(name, source, generation))
        if generation:
            self._generations[known] = generation
        self._known.add(known)

    def generation(self, what: Callable[..., Any] | str) -> int:
        """Return how many times outcomes of a function were given up."""
        return self._generations.get(known_as(what), 0) if self._generations else 0

    # -- inside -----------------------------------------------------------------------------

    def _judge(self, name: str, before: str, after: str) -> int:
        """Decide about a function that has changed. Returns 1 if it has another key now."""
        module, _, shown = name.partition(":")
        number = self.journal.numbers.get(f"@{shown}", 0)
        if number <= 0:  # there are none, or all were forgotten
            # Workers that live on may bring some, which the function has made as it was.
            return int(bool(self.journal.earlier))
        choice = self.journal.settings.changed
        if choice == "use":
            logger.warning("%s has changed; its %d outcomes in the journal are used", name, number)
        elif choice == _AGAIN:
            logger.warning("%s has changed; its %d outcomes are computed again", name, number)
        else:
            raise CodeChangedError(
                f"{shown} (of {module}) has changed since its {number} outcomes in the journal "
                f"{self.journal.path} were computed:\n{code.difference(shown, before, after)}\n"
                'journal_changed="use" takes them as they are, "recompute" computes them again'
            )
        return int(choice == _AGAIN)
