"""A lease of several tasks in a worker's hands."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from masterworker.core.chunks import Chunk
from masterworker.core.hand import Hand
from masterworker.core.row import Row
from masterworker.core.task import FAILURE, RESULT, Lease, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable


def pack(values: list[Any], together: bool) -> list[bytes] | Chunk:
    """Results are texts here; three are enough to be put together."""
    if together and len(values) >= 3:
        return Chunk("+".join(values).encode(), 0, len(values))
    return [value.encode() for value in values]


def hand_with(number: int = 5) -> tuple[Hand, Row]:
    hand = Hand(pack)
    hand.take([Lease(10, 1, "a", [b"%d" % i for i in range(number)]), Lease(20, 3, "a", [b"x"])])
    row = hand.leases[0]
    assert isinstance(row, Row)
    return hand, row


def execute(hand: Hand, row: Row, number: int) -> None:
    """The main thread executes some tasks of a row."""
    if not row.begun:
        row.begun = True
        hand.outcomes.append(row)
    for _ in range(number):
        row.results.append(f"r{next(row.coming)}")


def test_results_are_sent_together_and_once() -> None:
    """What is done is delivered while the rest is being executed."""
    hand, row = hand_with()
    execute(hand, row, 2)
    assert list(hand.to_send()) == [Outcome(10, 1, RESULT, [b"r10", b"r11"])]
    hand.take(())
    assert list(hand.to_send()) == []
    execute(hand, row, 3)
    row.over = True
    assert list(hand.to_send()) == [Outcome(12, 1, RESULT, Chunk(b"r12+r13+r14", 0, 3))]
    assert not hand.outcomes


def test_what_was_not_acknowledged_is_sent_again() -> None:
    """A broken connection loses nothing."""
    hand, row = hand_with()
    execute(hand, row, 2)
    hand.to_send()
    execute(hand, row, 1)
    hand.cut_off()
    sent = list(hand.to_send())
    assert sent == [Outcome(10, 1, RESULT, [b"r10", b"r11"]), Outcome(12, 1, RESULT, [b"r12"])]
    assert not row.has_more()


def test_failures_are_outcomes_of_their_own() -> None:
    """What nobody wants has none at all."""
    hand, row = hand_with(8)
    execute(hand, row, 1)
    row.add((FAILURE, b"why"))
    row.add(None)
    execute(hand, row, 2)
    row.add((FAILURE, b"why not"))
    execute(hand, row, 3)
    assert list(hand.to_send()) == [
        Outcome(10, 1, RESULT, [b"r10"]),
        Outcome(11, 1, FAILURE, [b"why"]),
        Outcome(13, 1, RESULT, [b"r11", b"r12"]),
        Outcome(15, 1, FAILURE, [b"why not"]),
        Outcome(16, 1, RESULT, Chunk(b"r13+r14+r15", 0, 3)),
    ]
    assert not row.odd


def test_values_among_pickles_are_pickled_one_by_one() -> None:
    """An object more for each change would cost more than it saves."""
    hand, row = hand_with(9)
    row.add(b"p0")
    execute(hand, row, 3)
    row.add(b"p4")
    row.add((FAILURE, b"why"))
    row.add(b"p6")
    assert list(hand.to_send()) == [
        Outcome(10, 1, RESULT, [b"p0", b"r10", b"r11", b"r12", b"p4"]),
        Outcome(15, 1, FAILURE, [b"why"]),
        Outcome(16, 1, RESULT, [b"p6"]),
    ]
    row.add(None)
    row.add((FAILURE, b"why"))
    row.over = True
    hand.take(())
    assert list(hand.to_send()) == [Outcome(18, 1, FAILURE, [b"why"])]


def test_a_hand_knows_what_is_executed_in_a_row() -> None:
    """Nothing has to be noted for each task."""
    hand, row = hand_with(3)
    hand.executing = row
    assert hand.current == 10
    execute(hand, row, 2)
    assert hand.current == 12
    assert row.put_down() == [12]
    assert hand.current == 0


def test_what_has_not_been_begun_is_put_down_in_order() -> None:
    """The rest of a row, and what comes after it."""
    hand, row = hand_with()
    execute(hand, row, 1)
    next(row.coming)  # it is being executed
    assert hand.put_down() == [12, 13, 14, 20]
    assert hand.put_down() == []
    assert list(hand.leases) == [row]


def test_one_task_is_dropped() -> None:
    """Only what has not been begun can be."""
    hand, row = hand_with()
    execute(hand, row, 1)
    assert not hand.drop(10)
    assert not hand.drop(11)  # the next one: perhaps it is being begun right now
    assert hand.drop(13)
    assert not hand.drop(15)
    assert hand.drop(20)
    assert row.dropped == {10, 11, 13}


def test_another_run_of_the_manager_gets_nothing_of_a_row() -> None:
    """Its numbers mean something else there."""
    hand, row = hand_with()
    hand.joined("one")
    execute(hand, row, 2)
    hand.joined("two")
    row.results.append("late")
    assert list(hand.to_send()) == []
    assert not row.has_more()


class Interleaved(list[int]):
    """Lets the main thread go on while the courier looks, and while it cuts."""

    steps: Callable[[], None]

    def __getitem__(self, part: Any) -> Any:
        self.steps()
        found = super().__getitem__(part)
        self.steps()
        return found

    def __delitem__(self, part: Any) -> None:
        super().__delitem__(part)
        self.steps()


@pytest.mark.parametrize("steps", range(8))
def test_each_task_is_begun_or_given_back_whatever_comes_between(steps: int) -> None:
    """The main thread does not wait for the courier, and begins none that was given back."""
    _, row = hand_with(20)

    def go_on() -> None:
        for task_id in itertools.islice(row.coming, steps):
            assert task_id == row.next
            row.results.append("")

    row.ids = ids = Interleaved(row.ids)
    row.coming = iter(ids)
    go_on()
    ids.steps = go_on
    given = row.put_down()
    go_on()
    assert [*range(10, row.next), *given] == list(range(10, 30))
    assert row.last == row.next - 1 or not given
    assert not row.has_more()


def test_a_row_that_is_done_has_nothing_to_give_back() -> None:
    """Nor has one whose tasks nobody wants any more, nor one that was given back."""
    _, row = hand_with(2)
    for task_id in row.coming:
        row.results.append(task_id)
    assert row.put_down() == []
    _, row = hand_with(2)
    assert row.put_down() == [10, 11]
    assert row.put_down() == []
    assert list(row.coming) == []
    hand, row = hand_with(2)
    next(row.coming)
    hand.cut_off()
    assert row.put_down() == []
    assert row.next == 10
