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

from collections import deque
from itertools import chain
from typing import TYPE_CHECKING

from masterworker.core.blocks import Block
from masterworker.core.claims import Claims
from masterworker.core.filters import CALL_MARK, TagFilters, tag_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from masterworker.core.blocks import Item
    from masterworker.core.claims import Claim
    from masterworker.core.filters import Key, TagFilter
    from masterworker.core.task import State

#: A claim gets at most this many bytes of payload at a time (but always one item), so that no
#: message gets near what the transport can carry at once.
BYTES_PER_CLAIM = 16 << 20

#: Items of one priority come before all items of lower ones: each has a range of positions of
#: its own, so wide that no job fills it.
BAND = 1 << 60


def key_of(item: Item) -> Key:
    """Name the lane of an item."""
    if item.options is None:  # most have none, and are asked a million times a second
        return item.tag
    return (item.tag, item.priority) if item.priority else item.tag


class TaskQueues:
    """Items by tag, in one order, and the claims that wait for them.

    Args:
        alive: The state in which an item counts; one in another state has been withdrawn.
        claim_ids: Where the ids of claims come from, so that several queues can share them.
        lane_of: Names the lane that an item belongs to.
    """

    def __init__(
        self,
        alive: State,
        claim_ids: Iterator[int] | None = None,
        lane_of: Callable[[Item], Key] = key_of,
    ) -> None:
        self._alive = alive
        self.lane_of = lane_of
        self._lanes: dict[Key, deque[Item]] = {}
        #: The lanes of other priorities than 0.
        self._ranked: set[Key] = set()
        #: Those in use.
        self.filters = TagFilters()
        #: The takers that found nothing and wait.
        self.claims = Claims(self.filters, claim_ids)
        #: The lanes that have items (perhaps withdrawn ones only), to be looked at.
        self.lanes: Mapping[Key, deque[Item]] = self._lanes
        self._back = 0
        self._front = 0
        #: Tasks that are alive, ...
        self.count = 0
        #: ... and how many of them there are in each lane that has some, where items stay in the
        #: lane that they belong to.
        self.in_lanes: dict[Key, int] = {}
        self._counts = lane_of is key_of

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
        before = self.count
        for item in items:
            order += 1
            item.order = order
            lane.append(item)
            self.count += item.size
        if self._counts and self.count != before:
            self._note(key, self.count - before)
        self._back = order + shift
        if fresh and lane:
            self._open(key, lane)

    def put_back(self, items: Sequence[Item]) -> None:
        """Put items to the very front of their priority, in the order given."""
        for item in reversed(items):
            self._front -= 1
            item.order = self._front - item.priority * BAND
            key = self.lane_of(item)
            lane = self._lanes.get(key)
            if lane is None:
                self._open(key, deque((item,)))
            else:
                lane.appendleft(item)
                self._announce(item.order, key)
            self.count += item.size
            if self._counts:
                self._note(key, item.size)

    def merge(self, key: str, tag: str) -> None:
        """Queue what is in one lane in that of a tag, behind everything else."""
        lane = self._lanes.get(key)
        if lane is not None:
            self._drop(key)
            alive = [item for item in lane if item.state is self._alive]
            number = sum(item.size for item in alive)
            self.count -= number
            if self._counts:
                self._note(key, -number)
            self.append(tag, alive)

    def withdraw(self, item: Item) -> None:
        """Take note that the caller has withdrawn one task, by changing its state or its block."""
        self.count -= 1
        if self._counts:
            self._note(self.lane_of(item), -1)

    def take(
        self,
        wanted: TagFilter,
        want: int,
        budget: int = BYTES_PER_CLAIM,
        most: Callable[[Key], int] | None = None,
    ) -> list[Item]:
        """Take the next items that a filter accepts.

        A suspect item comes alone: never in one batch with another. Of a block as much is cut off
        as may be taken.

        Args:
            wanted: Of which tags.
            want: How many tasks at most.
            budget: How many bytes.
            most: Says how many tasks of a lane are as much as may be taken. What has been taken
                of others counts by its part.

        Returns:
            At least one item if there is any, at most `want` tasks, and no more after `budget`
            bytes.
        """
        taken: list[Item] = []
        lanes, room, fit = self._lanes, 1.0, want
        while want > 0 and budget > 0 and (turn := wanted.first(lanes)):
            key, limit = turn
            number = want
            if most is not None:
                fit = most(key)
                number = min(want, max(int(room * fit + 1e-9), 0 if taken else 1))
                if not number:
                    break
            before = self.count
            got, budget, suspect = self._take_from(lanes[key], limit, number, budget, taken)
            if self._counts:
                self._note(key, self.count - before)
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
                    budget -= piece.weight
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

    def _note(self, key: Key, more: int) -> None:
        """Count items of a lane that have come or gone."""
        number = self.in_lanes.get(key, 0) + more
        if number:
            self.in_lanes[key] = number
        else:
            self.in_lanes.pop(key, None)

    def by_tag(self) -> dict[str, int]:
        """Count the items that are alive, by tag; where lanes are of tags. Costs O(lanes)."""
        found: dict[str, int] = {}
        for key, number in self.in_lanes.items():
            found[tag_of(key)] = found.get(tag_of(key), 0) + number
        return found

    # -- takers -----------------------------------------------------------------------------

    def use_filter(self, tags: frozenset[str] | None) -> TagFilter:
        """Start using the filter for a declaration of tags; `release` it after use."""
        found, is_new = self.filters.use(tags)
        if is_new:
            keys: Iterable[Key] = self._lanes
            if tags is not None and CALL_MARK not in tags:
                keys = chain(tags, self._ranked)
            for key in keys:
                if key in self._lanes and found.accepts(tag_of(key)):
                    found.offer(self._lanes[key][0].order, key)
        return found

    def release(self, wanted: TagFilter) -> None:
        """Stop using a filter."""
        self.filters.release(wanted)

    def match(self, take: Callable[[Claim], list[Item]]) -> list[tuple[Claim, list[Item]]]:
        """Serve waiting claims as far as items go, those of each filter by their ranks.

        Args:
            take: Takes what a claim may have, as `take` does.
        """
        served: list[tuple[Claim, list[Item]]] = []
        by_filter = self.claims.by_filter
        for wanted in [*by_filter]:
            while wanted in by_filter and wanted.first(self._lanes):
                claim = by_filter[wanted][-1]
                items = take(claim)
                if not items:  # only withdrawn ones were there
                    break
                self.claims.unpark(claim.id)
                served.append((claim, items))
        return served

    @property
    def tags(self) -> Iterable[str]:
        """The tags that have items (perhaps withdrawn ones only)."""
        return {tag_of(key) for key in self._lanes}

    def items(self) -> Iterable[Item]:
        """All items that are alive, lane by lane. Costs O(items)."""
        return (i for lane in self._lanes.values() for i in lane if i.state is self._alive)

    def check(self) -> Iterator[tuple[str, int]]:
        """Yield each invariant that does not hold, and the task for which it does not."""
        there = sum(item.size for item in self.items())
        if self.count != there:
            yield f"{there} tasks are in queues, counted as {self.count}", 0
        lanes = {
            key: sum(item.size for item in lane if item.state is self._alive)
            for key, lane in self._lanes.items()
        }
        alive = {key: number for key, number in lanes.items() if number}
        if self._counts and alive != self.in_lanes:
            yield f"lanes have {alive}, counted as {self.in_lanes}", 0
        yield from self.claims.check()

    def _open(self, key: Key, lane: deque[Item]) -> None:
        self._lanes[key] = lane
        if key.__class__ is tuple:
            self._ranked.add(key)
        self._announce(lane[0].order, key)

    def _announce(self, order: int, key: Key) -> None:
        tag = tag_of(key)
        for each in self.filters.all:
            if each.accepts(tag):
                each.offer(order, key)

    def _drop(self, key: Key) -> None:
        del self._lanes[key]
        self._ranked.discard(key)
        for each in self.filters.all:
            each.forget(key)
