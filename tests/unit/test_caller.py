"""The client's half of numbered calls: what is said first, what again, and what is remembered."""

from __future__ import annotations

from typing import Any

import pytest

from masterworker.conversation.caller import Caller
from masterworker.errors import NotRegisteredError, TransportError, UsageError

BROKEN = TransportError("reset")
OUTCOMES = ["outcome"], []


def perform(steps: Any, *answers: Any) -> tuple[list[Any], Any]:
    """Give one answer after the other; exceptions are thrown. Returns messages and the result."""
    messages = [next(steps)]
    for answer in answers:
        try:
            if isinstance(answer, Exception):
                messages.append(steps.throw(answer))
            else:
                messages.append(steps.send(answer))
        except StopIteration as end:
            return messages, end.value
    raise AssertionError(f"it goes on: {messages}")


def test_call_without_an_answer_is_made_once_more_under_its_number() -> None:
    """Its effect is that of one."""
    caller = Caller("me")
    messages, found = perform(caller.once("request", ("a",)), BROKEN, 7)
    assert messages == [("request", "me", 1, "a")] * 2
    assert (found, caller.unanswered) == (7, 0)
    assert perform(caller.once("request", ("a",)), 8)[0] == [("request", "me", 2, "a")]


@pytest.mark.parametrize("error", [BROKEN, UsageError("no"), KeyboardInterrupt()])
def test_call_that_is_given_up_is_said_first_of_all(error: BaseException) -> None:
    """What it brings is of use to others."""
    caller = Caller("me")
    steps = caller.once("collect", ())
    assert next(steps) == ("collect", "me", 1)
    if error is BROKEN:
        steps.throw(error)
    with pytest.raises(type(error)):
        steps.throw(error)
    first = caller.before("ping")
    assert first == ("forgo", "me", 1)
    caller.said(first, None)
    assert caller.before("ping") is None


def test_first_of_several_calls_that_were_given_up_is_said() -> None:
    """Those after it have never been sent: to say so came before them, and failed."""
    caller = Caller("me")
    for _ in range(3):
        with pytest.raises(TransportError):
            perform(caller.once("collect", ()), TransportError("1"), TransportError("2"))
    assert caller.before("request") == ("forgo", "me", 1)
    caller.said(("forgo", "me", 1), None)
    assert caller.before("request") is None


def test_call_whose_shell_was_interrupted_is_given_up() -> None:
    """An exception that is not thrown into it closes it."""
    caller = Caller("me")
    steps = caller.once("collect", ())
    next(steps)
    steps.close()
    assert caller.unanswered == 1


def test_outcomes_that_have_arrived_are_acknowledged() -> None:
    """Twice at most: the next number says it as well."""
    caller = Caller("me")
    messages, found = perform(caller.collect((3,), lambda: True), OUTCOMES, BROKEN, BROKEN)
    assert messages == [("collect", "me", 1, 3), *[("acknowledge", "me", 1)] * 2]
    assert (found, caller.unanswered) == (OUTCOMES, 0)


def test_nothing_is_not_acknowledged() -> None:
    """It is kept for no caller."""
    assert perform(Caller("me").collect((), lambda: True), ([], ["lease"])) == (
        [("collect", "me", 1)],
        ([], ["lease"]),
    )


def test_outcomes_that_are_not_wanted_any_more_go_to_others() -> None:
    """The leases that came with them are still here."""
    caller = Caller("me")
    messages, found = perform(caller.collect((), lambda: False), (["outcome"], ["lease"]), None)
    assert messages[1:] == [("forgo", "me", 1)]
    assert (found, caller.unanswered) == (([], ["lease"]), 0)


def test_outcomes_that_are_not_wanted_go_to_others_over_the_next_connection_too() -> None:
    """The present one has broken in that instant."""
    caller = Caller("me")
    with pytest.raises(TransportError):
        perform(caller.collect((), lambda: False), OUTCOMES, BROKEN)
    assert caller.before("join") == ("forgo", "me", 1)


def test_new_connection_must_lead_to_the_same_manager() -> None:
    """Numbers of one run mean nothing to another one."""
    caller = Caller("me")
    assert caller.before("exchange") is None
    caller.joined("first run")
    assert caller.before("exchange") is None
    caller.checked = False
    first = caller.before("exchange")
    assert first == ("instance", "me")
    with pytest.raises(NotRegisteredError):
        caller.said(first, "second run")
    caller.said(first, "first run")
    assert caller.before("exchange") is None


def test_join_may_lead_to_any() -> None:
    """It begins anew."""
    caller = Caller("me")
    caller.joined("first run")
    caller.checked = False
    assert caller.before("join") is None


def test_fork_is_another_client() -> None:
    """What its parent waits for is not its own."""
    caller = Caller("me")
    caller.unanswered, caller.number = 5, 5
    caller.become("another")
    assert perform(caller.once("request", ()), 1)[0] == [("request", "another", 1)]
    assert caller.before("ping") is None
