"""Queues by tag that share one order, and the claims that wait at them."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import pytest

from masterworker.core.lanes import BYTES_PER_CLAIM, Lanes, View
from masterworker.core.member import Member
from masterworker.core.task import State, Task

if TYPE_CHECKING:
    from collections.abc import Iterable

ids = count(1)


def item(tag: str, payload: bytes = b"") -> Task:
    return Task(next(ids), tag, payload, direct=False)


def queue(lanes: Lanes, tags: Iterable[str]) -> list[Task]:
    """One item for each of the tags, in this order."""
    items = [item(tag) for tag in tags]
    for one in items:
        lanes.append(one.tag, [one])
    return items


def taker() -> Member:
    return Member(0, "somebody", None, None, 0.0)


@pytest.fixture
def lanes() -> Lanes:
    return Lanes(State.WAITING)


@pytest.fixture
def everything(lanes: Lanes) -> View:
    return lanes.view(None)


# -- order --------------------------------------------------------------------------------------


def test_takes_in_the_order_of_arrival_over_all_tags(lanes: Lanes, everything: View) -> None:
    """Items of several tags leave in the order in which they came."""
    items = queue(lanes, "abacbbca")
    assert lanes.take(everything, 5) == items[:5]
    assert lanes.take(everything, 5) == items[5:]
    assert lanes.take(everything, 5) == []


def test_takes_one_item_at_a_time_in_the_same_order(lanes: Lanes, everything: View) -> None:
    """The size of the portions does not change the order."""
    items = queue(lanes, "abacbbca")
    assert [lanes.take(everything, 1)[0] for _ in items] == items


def test_batch_of_one_tag_keeps_its_order_and_stays_together(
    lanes: Lanes, everything: View
) -> None:
    """What is queued at once leaves in the order given."""
    first, second = [item("a") for _ in range(3)], [item("b") for _ in range(2)]
    lanes.append("a", first)
    lanes.append("b", second)
    assert lanes.take(everything, 9) == first + second


def test_taker_of_some_tags_gets_only_those_in_order(lanes: Lanes) -> None:
    """A declaration of tags selects without changing the order."""
    items = queue(lanes, "abcabc")
    view = lanes.view(frozenset("ac"))
    assert lanes.take(view, 9) == [i for i in items if i.tag != "b"]
    assert list(lanes.items()) == [i for i in items if i.tag == "b"]


def test_view_sees_what_was_queued_before_it_was_made(lanes: Lanes) -> None:
    """A taker that comes late finds what has been waiting."""
    items = queue(lanes, "ba")
    assert lanes.take(lanes.view(frozenset("ab")), 2) == items


def test_takers_of_different_views_do_not_get_in_each_others_way(
    lanes: Lanes, everything: View
) -> None:
    """What one view has taken is gone for the other, and nothing else is."""
    items = queue(lanes, "ababab")
    only = lanes.view(frozenset("a"))
    assert lanes.take(only, 2) == [items[0], items[2]]
    assert lanes.take(everything, 2) == [items[1], items[3]]
    assert lanes.take(only, 2) == [items[4]]
    assert lanes.take(everything, 2) == [items[5]]


@pytest.mark.parametrize("tags", [None, frozenset("a"), frozenset("ab")])
def test_put_back_items_are_the_very_next(lanes: Lanes, tags: frozenset[str] | None) -> None:
    """What is put back comes before everything, for takers of any tag and of one alike."""
    items = queue(lanes, "aaabbb")
    everybody, view = lanes.view(None), lanes.view(tags)
    back = lanes.take(everybody, 2)
    lanes.put_back(back)
    assert lanes.take(view, 2) == items[:2]


def test_put_back_keeps_the_order_over_several_tags(lanes: Lanes, everything: View) -> None:
    """Items of several tags that are put back together leave in the order given."""
    items = queue(lanes, "abbacc")
    lanes.put_back(lanes.take(everything, 4))
    assert lanes.take(everything, 9) == items


def test_later_put_back_comes_first(lanes: Lanes, everything: View) -> None:
    """Of two that were put back, the last one is the next."""
    first, second, third = queue(lanes, "aba")
    lanes.take(everything, 2)
    lanes.put_back([first])
    lanes.put_back([second])
    assert lanes.take(everything, 3) == [second, first, third]


def test_put_back_into_an_empty_queue(lanes: Lanes, everything: View) -> None:
    """Tags whose lanes have gone come back with the item."""
    items = queue(lanes, "ab")
    assert lanes.take(everything, 2) == items
    assert list(lanes.tags) == []
    lanes.put_back(items)
    assert lanes.count == 2
    assert lanes.take(everything, 2) == items


# -- portions -----------------------------------------------------------------------------------


def test_suspect_comes_alone(lanes: Lanes, everything: View) -> None:
    """A suspect item is in no batch with another, before it or behind it."""
    items = queue(lanes, "ababa")
    items[2].suspect = True
    assert lanes.take(everything, 9) == items[:2]
    assert lanes.take(everything, 9) == items[2:3]
    assert lanes.take(everything, 9) == items[3:]


def test_each_of_several_suspects_comes_alone(lanes: Lanes, everything: View) -> None:
    """Two suspects do not come together either."""
    items = queue(lanes, "aa")
    for one in items:
        one.suspect = True
    assert lanes.take(everything, 9) == items[:1]
    assert lanes.take(everything, 9) == items[1:]


def test_budget_ends_a_portion(lanes: Lanes, everything: View) -> None:
    """A portion ends with the item that uses up the budget of bytes."""
    items = [item(tag, b"12345") for tag in "aabb"]
    for one in items:
        lanes.append(one.tag, [one])
    assert lanes.take(everything, 4, budget=6) == items[:2]
    assert lanes.take(everything, 4, budget=5) == items[2:3]
    assert lanes.count == 1


def test_one_item_comes_whatever_its_size(lanes: Lanes, everything: View) -> None:
    """An item beyond the budget comes, and comes alone."""
    big, small = item("a", bytes(BYTES_PER_CLAIM + 1)), item("a")
    lanes.append("a", [big, small])
    assert lanes.take(everything, 2) == [big]
    assert lanes.take(everything, 2) == [small]


def test_taking_nothing_takes_nothing(lanes: Lanes, everything: View) -> None:
    """To want nothing is no error."""
    queue(lanes, "a")
    assert lanes.take(everything, 0) == []
    assert lanes.count == 1


def test_queueing_nothing_leaves_nothing(lanes: Lanes) -> None:
    """An empty batch is no item: no lane comes of it, and later views can be made."""
    lanes.append("a", [])
    assert list(lanes.tags) == []
    assert lanes.take(lanes.view(None), 1) == []


# -- withdrawn items ----------------------------------------------------------------------------


@pytest.mark.parametrize("gone", [(0,), (1,), (2,), (0, 1), (0, 3), (1, 2)])
def test_withdrawn_items_never_come(lanes: Lanes, everything: View, gone: tuple[int, ...]) -> None:
    """Items that have changed state meanwhile are passed over, wherever they are."""
    items = queue(lanes, "abab")
    for n in gone:
        items[n].state = State.SETTLED
        lanes.withdraw()
    left = [one for n, one in enumerate(items) if n not in gone]
    assert lanes.count == len(left) == sum(lanes.counts().values())
    assert lanes.take(everything, 9) == left
    assert lanes.count == 0
    assert list(lanes.tags) == []


def test_only_withdrawn_items_are_nothing(lanes: Lanes, everything: View) -> None:
    """A claim is not served with nothing because only withdrawn items are there."""
    (gone,) = queue(lanes, "a")
    gone.state = State.SETTLED
    lanes.withdraw()
    claim = lanes.park(taker(), 1, everything)
    assert lanes.match(lambda c: lanes.take(c.view, c.want)) == []
    assert [waiting.id for waiting in lanes.claims] == [claim]
    assert lanes.counts() == {}


def test_counts_by_tag(lanes: Lanes, everything: View) -> None:
    """Items that are alive are counted by tag."""
    queue(lanes, "abaab")
    assert lanes.counts() == {"a": 3, "b": 2}
    lanes.take(everything, 2)
    assert lanes.counts() == {"a": 2, "b": 1}


# -- claims -------------------------------------------------------------------------------------


def test_claims_are_served_by_rank(lanes: Lanes, everything: View) -> None:
    """Higher ranks first; among equals, who came last; one that was taken back is not missed."""
    ranks = (2.0, 1.0, 2.0, 3.0, 1.0)
    claims = [lanes.park(taker(), 1, everything, 0.0, rank) for rank in ranks]
    assert [claim.id for claim in lanes.idle("a")] == [claims[n] for n in (3, 2, 0, 4, 1)]
    assert lanes.unpark(claims[0])
    queue(lanes, "aaaa")
    served = lanes.match(lambda c: lanes.take(c.view, c.want))
    assert [claim.id for claim, _ in served] == [claims[n] for n in (3, 2, 4, 1)]
    assert not everything.idle


def test_without_ranks_the_oldest_claim_is_served_first(lanes: Lanes, everything: View) -> None:
    """Who waits for outcomes is served by age, and each once."""
    claims = [lanes.park(taker(), 1, everything) for _ in range(3)]
    items = queue(lanes, "ab")
    served = lanes.match(lambda c: lanes.take(c.view, c.want))
    assert [(claim.id, got) for claim, got in served] == [
        (claims[0], items[:1]),
        (claims[1], items[1:]),
    ]
    assert [claim.id for claim in lanes.claims] == claims[2:]
    assert lanes.match(lambda c: lanes.take(c.view, c.want)) == []


def test_claim_is_served_for_its_own_tags_only(lanes: Lanes) -> None:
    """One item wakes one claim that can use it, and none of a herd of others."""
    herd = [lanes.park(taker(), 1, lanes.view(frozenset("b"))) for _ in range(50)]
    right = lanes.park(taker(), 1, lanes.view(frozenset("a")))
    items = queue(lanes, "a")
    served = lanes.match(lambda c: lanes.take(c.view, c.want))
    assert [(claim.id, got) for claim, got in served] == [(right, items)]
    assert [claim.id for claim in lanes.claims] == herd


def test_claim_gets_as_much_as_it_wants(lanes: Lanes, everything: View) -> None:
    """The size of a portion is what the caller makes of the wish."""
    lanes.park(taker(), 2, everything)
    lanes.park(taker(), 10, everything)
    items = queue(lanes, "aaaaaa")
    served = lanes.match(lambda c: lanes.take(c.view, min(c.want, 3)))
    assert [got for _, got in served] == [items[:2], items[2:5]]


def test_claim_that_was_taken_back_gets_nothing(lanes: Lanes, everything: View) -> None:
    """A claim can be taken back once; then the next one is served."""
    first, second = (lanes.park(taker(), 1, everything) for _ in range(2))
    assert lanes.unpark(first)
    assert not lanes.unpark(first)
    queue(lanes, "a")
    assert [claim.id for claim, _ in lanes.match(lambda c: lanes.take(c.view, c.want))] == [second]
    assert not lanes.unpark(second)


def test_claims_of_one_taker_go_together(lanes: Lanes, everything: View) -> None:
    """All claims of a process that is gone are taken back, and no others."""
    gone, here = taker(), taker()
    first = lanes.park(gone, 1, everything)
    kept = lanes.park(here, 1, everything)
    second = lanes.park(gone, 1, lanes.view(frozenset("a")))
    assert lanes.unpark_all(gone) == [first, second]
    assert [claim.id for claim in lanes.claims] == [kept]


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
    view = View(tags)
    assert {tag for tag in ("a", "b", "@f", "@g") if view.accepts(tag)} == accepted


def test_calls_are_taken_by_those_who_declare_the_mark(lanes: Lanes, everything: View) -> None:
    """The order over calls and other tags is one and the same."""
    items = queue(lanes, ["@f", "a", "@g", "b"])
    assert lanes.take(lanes.view(frozenset(("a", "@"))), 9) == items[:3]
    assert lanes.take(everything, 9) == items[3:]


def test_view_of_one_tag_does_not_look_at_all_others(
    lanes: Lanes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it costs to ask for one tag does not depend on how many tags wait."""
    queue(lanes, [f"t{n}" for n in range(1_000)])
    asked = []
    accepts = View.accepts
    monkeypatch.setattr(View, "accepts", lambda view, tag: asked.append(tag) or accepts(view, tag))
    view = lanes.view(frozenset(("t500",)))
    assert [one.tag for one in lanes.take(view, 9)] == ["t500"]
    assert len(asked) < 10


