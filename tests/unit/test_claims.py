"""Claims: which taker is served first, and what is left when none waits."""

from __future__ import annotations

import pytest

from masterworker.core.claims import Claims
from masterworker.core.filters import TagFilter, TagFilters
from masterworker.core.member import Member


@pytest.fixture
def filters() -> TagFilters:
    return TagFilters()


@pytest.fixture
def claims(filters: TagFilters) -> Claims:
    return Claims(filters)


def taker(number: int) -> Member:
    return Member(number, f"w{number}", None, None, 0.0)


def wanted(filters: TagFilters, *tags: str) -> TagFilter:
    return filters.use(frozenset(tags))[0]


def test_the_highest_rank_is_served_first_and_among_equals_the_latest(
    claims: Claims, filters: TagFilters
) -> None:
    a = wanted(filters, "a")
    ids = [claims.park(taker(n), 1, a, rank=rank) for n, rank in enumerate((1.0, 2.0, 2.0))]
    assert [claim.id for claim in claims.able("a")] == [ids[2], ids[1], ids[0]]
    first = claims.next_for("a")
    assert first is not None
    assert first.id == ids[2]
    assert not list(claims.check())


def test_a_claim_is_offered_what_its_filter_accepts(claims: Claims, filters: TagFilters) -> None:
    claims.park(taker(0), 1, wanted(filters, "a"))
    assert claims.next_for("b") is None
    assert list(claims.able("b")) == []


def test_the_filter_whose_claim_waits_longest_is_served_first(
    claims: Claims, filters: TagFilters
) -> None:
    a, everything = wanted(filters, "a"), filters.use(None)[0]
    second = claims.park(taker(0), 1, everything)
    claims.park(taker(1), 1, a)
    first = claims.next_for("a")
    assert first is not None
    assert first.id == second


def test_a_claim_is_taken_back_once(claims: Claims, filters: TagFilters) -> None:
    a = wanted(filters, "a")
    claim = claims.park(taker(0), 1, a)
    assert claims.unpark(claim)
    assert not claims.unpark(claim)
    assert (len(claims), bool(claims), claims.by_filter) == (0, False, {})


def test_all_claims_of_one_taker_are_taken_back(claims: Claims, filters: TagFilters) -> None:
    a, gone, here = wanted(filters, "a"), taker(0), taker(1)
    mine = [claims.park(gone, 1, a) for _ in range(2)]
    other = claims.park(here, 1, a)
    assert claims.unpark_all(gone) == mine
    assert list(claims.by_id) == [other]
    assert not list(claims.check())


def test_a_filter_is_forgotten_with_its_last_claim(claims: Claims, filters: TagFilters) -> None:
    a = wanted(filters, "a")
    claim = claims.park(taker(0), 1, a)
    filters.release(a)
    assert len(filters) == 1
    claims.unpark(claim)
    assert len(filters) == 0


def test_a_claim_that_is_not_ranked_is_found(claims: Claims, filters: TagFilters) -> None:
    claim = claims.park(taker(0), 1, wanted(filters, "a"))
    claims._ranked.clear()
    assert any(f"Claim {claim} " in what for what, _ in claims.check())
