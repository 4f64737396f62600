"""What the scheduler has to do, told with plain lists and dicts, however slow that is.

The model chooses nothing by itself: it reads the answers of the core one after another and
insists that each is the one that the rules ask for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING

from msgspec.structs import astuple

from blocks import each_finished, each_lease
from masterworker.core.task import LOST, RESULT, Finished, Lease, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from masterworker.core.scheduler import Effects

Tags = frozenset[str] | None


def accepts(tags: Tags, tag: str) -> bool:
    """Tell whether somebody who declared these tags may have this one."""
    if tag.startswith("@"):
        return tags is not None and ("@" in tags or tag in tags)
    return tags is None or tag in tags


@dataclass
class Entry:
    tag: str
    payload: bytes
    direct: bool
    attempt: int = 0
    owner: int | None = None
    started: bool = False
    suspect: bool = False
    losses: list[str] = field(default_factory=list)
    outcome: Finished | None = None


@dataclass
class Peer:
    info: str
    tags: Tags
    heartbeat: float | None
    heard: float
    held: list[int] = field(default_factory=list)
    idle_since: float | None = None


@dataclass
class Claim:
    owner: int
    want: int
    tags: Tags
    #: Since when its owner has had nothing to do.
    since: float = 0.0


class Answer:
    """The effects of one call, to be read off in order, and read to the end.

    Whether tasks come one by one or in blocks makes no difference here.
    """

    def __init__(self, effects: Effects) -> None:
        self.leases = [(claim, each_lease(leases)) for claim, leases in effects.leases]
        self.results = [(claim, each_finished(done)) for claim, done in effects.results]
        self.direct = each_finished(effects.direct)
        self.dropped = list(effects.dropped)
        self.lost = [member.id for member, _ in effects.lost]

    def must_be_read(self) -> None:
        rest = (self.leases, self.results, self.direct, self.dropped, self.lost)
        assert not any(rest), f"more effects than there is reason for: {rest}"


class Model:
    def __init__(self, max_losses: int = 3) -> None:
        self.max_losses = max_losses
        self.tasks: dict[int, Entry] = {}
        self.waiting: list[int] = []
        self.results: list[int] = []
        self.delivered: dict[int, Finished] = {}
        self.members: dict[int, Peer] = {}
        self.task_claims: dict[int, Claim] = {}
        self.result_claims: dict[int, Claim] = {}
        self.terminated = False
        self.duplicates = self.unknown = 0

    # -- the rules of choice ------------------------------------------------------------------

    def share(self, want: int) -> int:
        workers = sum(peer.tags is None or bool(peer.tags) for peer in self.members.values())
        fair = -(-len(self.waiting) // (2 * max(1, workers)))
        return 1 if want == 1 else max(1, min(want, fair))

    def choose(self, queue: list[int], tags: Tags, want: int) -> list[int]:
        batch: list[int] = []
        for i in queue:
            if not accepts(tags, self.tasks[i].tag):
                continue
            if self.tasks[i].suspect and queue is self.waiting:
                return batch or [i]
            batch.append(i)
            if len(batch) == want:
                break
        return batch

    def hand_out(self, member: int, tags: Tags, want: int) -> list[Lease]:
        leases = []
        for i in self.choose(self.waiting, tags, self.share(want)):
            task = self.tasks[i]
            self.waiting.remove(i)
            task.attempt, task.owner, task.started = task.attempt + 1, member, False
            self.members[member].held.append(i)
            self.members[member].idle_since = None
            leases.append(Lease(i, task.attempt, task.tag, [task.payload]))
        return leases

    def wait_for_task(self, claim_id: int, member: int, want: int, tags: Tags, now: float) -> None:
        """Who has something in hand comes last, and who goes on waiting keeps his place."""
        peer = self.members[member]
        if not peer.held and peer.idle_since is None:
            peer.idle_since = now
        since = -inf if peer.held or peer.idle_since is None else peer.idle_since
        self.task_claims[claim_id] = Claim(member, want, tags, since)

    def deliver(self, ids: Iterable[int]) -> list[Finished]:
        done = []
        for i in ids:
            assert i not in self.delivered, f"task {i} is delivered twice"
            outcome = self.tasks[i].outcome
            assert outcome is not None
            self.delivered[i] = outcome
            done.append(outcome)
        self.results = [i for i in self.results if i not in self.delivered]
        return done

    def collect(self, tags: Tags, want: int, outcomes: list[Finished]) -> None:
        """The outcomes are the next ones; there may be fewer than wanted, but not none."""
        expected = self.choose(self.results, tags, want)
        assert bool(outcomes) == bool(expected)
        assert outcomes == self.deliver(expected[: len(outcomes)])

    def able(self, claims: dict[int, Claim], queue: list[int]) -> bool:
        return any(self.choose(queue, claim.tags, 1) for claim in claims.values())

    def serve_tasks(self, answer: Answer) -> None:
        """No capable claim waits while work waits; of one kind the newest idle worker first."""
        while not self.terminated and self.able(self.task_claims, self.waiting):
            claim, leases = self._next(answer.leases, self.task_claims, self._newest)
            assert leases == self.hand_out(claim.owner, claim.tags, claim.want)
            assert leases

    def serve_results(self, answer: Answer) -> None:
        while self.able(self.result_claims, self.results):
            claim, outcomes = self._next(answer.results, self.result_claims, min)
            self.collect(claim.tags, claim.want, outcomes)

    def _newest(self, ids: Iterable[int]) -> int:
        return max(ids, key=lambda i: (self.task_claims[i].since, i))

    def _next(
        self, served: list, claims: dict[int, Claim], first: Callable[[Iterable[int]], int]
    ) -> tuple[Claim, list]:
        assert served, f"there is something for {claims}, but nobody is served"
        claim_id, items = served.pop(0)
        claim = claims[claim_id]
        assert claim_id == first(i for i, c in claims.items() if c.tags == claim.tags)
        del claims[claim_id]
        return claim, items

    # -- what can happen ----------------------------------------------------------------------

    def settle(self, i: int, kind: int, payload: bytes, worker: str, answer: Answer) -> bool:
        """Returns whether the outcome has to be queued."""
        task = self.tasks[i]
        if task.owner is not None:
            self.members[task.owner].held.remove(i)
        if i in self.waiting:
            self.waiting.remove(i)
        task.owner, task.outcome = None, Finished(i, task.tag, kind, [payload], worker)
        if task.direct:
            assert answer.direct, f"the outcome of task {i} does not leave at once"
            assert [answer.direct.pop(0)] == self.deliver([i])
        return not task.direct

    def report(self, member: int, outcomes: Sequence[Outcome], answer: Answer) -> list[int]:
        """Returns the ids that have to be refused."""
        refused, done = [], []
        for outcome in outcomes:
            i, attempt, kind, payload = *astuple(outcome)[:3], outcome.payload
            task = self.tasks.get(i)
            if task is None:
                self.unknown += 1
                refused.append(i)
                continue
            current = task.owner == member and attempt in {0, task.attempt}
            late = kind == RESULT and attempt <= task.attempt
            if task.outcome is not None or not (current or late):
                self.duplicates += 1
                refused.append(i)
                continue
            info = self.members[member].info if member in self.members else ""
            if self.settle(i, kind, payload, info, answer):
                done.append(i)
        self.results += done
        self.serve_results(answer)
        return refused

    def put_back(self, ids: list[int], answer: Answer) -> None:
        for i in ids:
            self.tasks[i].owner = None
        self.waiting[:0] = ids
        self.serve_tasks(answer)

    def remove(self, member: int, answer: Answer) -> Peer:
        for claims in (self.task_claims, self.result_claims):
            for claim_id in [i for i, claim in claims.items() if claim.owner == member]:
                del claims[claim_id]
                assert claim_id in answer.dropped, f"claim {claim_id} is not dropped"
                answer.dropped.remove(claim_id)
        return self.members.pop(member)

    def leave(self, member: int, answer: Answer) -> None:
        self.put_back(self.remove(member, answer).held, answer)

    def lose(self, member: int, reason: str, answer: Answer, *, blame: bool) -> None:
        assert answer.lost.pop(0) == member
        peer = self.remove(member, answer)
        held = list(peer.held)
        executing = [i for i in held if self.tasks[i].started][-1:] or held[: len(held) == 1]
        for i in (executing or held) if blame else []:
            self.tasks[i].suspect = True
        for i in executing if blame else []:
            task = self.tasks[i]
            task.losses.append(f"{peer.info}: {reason}")
            if len(task.losses) == self.max_losses:
                held.remove(i)
                task.owner = None
                if self.settle(i, LOST, "\n".join(task.losses).encode(), "", answer):
                    self.results.append(i)
        self.serve_results(answer)
        self.put_back(held, answer)

    def undelivered(self, outcomes: Sequence[Finished], answer: Answer) -> None:
        for outcome in outcomes:
            del self.delivered[outcome.task_id]
            self.tasks[outcome.task_id].direct = False
        self.results[:0] = [outcome.task_id for outcome in outcomes]
        self.serve_results(answer)
