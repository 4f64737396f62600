"""Queues by tag that share one order, and the claims that wait at them."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import pytest

from masterworker.core.filters import TagFilter
from masterworker.core.member import Member
from masterworker.core.task import State, Task
from masterworker.core.task_queues import BYTES_PER_CLAIM, TaskQueues

if TYPE_CHECKING:
    from collections.abc import Iterable

ids = count(1)


def item(tag: str, payload: bytes = b"") -> Task:
    return Task(next(ids), tag, payload, direct=False)


def queue(queues: TaskQueues, tags: Iterable[str]) -> list[Task]:
    """One item for each of the tags, in this order."""
    items = [item(tag) for tag in tags]
    for one in items:
        queues.append(one.tag, [one])
    return items


def taker() -> Member:
    return Member(0, "somebody", None, None, 0.0)


@pytest.fixture
def queues() -> TaskQueues:
    return TaskQueues(State.WAITING)


@pytest.fixture
def everything(queues: TaskQueues) -> TagFilter:
    return queues.use_filter(None)


# -- order --------------------------------------------------------------------------------------


def test_takes_in_the_order_of_arrival_over_all_tags(
    queues: TaskQueues, everything: TagFilter
) -> None:
    """Items of several tags leave in the order in which they came."""
    items = queue(queues, "abacbbca")
    assert queues.take(everything, 5) == items[:5]
    assert queues.take(everything, 5) == items[5:]
    assert queues.take(everything, 5) == []


def test_takes_one_item_at_a_time_in_the_same_order(
    queues: TaskQueues, everything: TagFilter
) -> None:
    """The size of the portions does not change the order."""
    items = queue(queues, "abacbbca")
    assert [queues.take(everything, 1)[0] for _ in items] == items


def test_batch_of_one_tag_keeps_its_order_and_stays_together(
    queues: TaskQueues, everything: TagFilter
) -> None:
    """What is queued at once leaves in the order given."""
    first, second = [item("a") for _ in range(3)], [item("b") for _ in range(2)]
    queues.append("a", first)
    queues.append("b", second)
    assert queues.take(everything, 9) == first + second


def test_taker_of_some_tags_gets_only_those_in_order(queues: TaskQueues) -> None:
    """A declaration of tags selects without changing the order."""
    items = queue(queues, "abcabc")
    wanted = queues.use_filter(frozenset("ac"))
    assert queues.take(wanted, 9) == [i for i in items if i.tag != "b"]
    assert list(queues.items()) == [i for i in items if i.tag == "b"]


def test_filter_sees_what_was_queued_before_it_was_made(queues: TaskQueues) -> None:
    """A taker that comes late finds what has been waiting."""
    items = queue(queues, "ba")
    assert queues.take(queues.use_filter(frozenset("ab")), 2) == items


def test_takers_with_different_filters_do_not_get_in_each_others_way(
    queues: TaskQueues, everything: TagFilter
) -> None:
    """What one filter has taken is gone for the other, and nothing else is."""
    items = queue(queues, "ababab")
    only = queues.use_filter(frozenset("a"))
    assert queues.take(only, 2) == [items[0], items[2]]
    assert queues.take(everything, 2) == [items[1], items[3]]
    assert queues.take(only, 2) == [items[4]]
    assert queues.take(everything, 2) == [items[5]]


@pytest.mark.parametrize("tags", [None, frozenset("a"), frozenset("ab")])
def test_put_back_items_are_the_very_next(queues: TaskQueues, tags: frozenset[str] | None) -> None:
    """What is put back comes before everything, for takers of any tag and of one alike."""
    items = queue(queues, "aaabbb")
    everybody, wanted = queues.use_filter(None), queues.use_filter(tags)
    back = queues.take(everybody, 2)
    queues.put_back(back)
    assert queues.take(wanted, 2) == items[:2]


def test_put_back_keeps_the_order_over_several_tags(
    queues: TaskQueues, everything: TagFilter
) -> None:
    """Items of several tags that are put back together leave in the order given."""
    items = queue(queues, "abbacc")
    queues.put_back(queues.take(everything, 4))
    assert queues.take(everything, 9) == items


def test_later_put_back_comes_first(queues: TaskQueues, everything: TagFilter) -> None:
    """Of two that were put back, the last one is the next."""
    first, second, third = queue(queues, "aba")
    queues.take(everything, 2)
    queues.put_back([first])
    queues.put_back([second])
    assert queues.take(everything, 3) == [second, first, third]


def test_put_back_into_an_empty_queue(queues: TaskQueues, everything: TagFilter) -> None:
    """Tags whose queues have gone come back with the item."""
    items = queue(queues, "ab")
    assert queues.take(everything, 2) == items
    assert list(queues.tags) == []
    queues.put_back(items)
    assert queues.count == 2
    assert queues.take(everything, 2) == items


# -- portions -----------------------------------------------------------------------------------


def test_suspect_comes_alone(queues: TaskQueues, everything: TagFilter) -> None:
    """A suspect item is in no batch with another, before it or behind it."""
    items = queue(queues, "ababa")
    items[2].suspect = True
    assert queues.take(everything, 9) == items[:2]
    assert queues.take(everything, 9) == items[2:3]
    assert queues.take(everything, 9) == items[3:]


def test_each_of_several_suspects_comes_alone(queues: TaskQueues, everything: TagFilter) -> None:
    """Two suspects do not come together either."""
    items = queue(queues, "aa")
    for one in items:
        one.suspect = True
    assert queues.take(everything, 9) == items[:1]
    assert queues.take(everything, 9) == items[1:]


def test_budget_ends_a_portion(queues: TaskQueues, everything: TagFilter) -> None:
    """A portion ends with the item that uses up the budget of bytes."""
    items = [item(tag, b"12345") for tag in "aabb"]
    for one in items:
        queues.append(one.tag, [one])
    assert queues.take(everything, 4, budget=6) == items[:2]
    assert queues.take(everything, 4, budget=5) == items[2:3]
    assert queues.count == 1


def test_one_item_comes_whatever_its_size(queues: TaskQueues, everything: TagFilter) -> None:
    """An item beyond the budget comes, and comes alone."""
    big, small = item("a", bytes(BYTES_PER_CLAIM + 1)), item("a")
    queues.append("a", [big, small])
    assert queues.take(everything, 2) == [big]
    assert queues.take(everything, 2) == [small]


def test_taking_nothing_takes_nothing(queues: TaskQueues, everything: TagFilter) -> None:
    """To want nothing is no error."""
    queue(queues, "a")
    assert queues.take(everything, 0) == []
    assert queues.count == 1


def test_queueing_nothing_leaves_nothing(queues: TaskQueues) -> None:
    """An empty batch is no item: no lane comes of it, and later filters can be made."""
    queues.append("a", [])
    assert list(queues.tags) == []
    assert queues.take(queues.use_filter(None), 1) == []


# -- withdrawn items ----------------------------------------------------------------------------


@pytest.mark.parametrize("gone", [(0,), (1,), (2,), (0, 1), (0, 3), (1, 2)])
def test_withdrawn_items_never_come(
    queues: TaskQueues, everything: TagFilter, gone: tuple[int, ...]
) -> None:
    """Items that have changed state meanwhile are passed over, wherever they are."""
    items = queue(queues, "abab")
    for n in gone:
        items[n].state = State.SETTLED
        queues.withdraw(items[n])
    left = [one for n, one in enumerate(items) if n not in gone]
    assert queues.count == len(left) == sum(queues.by_tag().values())
    assert queues.take(everything, 9) == left
    assert queues.count == 0
    assert list(queues.tags) == []


def test_only_withdrawn_items_are_nothing(queues: TaskQueues, everything: TagFilter) -> None:
    """A claim is not served with nothing because only withdrawn items are there."""
    (gone,) = queue(queues, "a")
    gone.state = State.SETTLED
    queues.withdraw(gone)
    claim = queues.claims.park(taker(), 1, everything)
    assert queues.match(lambda c: queues.take(c.filter, c.want)) == []
    assert [waiting.id for waiting in queues.claims] == [claim]
    assert queues.by_tag() == {}


def test_counts_by_tag(queues: TaskQueues, everything: TagFilter) -> None:
    """Items that are alive are counted by tag."""
    queue(queues, "abaab")
    assert queues.by_tag() == {"a": 3, "b": 2}
    queues.take(everything, 2)
    assert queues.by_tag() == {"a": 2, "b": 1}


# -- claims -------------------------------------------------------------------------------------


def test_claims_are_served_by_rank(queues: TaskQueues, everything: TagFilter) -> None:
    """Higher ranks first; among equals, who came last; one that was taken back is not missed."""
    ranks = (2.0, 1.0, 2.0, 3.0, 1.0)
    claims = [queues.claims.park(taker(), 1, everything, 0.0, rank) for rank in ranks]
    assert [claim.id for claim in queues.claims.able("a")] == [claims[n] for n in (3, 2, 0, 4, 1)]
    assert queues.claims.unpark(claims[0])
    queue(queues, "aaaa")
    served = queues.match(lambda c: queues.take(c.filter, c.want))
    assert [claim.id for claim, _ in served] == [claims[n] for n in (3, 2, 4, 1)]
    assert not queues.claims.by_filter


def test_without_ranks_the_oldest_claim_is_served_first(
    queues: TaskQueues, everything: TagFilter
) -> None:
    """Who waits for outcomes is served by age, and each once."""
    claims = [queues.claims.park(taker(), 1, everything) for _ in range(3)]
    items = queue(queues, "ab")
    served = queues.match(lambda c: queues.take(c.filter, c.want))
    assert [(claim.id, got) for claim, got in served] == [
        (claims[0], items[:1]),
        (claims[1], items[1:]),
    ]
    assert [claim.id for claim in queues.claims] == claims[2:]
    assert queues.match(lambda c: queues.take(c.filter, c.want)) == []


def test_claim_is_served_for_its_own_tags_only(queues: TaskQueues) -> None:
    """One item wakes one claim that can use it, and none of a herd of others."""
    herd = [queues.claims.park(taker(), 1, queues.use_filter(frozenset("b"))) for _ in range(50)]
    right = queues.claims.park(taker(), 1, queues.use_filter(frozenset("a")))
    items = queue(queues, "a")
    served = queues.match(lambda c: queues.take(c.filter, c.want))
    assert [(claim.id, got) for claim, got in served] == [(right, items)]
    assert [claim.id for claim in queues.claims] == herd


def test_claim_gets_as_much_as_it_wants(queues: TaskQueues, everything: TagFilter) -> None:
    """The size of a portion is what the caller makes of the wish."""
    queues.claims.park(taker(), 2, everything)
    queues.claims.park(taker(), 10, everything)
    items = queue(queues, "aaaaaa")
    served = queues.match(lambda c: queues.take(c.filter, min(c.want, 3)))
    assert [got for _, got in served] == [items[:2], items[2:5]]


def test_claim_that_was_taken_back_gets_nothing(queues: TaskQueues, everything: TagFilter) -> None:
    """A claim can be taken back once; then the next one is served."""
    first, second = (queues.claims.park(taker(), 1, everything) for _ in range(2))
    assert queues.claims.unpark(first)
    assert not queues.claims.unpark(first)
    queue(queues, "a")
    assert [claim.id for claim, _ in queues.match(lambda c: queues.take(c.filter, c.want))] == [
        second
    ]
    assert not queues.claims.unpark(second)


def test_claims_of_one_taker_go_together(queues: TaskQueues, everything: TagFilter) -> None:
    """All claims of a process that is gone are taken back, and no others."""
    gone, here = taker(), taker()
    first = queues.claims.park(gone, 1, everything)
    kept = queues.claims.park(here, 1, everything)
    second = queues.claims.park(gone, 1, queues.use_filter(frozenset("a")))
    assert queues.claims.unpark_all(gone) == [first, second]
    assert [claim.id for claim in queues.claims] == [kept]


# -- declarations -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tags", "accepted"),
    [
        (None, {"a", "b"}),
        (frozenset(), set()),
        (frozenset("a"), {"a"}),
        (frozenset(("a", "@")), {"a", "@f", "@g"}),
        (frozenset("@"), {"@f", "@g"}),
        (frozenset(("b", "@g")), {"b", "@g"}),
    ],
)
def test_accepted_tags(tags: frozenset[str] | None, accepted: set[str]) -> None:
    """Calls are for those who declare the mark or this very call; None means all but calls."""
    wanted = TagFilter(tags)
    assert {tag for tag in ("a", "b", "@f", "@g") if wanted.accepts(tag)} == accepted


def test_calls_are_taken_by_those_who_declare_the_mark(
    queues: TaskQueues, everything: TagFilter
) -> None:
    """The order over calls and other tags is one and the same."""
    items = queue(queues, ["@f", "a", "@g", "b"])
    assert queues.take(queues.use_filter(frozenset(("a", "@"))), 9) == items[:3]
    assert queues.take(everything, 9) == items[3:]


def test_filter_of_one_tag_does_not_look_at_all_others(
    queues: TaskQueues, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it costs to ask for one tag does not depend on how many tags wait."""
    queue(queues, [f"t{n}" for n in range(1_000)])
    asked = []
    accepts = TagFilter.accepts
    monkeypatch.setattr(
        TagFilter, "accepts", lambda wanted, tag: asked.append(tag) or accepts(wanted, tag)
    )
    wanted = queues.use_filter(frozenset(("t500",)))
    assert [one.tag for one in queues.take(wanted, 9)] == ["t500"]
    assert len(asked) < 10


