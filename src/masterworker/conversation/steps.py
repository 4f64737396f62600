"""Carrying out a procedure of a pure machine: a generator that yields effects and gets answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

T = TypeVar("T")
Effect = TypeVar("Effect")


def carry_out(
    steps: Generator[Effect, Any, T],
    act: Callable[[Effect], Any],
    caught: type[BaseException] = Exception,
) -> T:
    """Carry out each effect, and send its answer. Returns what the procedure returns.

    Args:
        steps: The procedure.
        act: Carries out an effect. Returns the answer.
        caught: Of what it raises, the procedure gets these; others end it where it is.
    """
    answer: Any = None
    error: BaseException | None = None
    try:
        while True:
            effect = steps.send(answer) if error is None else steps.throw(error)
            answer = error = None
            try:
                answer = act(effect)
            except caught as failure:
                error = failure
    except StopIteration as end:
        done: T = end.value
        return done
    finally:
        error = None  # its traceback refers to this frame
        steps.close()
