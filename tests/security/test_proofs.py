"""A worker with a ticket brings to the next run of its master what it was handed, and no more."""

from __future__ import annotations

import hashlib

import pytest

from masterworker.core.task import RESULT, Lease, Outcome, Proof
from masterworker.manager.proofs import Proofs


def sign(text: str) -> bytes:
    """What only the job can make."""
    return hashlib.blake2b(text.encode(), key=b"the job's", digest_size=16).digest()


PROOFS = Proofs(sign, "serial 1")
#: Tasks 5 to 7, which a run named "one" had handed out, as their second attempt.
(LEASE,) = PROOFS.added([Lease(5, 2, "a", [b"", b"", b""])], "one")
GOOD = Proof(5, 3, 2, LEASE.proof)


def outcome(first: int, number: int = 1, attempt: int = 2) -> Outcome:
    """What it brings."""
    return Outcome(first, attempt, RESULT, [b"%d" % i for i in range(first, first + number)])


def proved(some: Outcome, *proofs: Proof, of: Proofs = PROOFS, run: str = "one") -> list[int]:
    """Which of the tasks count."""
    return [each.task_id for each in of.proved(run, [some], proofs)]


def test_what_it_was_handed_counts() -> None:
    assert proved(outcome(5, 3), GOOD) == [5, 6, 7]
    assert proved(outcome(6), GOOD) == [6]


def test_what_it_was_not_handed_does_not() -> None:
    assert proved(outcome(4, 5), GOOD) == [5, 6, 7]
    assert proved(outcome(8), GOOD) == []
    assert proved(outcome(5)) == []


@pytest.mark.parametrize(
    "forged",
    [
        Proof(4, 4, 2, LEASE.proof),  # more of them
        Proof(5, 300, 2, LEASE.proof),
        Proof(5, 3, 3, LEASE.proof),  # a later attempt
        Proof(5, 3, 2, bytes(16)),
        Proof(5, 3, 2, b""),
        Proof(5, 3, 2, LEASE.proof[:-1]),
    ],
)
def test_proofs_cannot_be_changed(forged: Proof) -> None:
    assert proved(outcome(5, 3, forged.attempt), forged) == []


def test_another_ticket_another_run_and_another_attempt() -> None:
    assert proved(outcome(5), GOOD, of=Proofs(sign, "serial 2")) == []
    assert proved(outcome(5), GOOD, run="two") == []
    assert proved(outcome(5, attempt=1), GOOD) == []


def test_one_proof_a_thousand_times_is_judged_once() -> None:
    """Else a short message costs the master minutes."""
    judged = []

    def counting(text: str) -> bytes:
        judged.append(text)
        return sign(text)

    many = [Proof(5, 3, 2, LEASE.proof) for _ in range(1000)]
    assert proved(outcome(5, 3), *many, of=Proofs(counting, "serial 1")) == [5, 6, 7]
    assert len(judged) == 1