# -- memory -------------------------------------------------------------------------------------


def test_filters_are_shared_and_given_up_with_their_last_user(queues: TaskQueues) -> None:
    """There is one filter for each declaration, for as long as somebody uses it."""
    tags = frozenset("a")
    wanted = queues.use_filter(tags)
    assert queues.use_filter(tags) is wanted
    claim = queues.claims.park(taker(), 1, wanted)
    queues.release(wanted)
    queues.release(wanted)
    assert queues.use_filter(tags) is wanted, "a claim still waits"
    queues.release(wanted)
    assert queues.claims.unpark(claim)
    assert list(queues.filters) == []
    assert queues.use_filter(tags) is not wanted


def test_served_claim_gives_up_its_view(queues: TaskQueues) -> None:
    """A wanted that only a claim used is gone when the claim has been served."""
    wanted = queues.use_filter(frozenset("a"))
    queues.claims.park(taker(), 1, wanted)
    queues.release(wanted)
    queue(queues, "a")
    assert len(queues.match(lambda c: queues.take(c.filter, c.want))) == 1
    assert list(queues.filters) == []


def test_heap_does_not_grow_with_put_backs(queues: TaskQueues, everything: TagFilter) -> None:
    """Items that come back again and again do not fill the memory, used wanted or not."""
    unused = queues.use_filter(frozenset("abc"))
    items = queue(queues, "abc")
    for _ in range(2_000):
        queues.put_back(queues.take(everything, 2))
    assert len(everything._heap) < 100
    assert len(unused._heap) < 100
    assert queues.take(unused, 9) == items


def test_heap_does_not_grow_with_tags_that_come_and_go(
    queues: TaskQueues, everything: TagFilter
) -> None:
    """Tags that are used once leave nothing, not even with takers that never take."""
    unused = queues.use_filter(frozenset(f"t{n}" for n in range(2_000)))
    for n in range(2_000):
        (one,) = queue(queues, [f"t{n}"])
        assert queues.take(everything, 1) == [one]
    for wanted in (everything, unused):
        assert len(wanted._heap) < 100
        assert wanted._best == {}
