"""A loop that cannot be woken hurts neither others nor the thread that brings outcomes."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any
from unittest import mock

import pytest

from masterworker.awaits.chains import SMALL, Chains


class Task:
    """A task of which the outcome is known at once.

    Args:
        outcome: The outcome.
    """

    def __init__(self, outcome: object) -> None:
        self._outcome = outcome

    def _watch(self, watcher: Any) -> None:
        watcher(self)


@pytest.mark.parametrize("error", [ValueError, AttributeError, RuntimeError])
def test_a_loop_that_raises_when_it_is_woken(error: type[Exception]) -> None:
    """Loops of other libraries raise what they like."""
    router = mock.MagicMock(sleepers=[])
    chains = Chains(router)
    chains.add(mock.MagicMock(side_effect=error), Future(), Task(b""))  # type: ignore[arg-type]
    woken: list[object] = []
    chains.add(woken.append, Future(), Task(b""))  # type: ignore[arg-type]
    assert len(woken) == 1
    assert router.sleepers == []


def test_a_large_result_without_a_thread_for_it() -> None:
    """The system has no more threads: the loop opens the result itself."""
    router = mock.MagicMock(sleepers=[])
    router.callbacks.start.side_effect = RuntimeError("can't start new thread")
    woken: list[object] = []
    large = Task(bytes(SMALL + 1))
    Chains(router).add(woken.append, Future(), large)  # type: ignore[arg-type]
    assert len(woken) == 1
