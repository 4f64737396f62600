"""Bugs that are put in on purpose: the simulation has to find each of them.

Beside each is the first seed whose history shows it. Where a change of the swarm has moved it, the
search goes on from there; a bug that is not found any more is a failure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from masterworker.core.hand import Hand
from masterworker.data.items import single
from planting import planted
from simulation import bugs
from simulation import conversation_bugs as talk
from simulation.desk import Desk
from simulation.oracle import Violation
from simulation.peers import SimClient
from simulation.replies import Replies
from simulation.worker import SimWorker
from simulation.world import World

if TYPE_CHECKING:
    from masterworker.core.scheduler import Scheduler

#: So many histories may pass before a bug must have been found.
MOST = 500

PLANTED = [
    # the scheduler
    (bugs.LastOutcomeWins, 3),
    (bugs.NoDeduplication, 3),
    (bugs.LateFailureAccepted, 68),
    (bugs.LateResultWithoutWithdrawal, 0),
    (bugs.NoRequeueOnLoss, 1),
    (bugs.ClaimOfTheLostStays, 19),
    (bugs.StrikeForAllHeld, 2),
    (bugs.StrikeForSilence, 3),
    (bugs.StrikesStay, 56),
    (bugs.NeverGivesUp, 2),
    (bugs.AttemptsAreReused, 1),
    (bugs.SilenceIsNotNoticed, 382),
    (bugs.SignsOfLifeAreNotNoted, 36),
    (bugs.MassExpiry, 38),
    (bugs.ReportIsAwaitedForEver, 110),
    (bugs.RetriesWithoutEnd, 3),
    (bugs.PauseWithoutEnd, 1),
    (bugs.CancelledTwice, 40),
    (bugs.NobodyIsToldToStop, 50),
    (bugs.CopyTakesNothingAway, 3),
    (bugs.DeafToWhatComesBack, 9),
    (bugs.WithdrawnItemsComeBack, 0),
    (bugs.ForgetsTheRest, 0),
    (bugs.PartsBeginAnew, 0),
    (bugs.SettlesWhatIsGone, 0),
    (bugs.RowsAreNeverRefused, 110),
    (bugs.EveryoneInABlockIsGuilty, 44),
    (bugs.BlocksCountAsOne, 0),
    # the worker
    (bugs.ForgetsWhatWasNotAcknowledged, 99),
    (bugs.ForgetsWhatCameMeanwhile, 128),
    (bugs.PutsDownWithoutSaying, 13),
    (bugs.GivesBackWhatItKeeps, 0),
    (bugs.OutcomesOfRowsAreOffByOne, 0),
    (bugs.BreaksOffInTheMiddle, 864),
    (bugs.IgnoresRejoin, 3),
    (bugs.NeverLooksForTheMaster, 866),
    (bugs.AnswersForTheNextAttempt, 2),
    (bugs.FinishesForTheNextRun, 344),
    (bugs.WaitsForTheNextRun, 3224),
    # the conversation
    (talk.RejoinKeepsLeases, 1),
    (talk.StrangersAreServed, 3),
    (talk.ClaimsOutliveTheirCallers, 1),
    (talk.EndsAreNotNoticed, 1),
    (talk.EndsAreNoticedOnce, 964),
    (talk.EveryRequestIsNew, 54),
    (talk.LateCopiesAreNew, 630),
    (talk.AcknowledgesTheLast, 3541),
    (talk.KeepsWhatWasGivenUp, 102),
    (talk.ForgoesOnlyWhatIsDone, 19152),
    (talk.OldMembersEndAgain, 2284),
    (talk.EndedIsDead, 756),
    (talk.LimitIsNoOutcome, 76),
    (talk.LendsWhatIsAwaited, 11),
    (talk.LendsAnything, 8),
    (talk.NumbersAttempts, 19),
]


def plant(bug: Any) -> type[World]:
    """Make a world with this bug in it."""

    class Planted(World):
        pass

    if bug.__module__ == bugs.__name__ and not issubclass(bug, (Hand, SimWorker)):

        class WithCore(World):
            def make_core(self) -> Scheduler:
                return planted(bug, single)

        return WithCore
    if issubclass(bug, Hand):

        class WithHand(SimWorker):
            hand_class = bug

        Planted.worker_class = WithHand
    elif issubclass(bug, Replies):

        class WithReplies(Desk):
            replies_class = bug

        Planted.desk_class = WithReplies
    elif issubclass(bug, SimWorker):
        Planted.worker_class = bug
    elif issubclass(bug, SimClient):
        Planted.client_class = bug
    else:
        Planted.desk_class = bug
    return Planted


def find(world: type[World], first: int) -> int | None:
    """Return the first seed that shows what is wrong with a world; None: none does."""
    for seed in range(first, first + MOST):
        try:
            world(seed).run()
        except Violation:
            return seed
    return None


@pytest.mark.parametrize(("bug", "seed"), PLANTED, ids=lambda bug: getattr(bug, "__name__", ""))
def test_planted_bug_is_found(bug: type, seed: int) -> None:
    """Some history shows it."""
    found = find(plant(bug), seed)
    assert found is not None, f"{bug.__name__} survived {MOST} histories"


def test_every_bug_is_in_the_list() -> None:
    """None was written and forgotten."""
    written = {
        name
        for module in (bugs, talk)
        for name, bug in vars(module).items()
        if isinstance(bug, type) and bug.__module__ == module.__name__
    }
    assert written == {bug.__name__ for bug, _ in PLANTED}
