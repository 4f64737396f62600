"""First-in-first-out queues by tag that share one order, and the claims that wait at them.

The scheduler uses two of these: one for the tasks that wait for a worker, one for the outcomes
that wait to be picked up. Both sides need the same things: the next item of one tag or the next
of any, in order; putting items back to the very front; and takers that found nothing and wait,
each woken for its own item only.

Every operation costs O(1) for an item, plus O(log t) when it crosses from one lane to another,
with t the number of lanes that have items: one for each tag and, where there are priorities, for
each priority of a tag. Withdrawn items are not searched for: they change state and are dropped
when they reach the head of their lane.
"""

from __future__ import annotations

from bisect import bisect_left, insort_right
from collections import deque
from heapq import heapify, heappop, heappush, heapreplace
from itertools import chain, count
from operator import attrgetter
from typing import TYPE_CHECKING

from masterworker.core.blocks import Block
from masterworker.core.chunks import weight

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from masterworker.core.blocks import Item
    from masterworker.core.member import Member
    from masterworker.core.task import State

#: Tags that begin with this are calls of functions, which travel with the task: a process that
#: declares this mark can do all of them.
CALL_MARK = "@"

#: A claim gets at most so many bytes of payload at a time (but always one item), so that no
#: message gets near what the transport can carry at once.
BYTES_PER_CLAIM = 16 << 20

#: Items of one priority come before all items of lower ones: each has a range of positions of
#: its own, so wide that no job fills it.
BAND = 1 << 60

_rank = attrgetter("rank")

#: What names a lane: a tag, or, for another priority than 0, a tag and the priority.
Key = str | tuple[str, int]


class View:
    """The lanes that takers with one declaration of tags can use, in the order of their heads.

    Args:
        tags: What the takers declare. None: every tag that is not a call.
    """

    def __init__(self, tags: frozenset[str] | None) -> None:
        self.tags = tags
        self.users = 0
        #: Claims that found nothing, by rank: the last is served first.
        self.idle: list[Claim] = []
        #: (order of the lane's head, tag). An entry that `best` does not confirm is dead.
        self._heap: list[tuple[int, Key]] = []
        self._best: dict[Key, int] = {}

    def accepts(self, tag: str) -> bool:
        """Tell whether takers of this view may have items of this tag."""
        if tag.startswith(CALL_MARK):
            return self.tags is not None and (CALL_MARK in self.tags or tag in self.tags)
        return self.tags is None or tag in self.tags

    def offer(self, order: int, key: Key) -> None:
        """A lane has a new head."""
        self._best[key] = order
        heappush(self._heap, (order, key))
        if len(self._heap) > 2 * len(self._best) + 64:
            self._heap = [(best, name) for name, best in self._best.items()]
            heapify(self._heap)

    def forget(self, key: Key) -> None:
        """A lane has run empty."""
        self._best.pop(key, None)

    def first(self, lanes: dict[Key, deque[Item]]) -> tuple[Key, int | None] | None:
        """Name the lane whose head comes first.

        Returns:
            The lane, and the order up to which it may be taken before another lane comes first
            (None: no other lane); or None when every lane is empty.
        """
        heap, best = self._heap, self._best
        while heap:
            order, key = heap[0]
            if best.get(key) != order:
                heappop(heap)
                continue
            actual = lanes[key][0].order
            if actual != order:  # takers of another view were here
                best[key] = actual
                heapreplace(heap, (actual, key))
                continue
            limit = min((entry[0] for entry in heap[1:3]), default=None)
            return key, limit
        return None


class Claim:
    """A taker that found nothing and waits."""

    __slots__ = ("id", "rank", "seconds", "taker", "view", "want")

    def __init__(
        self,
        id: int,  # noqa: A002
        taker: Member,
        want: int,
        view: View,
        seconds: float,
        rank: float,
    ) -> None:
        self.id, self.taker, self.want, self.view = id, taker, want, view
        #: Higher ones are served first; among equals, who came last.
        self.rank = rank
        #: About so many seconds of work; 0.0: whatever `want` is.
        self.seconds = seconds


