"""Procedures of pure machines are carried out to their end, and closed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from masterworker.conversation.steps import carry_out

if TYPE_CHECKING:
    from collections.abc import Generator


def procedure(seen: list[Any]) -> Generator[str, Any, str]:
    try:
        seen.append((yield "first"))
        try:
            yield "second"
        except (LookupError, KeyboardInterrupt) as error:
            seen.append(type(error))
        seen.append((yield "third"))
    finally:
        seen.append("closed")
    return "done"


def act_raising(error: type[BaseException]) -> Any:
    def act(effect: str) -> str:
        if effect == "second":
            raise error
        return effect.upper()

    return act


def test_answers_and_errors_reach_the_procedure() -> None:
    seen: list[Any] = []
    assert carry_out(procedure(seen), act_raising(LookupError)) == "done"
    assert seen == ["FIRST", LookupError, "THIRD", "closed"]


def test_what_is_for_the_thread_ends_the_procedure() -> None:
    seen: list[Any] = []
    with pytest.raises(KeyboardInterrupt):
        carry_out(procedure(seen), act_raising(KeyboardInterrupt))
    assert seen == ["FIRST", "closed"]


def test_what_is_caught_is_for_the_procedure() -> None:
    seen: list[Any] = []
    assert carry_out(procedure(seen), act_raising(KeyboardInterrupt), BaseException) == "done"
    assert seen == ["FIRST", KeyboardInterrupt, "THIRD", "closed"]


def test_what_the_procedure_does_not_expect_comes_out_of_it() -> None:
    seen: list[Any] = []
    with pytest.raises(OSError):
        carry_out(procedure(seen), act_raising(OSError))
    assert seen == ["FIRST", "closed"]
