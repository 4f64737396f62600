"""What a worker holds for a master that may come back, and what it lets go."""

from __future__ import annotations

import pytest

from masterworker.core import held
from masterworker.core.hand import Hand
from masterworker.core.task import RESULT, Lease, Outcome, Proof


@pytest.fixture
def hand() -> Hand:
    """A worker's, that has joined a job with a journal."""
    made = Hand(lambda values, _kind: [b"%d" % value for value in values])
    made.joined("one", "job")
    return made


def done(task_id: int, payload: bytes = b"r") -> Outcome:
    """An outcome."""
    return Outcome(task_id, 1, RESULT, [payload])


def deliver(hand: Hand, *outcomes: Outcome, mark: int, kept: int) -> None:
    """Finish tasks, and have the manager's answer."""
    hand.outcomes.extend(outcomes)
    hand.to_send()
    hand.take((), mark, kept)


def ids(hand: Hand) -> tuple[str, list[int]] | None:
    """What is to be brought next: the run, and the tasks."""
    found = hand.held.next()
    return None if found is None else (found[0], [each.task_id for each in found[1]])


def test_what_the_manager_has_and_has_not_kept_is_brought(hand: Hand) -> None:
    """Up to where it keeps outcomes, each reply says."""
    deliver(hand, done(1), done(2), mark=2, kept=0)
    deliver(hand, done(3), mark=5, kept=2)
    deliver(hand, mark=6, kept=4)
    assert ids(hand) is None  # as long as it is the same run
    hand.joined("two", "job")
    assert ids(hand) == ("one", [3])


def test_what_is_kept_at_once_is_not_held(hand: Hand) -> None:
    deliver(hand, done(1), mark=1, kept=1)
    hand.joined("two", "job")
    assert ids(hand) is None


def test_what_was_not_answered_or_not_sent_is_brought(hand: Hand) -> None:
    hand.outcomes.append(done(1))
    hand.to_send()
    hand.outcomes.append(done(2))
    hand.joined("two", "job")
    assert ids(hand) == ("one", [1, 2])


def test_what_is_finished_after_the_master_has_come_back(hand: Hand) -> None:
    """It was under way, and ends up where the first run's outcomes do."""
    before = hand.outcomes
    hand.joined("two", "job")
    assert ids(hand) is None
    before.append(done(7))
    hand.outcomes.append(done(1))
    assert ids(hand) == ("one", [7])
    assert [each.task_id for each in hand.to_send()] == [1]


def test_what_was_brought_is_held_until_it_is_kept(hand: Hand) -> None:
    """The master may be killed once more: it goes on as being of the first run."""
    deliver(hand, done(1), mark=1, kept=0)
    hand.joined("two", "job")
    hand.held.brought(1, 0, "one")
    assert ids(hand) is None
    deliver(hand, done(5), mark=2, kept=0)
    hand.joined("three", "job")
    assert ids(hand) == ("one", [1])
    hand.held.brought(1, 1, "one")
    assert ids(hand) == ("two", [5])
    hand.held.brought(2, 2, "two")
    hand.joined("four", "job")
    assert ids(hand) is None


@pytest.mark.parametrize("job", ["", "another"])
def test_another_job_gets_nothing(hand: Hand, job: str) -> None:
    deliver(hand, done(1), mark=1, kept=0)
    hand.outcomes.append(done(2))
    hand.joined("two", job)
    assert ids(hand) is None
    hand.joined("three", "job")  # and not the first one either: its master was another one since
    assert ids(hand) is None


def test_a_master_without_a_journal_costs_nothing() -> None:
    hand = Hand(lambda values, _kind: [b"%d" % value for value in values])
    hand.joined("one")
    deliver(hand, done(1), mark=0, kept=0)
    hand.joined("two")
    assert ids(hand) is None


def test_the_oldest_are_let_go_beyond_a_bound(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "MOST_BYTES", 100)
    for task_id in range(1, 5):
        deliver(hand, done(task_id, bytes(40)), mark=task_id, kept=0)
    hand.joined("two", "job")
    assert ids(hand) == ("one", [3, 4])


def test_proofs_go_with_what_they_prove(hand: Hand) -> None:
    """With those of other tasks, and of other runs, the master could do nothing."""
    leases = [Lease(1, 1, "a", [b"", b""], proof=b"p1"), Lease(9, 2, "a", [b""], proof=b"p9")]
    hand.take(leases)
    hand.joined("two", "job")
    hand.take([Lease(2, 1, "a", [b""], proof=b"another")])
    assert hand.held.proofs("one", [done(2)]) == [Proof(1, 2, 1, b"p1")]
    assert hand.held.proofs("one", [done(9)]) == [Proof(9, 1, 2, b"p9")]
    assert hand.held.proofs("three", [done(9)]) == []