# -- memory -------------------------------------------------------------------------------------


def test_views_are_shared_and_given_up_with_their_last_user(lanes: Lanes) -> None:
    """There is one view for each declaration, for as long as somebody uses it."""
    tags = frozenset("a")
    view = lanes.view(tags)
    assert lanes.view(tags) is view
    claim = lanes.park(taker(), 1, view)
    lanes.release(view)
    lanes.release(view)
    assert lanes.view(tags) is view, "a claim still waits"
    lanes.release(view)
    assert lanes.unpark(claim)
    assert lanes._views == {}
    assert lanes.view(tags) is not view


def test_served_claim_gives_up_its_view(lanes: Lanes) -> None:
    """A view that only a claim used is gone when the claim has been served."""
    view = lanes.view(frozenset("a"))
    lanes.park(taker(), 1, view)
    lanes.release(view)
    queue(lanes, "a")
    assert len(lanes.match(lambda c: lanes.take(c.view, c.want))) == 1
    assert lanes._views == {}


def test_heap_does_not_grow_with_put_backs(lanes: Lanes, everything: View) -> None:
    """Items that come back again and again do not fill the memory, used view or not."""
    unused = lanes.view(frozenset("abc"))
    items = queue(lanes, "abc")
    for _ in range(2_000):
        lanes.put_back(lanes.take(everything, 2))
    assert len(everything._heap) < 100
    assert len(unused._heap) < 100
    assert lanes.take(unused, 9) == items


def test_heap_does_not_grow_with_tags_that_come_and_go(lanes: Lanes, everything: View) -> None:
    """Tags that are used once leave nothing, not even with takers that never take."""
    unused = lanes.view(frozenset(f"t{n}" for n in range(2_000)))
    for n in range(2_000):
        (one,) = queue(lanes, [f"t{n}"])
        assert lanes.take(everything, 1) == [one]
    for view in (everything, unused):
        assert len(view._heap) < 100
        assert view._best == {}