class Lanes:
    """Items by tag, in one order, and the claims that wait for them.

    Args:
        alive: The state in which an item counts; one in another state has been withdrawn.
        claim_ids: Where the ids of claims come from, so that several lanes can share them.
    """

    def __init__(self, alive: State, claim_ids: Iterator[int] | None = None) -> None:
        self._alive = alive
        self._lanes: dict[Key, deque[Item]] = {}
        #: The lanes of other priorities than 0.
        self._ranked: set[Key] = set()
        self._views: dict[frozenset[str] | None, View] = {}
        self._claims: dict[int, Claim] = {}
        #: The claims that wait, for those who only want to know whether there are any.
        self.parked: Mapping[int, Claim] = self._claims
        #: The lanes that have items (perhaps withdrawn ones only), for the same.
        self.lanes: Mapping[Key, deque[Item]] = self._lanes
        self._claim_ids = count(1) if claim_ids is None else claim_ids
        self._back = 0
        self._front = 0
        #: Tasks that are alive.
        self.count = 0

    # -- items ------------------------------------------------------------------------------

    def append(self, tag: str, items: Iterable[Item], priority: int = 0) -> None:
        """Queue items of one tag, all of them alive, behind everything else of their priority."""
        key = (tag, priority) if priority else tag
        lane = self._lanes.get(key)
        fresh = lane is None
        if lane is None:
            lane = deque()
        shift = priority * BAND
        order = self._back - shift
        for item in items:
            order += 1
            item.order = order
            lane.append(item)
            self.count += item.size
        self._back = order + shift
        if fresh and lane:
            self._open(key, lane)

    def put_back(self, items: Sequence[Item]) -> None:
        """Put items to the very front of their priority, in the order given."""
        for item in reversed(items):
            self._front -= 1
            item.order = self._front - item.priority * BAND
            key = key_of(item)
            lane = self._lanes.get(key)
            if lane is None:
                self._open(key, deque((item,)))
            else:
                lane.appendleft(item)
                self._announce(item.order, key)
            self.count += item.size

    def withdraw(self) -> None:
        """Take note that the caller has withdrawn one task, by changing its state or its block."""
        self.count -= 1

    def take(
        self,
        view: View,
        want: int,
        budget: int = BYTES_PER_CLAIM,
        most: Callable[[Key], int] | None = None,
    ) -> list[Item]:
        """Take the next items of a view.

        A suspect item comes alone: never in one batch with another. Of a block as much is cut off
        as may be taken.

        Args:
            view: Whose items.
            want: How many tasks at most.
            budget: How many bytes.
            most: Tells how many tasks of a lane are as much as may be taken. What has been taken
                of others counts by its part.

        Returns:
            At least one item if there is any, at most `want` tasks, and no more after `budget`
            bytes.
        """
        taken: list[Item] = []
        lanes, room, fit = self._lanes, 1.0, want
        while want > 0 and budget > 0 and (turn := view.first(lanes)):
            key, limit = turn
            number = want
            if most is not None:
                fit = most(key)
                number = min(want, max(int(room * fit + 1e-9), 0 if taken else 1))
                if not number:
                    break
            got, budget, suspect = self._take_from(lanes[key], limit, number, budget, taken)
            want = 0 if suspect else want - got
            room -= got / fit
            if not lanes[key]:
                self._drop(key)
        return taken

    def _take_from(
        self, lane: deque[Item], limit: int | None, want: int, budget: int, taken: list[Item]
    ) -> tuple[int, int, bool]:
        """Take items of one lane, until another one comes first.

        Returns:
            How many tasks were taken, what is left of the budget, and whether a suspect is met.
        """
        alive, most = self._alive, want
        while lane and want > 0 and budget > 0:
            item = lane[0]
            if limit is not None and item.order > limit:
                break
            if item.state is alive:
                if isinstance(item, Block):
                    piece = self._cut(lane, item, want, budget)
                    taken.append(piece)
                    want -= piece.size
                    budget -= _weight(piece)
                    continue
                if item.suspect:
                    if not taken:
                        taken.append(item)
                        self.count -= 1
                        lane.popleft()
                    return most - want, budget, True
                taken.append(item)
                self.count -= 1
                want -= 1
                budget -= len(item.payload)
            lane.popleft()
        return most - want, budget, False

    def _cut(self, lane: deque[Item], block: Block, want: int, budget: int) -> Item:
        """Take as much as may be taken off the block at the head of a lane."""
        piece = block.cut(want, budget)
        self.count -= piece.size
        if piece is block or block.state is not self._alive:
            lane.popleft()
        return piece

    def counts(self) -> dict[str, int]:
        """Count the items that are alive, by tag. Costs O(items)."""
        alive = self._alive
        found: dict[str, int] = {}
        for key, lane in self._lanes.items():
            number = sum(item.size for item in lane if item.state is alive)
            if number:
                tag = _tag_of(key)
                found[tag] = found.get(tag, 0) + number
        return found

    # -- takers -----------------------------------------------------------------------------

    def view(self, tags: frozenset[str] | None) -> View:
        """Start using the view of a declaration of tags; `release` it after use."""
        view = self._views.get(tags)
        if view is None:
            view = self._views[tags] = View(tags)
            keys: Iterable[Key] = self._lanes
            if tags is not None and CALL_MARK not in tags:
                keys = chain(tags, self._ranked)
            for key in keys:
                if key in self._lanes and view.accepts(_tag_of(key)):
                    view.offer(self._lanes[key][0].order, key)
        view.users += 1
        return view

    def release(self, view: View) -> None:
        """Stop using a view."""
        view.users -= 1
        if not view.users:
            self._views.pop(view.tags, None)

    def park(
        self,
        taker: Member,
        want: int,
        view: View,
        seconds: float = 0.0,
        rank: float | None = None,
    ) -> int:
        """Let a taker that found nothing wait.

        Args:
            taker: Who waits.
            want: For how many items at most.
            view: Of which tags.
            seconds: For about so much work; 0.0: for whatever `want` is.
            rank: Those of higher ranks are served first; None: first come, first served.

        Returns:
            The id of the claim.
        """
        number = next(self._claim_ids)
        claim = Claim(number, taker, want, view, seconds, -number if rank is None else rank)
        self._claims[number] = claim
        insort_right(view.idle, claim, key=_rank)
        view.users += 1
        return number

    def taker_of(self, tag: str) -> Claim | None:
        """Return the claim that a new item of a tag is for; None: it has to wait itself.

        A claim waits only where nothing is left for it. So this is the one that `match` would
        serve, if the item were queued.
        """
        for view in self._views.values():
            if view.idle and view.accepts(tag):
                return view.idle[-1]
        return None

    def idle(self, tag: str) -> Iterable[Claim]:
        """The claims that an item of a tag could serve, in the order in which they are served."""
        views = [view for view in self._views.values() if view.idle and view.accepts(tag)]
        return chain.from_iterable(reversed(view.idle) for view in views)

    def unpark(self, claim_id: int) -> bool:
        """Take a claim back. False: it is not waiting (any more)."""
        claim = self._claims.pop(claim_id, None)
        if claim is None:
            return False
        view = claim.view
        if view.idle[-1] is claim:
            view.idle.pop()
        else:
            at = bisect_left(view.idle, claim.rank, key=_rank)
            del view.idle[view.idle.index(claim, at)]
        view.users -= 1
        if not view.users:
            self._views.pop(view.tags, None)
        return True

    def unpark_all(self, taker: Member | None = None) -> list[int]:
        """Take back all claims (of one taker), and return their ids."""
        ids = [i for i, c in self._claims.items() if taker is None or c.taker is taker]
        for claim_id in ids:
            self.unpark(claim_id)
        return ids

    def match(self, take: Callable[[Claim], list[Item]]) -> list[tuple[Claim, list[Item]]]:
        """Serve waiting claims as far as items go, those of each view by their ranks.

        Args:
            take: Takes what a claim may have, as `take` does.
        """
        served: list[tuple[Claim, list[Item]]] = []
        for view in [v for v in self._views.values() if v.idle]:
            while view.idle and view.first(self._lanes):
                claim = view.idle[-1]
                items = take(claim)
                if not items:  # only withdrawn ones were there
                    break
                self.unpark(claim.id)
                served.append((claim, items))
        return served

    @property
    def claims(self) -> Iterable[Claim]:
        """The claims that wait."""
        return self._claims.values()

    @property
    def tags(self) -> Iterable[str]:
        """The tags that have items (perhaps withdrawn ones only)."""
        return {_tag_of(key) for key in self._lanes}

    def items(self) -> Iterable[Item]:
        """All items that are alive, lane by lane. Costs O(items)."""
        return (i for lane in self._lanes.values() for i in lane if i.state is self._alive)

    def _open(self, key: Key, lane: deque[Item]) -> None:
        self._lanes[key] = lane
        if key.__class__ is tuple:
            self._ranked.add(key)
        self._announce(lane[0].order, key)

    def _announce(self, order: int, key: Key) -> None:
        tag = _tag_of(key)
        for view in self._views.values():
            if view.accepts(tag):
                view.offer(order, key)

    def _drop(self, key: Key) -> None:
        del self._lanes[key]
        self._ranked.discard(key)
        for view in self._views.values():
            view.forget(key)


def _weight(item: Item) -> int:
    return weight(item.payloads) if isinstance(item, Block) else len(item.payload)


def key_of(item: Item) -> Key:
    """Name the lane of an item."""
    if item.options is None:  # most have none, and are asked a million times a second
        return item.tag
    return (item.tag, item.priority) if item.priority else item.tag


def _tag_of(key: Key) -> str:
    return key if isinstance(key, str) else key[0]
