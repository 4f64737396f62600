"""The claims that wait: takers that found nothing, each to be woken for its own item only."""

from __future__ import annotations

from bisect import bisect_left, insort_right
from itertools import chain, count
from operator import attrgetter
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from masterworker.core.filters import TagFilter, TagFilters
    from masterworker.core.member import Member

_rank = attrgetter("rank")


class Claim(msgspec.Struct, eq=False):
    """A taker that found nothing and waits."""

    id: int
    taker: Member
    #: For how many items at most.
    want: int
    filter: TagFilter
    #: About how much work, in seconds; 0.0: whatever `want` is.
    seconds: float
    #: Higher ones are served first; among equals, the latest.
    rank: float

    def __repr__(self) -> str:
        return f"<Claim {self.id} of process {self.taker.id}: {self.want} of {self.filter!r}>"


class Claims:
    """All claims that wait at one `TaskQueues`.

    Args:
        filters: Those in use there; a claim uses one.
        ids: Where the ids of claims come from, so that several of these can share them.
    """

    def __init__(self, filters: TagFilters, ids: Iterator[int] | None = None) -> None:
        self._filters = filters
        self._ids = count(1) if ids is None else ids
        self._claims: dict[int, Claim] = {}
        #: By id, to be looked at.
        self.by_id: Mapping[int, Claim] = self._claims
        #: By filter and rank: the last of each filter is served first.
        self._ranked: dict[TagFilter, list[Claim]] = {}
        #: The same, to be looked at.
        self.by_filter: Mapping[TagFilter, Sequence[Claim]] = self._ranked

    def __bool__(self) -> bool:
        return bool(self._claims)

    def __len__(self) -> int:
        return len(self._claims)

    def __iter__(self) -> Iterator[Claim]:
        return iter(self._claims.values())

    def park(
        self,
        taker: Member,
        want: int,
        wanted: TagFilter,
        seconds: float = 0.0,
        rank: float | None = None,
    ) -> int:
        """Let a taker that found nothing wait.

        Args:
            taker: The process that waits.
            want: For how many items at most.
            wanted: Of which tags.
            seconds: For about how much work; 0.0: for whatever `want` is.
            rank: Claims of higher ranks are served first; None: first come, first served.

        Returns:
            The id of the claim.
        """
        number = next(self._ids)
        if rank is None:
            rank = -number
        claim = self._claims[number] = Claim(number, taker, want, wanted, seconds, rank)
        ranked = self._ranked.get(wanted)
        if ranked is None:
            self._ranked[wanted] = [claim]
        elif ranked[-1].rank <= rank:  # the newest idle one, as most are
            ranked.append(claim)
        else:
            insort_right(ranked, claim, key=_rank)
        wanted.users += 1
        return number

    def unpark(self, claim_id: int) -> bool:
        """Take a claim back. False: it is not waiting (any more)."""
        claim = self._claims.pop(claim_id, None)
        if claim is None:
            return False
        ranked = self._ranked[claim.filter]
        if ranked[-1] is claim:
            ranked.pop()
        else:
            del ranked[ranked.index(claim, bisect_left(ranked, claim.rank, key=_rank))]
        if not ranked:
            del self._ranked[claim.filter]
        self._filters.release(claim.filter)
        return True

    def unpark_all(self, taker: Member | None = None) -> list[int]:
        """Take back all claims (of one taker), and return their ids."""
        ids = [i for i, c in self._claims.items() if taker is None or c.taker is taker]
        for claim_id in ids:
            self.unpark(claim_id)
        return ids

    def next_for(self, tag: str) -> Claim | None:
        """Return the claim that a new item of a tag is for; None: it has to wait itself.

        A claim waits only where nothing is left for it. So this is the one that
        `TaskQueues.match` would serve, if the item were queued.
        """
        for wanted, ranked in self._ranked.items():
            if wanted.accepts(tag):
                return ranked[-1]
        return None

    def able(self, tag: str) -> Iterable[Claim]:
        """Iterate over the claims that an item of a tag could serve, in the order of service."""
        able = [ranked for wanted, ranked in self._ranked.items() if wanted.accepts(tag)]
        return chain.from_iterable(map(reversed, able))

    def check(self) -> Iterator[tuple[str, int]]:
        """Yield each invariant that does not hold; the number is always 0: no task's."""
        for claim in self:
            if claim not in self.by_filter.get(claim.filter, ()):
                yield f"{claim!r} waits, and is not ranked", 0
        if sum(map(len, self._ranked.values())) != len(self) or not all(self._ranked.values()):
            yield "claims are ranked, and do not wait", 0
