"""Bugs that are put in on purpose: the simulation has to find each of them.

Beside each is the first seed whose history shows it. Where a change of the swarm has moved it, the
search goes on from there; a bug that is not found any more is a failure.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any

import pytest

from masterworker.conversation.backpressure import BackPressure
from masterworker.conversation.caller import Caller
from masterworker.conversation.collecting import Collecting
from masterworker.conversation.dispatcher import Dispatcher
from masterworker.conversation.membership import Membership
from masterworker.conversation.numbered import NumberedCalls
from masterworker.conversation.orders import MemberOrders
from masterworker.conversation.revoking import Revoking
from masterworker.conversation.submissions import FlushRule, SubmissionBuffer
from masterworker.conversation.supervision import Supervision
from masterworker.conversation.waiting import Waiters
from masterworker.conversation.worker.lookout import Lookout
from masterworker.conversation.worker.session import WorkerSession
from masterworker.core.hand import Hand
from masterworker.data.items import single
from planting import planted
from simulation import bugs
from simulation import conversation_bugs as talk
from simulation import worker_bugs as half
from simulation.desk import Desk
from simulation.oracle import Violation
from simulation.peers import SimClient
from simulation.worker import SimWorker
from simulation.world import World

if TYPE_CHECKING:
    from masterworker.core.scheduler import Scheduler

#: So many histories may pass before a bug must have been found.
MOST = 500

PLANTED = [
    # the scheduler, and what a worker has in its hands
    (bugs.LastOutcomeWins, 29),
    (bugs.NoDeduplication, 3),
    (bugs.LateFailureAccepted, 16),
    (bugs.LateResultWithoutWithdrawal, 6),
    (bugs.NoRequeueOnLoss, 0),
    (bugs.ClaimOfTheLostStays, 3),
    (bugs.StrikeForAllHeld, 9),
    (bugs.StrikeForSilence, 3),
    (bugs.StrikesStay, 10),
    (bugs.NeverGivesUp, 2),
    (bugs.AttemptsAreReused, 0),
    (bugs.SilenceIsNotNoticed, 16),
    (bugs.SignsOfLifeAreNotNoted, 3),
    (bugs.MassExpiry, 45),
    (bugs.ReportIsAwaitedForEver, 0),
    (bugs.RetriesWithoutEnd, 3),
    (bugs.PauseWithoutEnd, 1),
    (bugs.CancelledTwice, 40),
    (bugs.NobodyIsToldToStop, 21),
    (bugs.CopyTakesNothingAway, 3),
    (bugs.DeafToWhatComesBack, 1),
    (bugs.HeldBackAsItComesBack, 100),
    (bugs.WithdrawnItemsComeBack, 0),
    (bugs.ForgetsTheRest, 0),
    (bugs.PartsBeginAnew, 0),
    (bugs.SettlesWhatIsGone, 0),
    (bugs.RowsAreNeverRefused, 0),
    (bugs.EveryoneInABlockIsGuilty, 16),
    (bugs.BlocksCountAsOne, 0),
    (bugs.ForgetsWhatWasNotAcknowledged, 47),
    (bugs.ForgetsWhatCameMeanwhile, 0),
    (bugs.PutsDownWithoutSaying, 0),
    (bugs.BreaksOffInTheMiddle, 12),
    (bugs.IgnoresRejoin, 3),
    (bugs.NeverLooksForTheMaster, 1),
    (bugs.GivesBackWhatItKeeps, 0),
    (bugs.OutcomesOfRowsAreOffByOne, 0),
    (bugs.AnswersForTheNextAttempt, 0),
    (bugs.FinishesForTheNextRun, 74),
    # the worker's half of the conversation
    (half.AppliesRepliesTwice, 0),
    (half.StopIsLost, 6),
    (half.LosesWhatCameTooLate, 12),
    (half.StaysWhoItWas, 3),
    (half.NeverGivesUp, 157),
    (half.IsNeverHeardOf, 1),
    (half.NeverGivesBack, 196),
    (half.BorrowsNothing, 8),
    (half.GivesBackWhatItHasBegun, 0),
    (half.KeepsWhatItGivesBack, 0),
    # the manager's half
    (talk.RejoinKeepsLeases, 1),
    (talk.StrangersAreServed, 3),
    (talk.EndedIsDead, 0),
    (talk.LimitIsNoOutcome, 0),
    (talk.EndsAreNotNoticed, 1),
    (talk.LendsWhatIsAwaited, 21),
    (talk.LendsAnything, 8),
    (talk.ClaimsOutliveTheirCallers, 0),
    (talk.DeferredForEver, 1),
    (talk.OrderedAgain, 3),
    (talk.FlushIsLost, 0),
    (talk.NumbersAreReused, 0),
    (talk.StopsWatching, 23),
    (talk.HurriesAgain, 0),
    (talk.NeverInAHurry, 10),
    (talk.HeldBackForEver, 10),
    (talk.WaitersDoNotCount, 10),
    (talk.ThoseThatWaitExecute, 22),
    (talk.EveryRequestIsNew, 40),
    (talk.LateCopiesAreNew, 1),
    (talk.AcknowledgesTheLast, 608),
    (talk.AcknowledgedAsItIsMade, 18),
    (talk.KeepsWhatWasGivenUp, 101),
    (talk.ForgoesOnlyWhatIsDone, 59),
    (talk.NobodyWaitsForTheAbsent, 3),
    (talk.NumbersAttempts, 19),
    (talk.ForgetsWhatItGaveUp, 72),
    (talk.NumbersAreNotCounted, 1),
    (talk.CancelsWhatItHasRefused, 0),
    (talk.PromisesToCancel, 0),
    # rare
    (bugs.OnePoolForAll, 11491),
    (bugs.WaitsForTheNextRun, 1528),
    (talk.OldMembersEndAgain, 91),
    (talk.EndsAreNoticedOnce, 64),
]


#: The parts of the machine, and where it has them.
PARTS: dict[type, str] = {
    BackPressure: "pressure",
    Collecting: "collecting",
    FlushRule: "rule",
    MemberOrders: "orders",
    Membership: "membership",
    NumberedCalls: "calls",
    Revoking: "revoking",
    SubmissionBuffer: "submissions",
    Supervision: "supervision",
    Waiters: "answering.waiters",
}


#: What bugs of the worker's half are bugs of.
IN_THE_WORKER = (Hand, Lookout, SimWorker, WorkerSession)


def worker_with(bug: Any) -> type[SimWorker]:
    """Make a worker with this bug in it."""
    if issubclass(bug, SimWorker):
        return bug

    class WithBug(SimWorker):
        session_class = bug if issubclass(bug, WorkerSession) else WorkerSession
        lookout_class = bug if issubclass(bug, Lookout) else Lookout

        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            if issubclass(bug, Hand):
                self.hand.__class__ = bug

    return WithBug


def plant(bug: Any) -> type[World]:
    """Make a world with this bug in it."""

    class Planted(World):
        strengths = getattr(bug, "strengths", World.strengths)
        tune = staticmethod(getattr(bug, "tune", World.tune))

    if bug.__module__ == bugs.__name__ and not issubclass(bug, IN_THE_WORKER):

        class WithCore(Planted):
            def make_core(self) -> Scheduler:
                return planted(bug, single)

        return WithCore
    if issubclass(bug, IN_THE_WORKER):
        Planted.worker_class = worker_with(bug)
    elif name := next((PARTS[part] for part in PARTS if issubclass(bug, part)), ""):

        class WithPart(Desk):
            def __init__(self, *args: Any) -> None:
                super().__init__(*args)
                part = attrgetter(name)(self.machine)
                if hasattr(part, "__dict__"):
                    part.__class__ = bug
                else:
                    self.machine.rule = bug(self.machine.submissions, part._parked)

        Planted.desk_class = WithPart
    elif issubclass(bug, Dispatcher):

        class WithMachine(Desk):
            machine_class = bug

        Planted.desk_class = WithMachine
    elif issubclass(bug, Caller):
        Planted.worker_class = type("Worker", (SimWorker,), {"caller_class": bug})
        Planted.client_class = type("Client", (SimClient,), {"caller_class": bug})
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
        for module in (bugs, half, talk)
        for name, bug in vars(module).items()
        if isinstance(bug, type) and bug.__module__ == module.__name__
    }
    assert written == {bug.__name__ for bug, _ in PLANTED}
