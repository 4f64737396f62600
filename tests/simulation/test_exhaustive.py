"""Everything that can happen to two workers and two tasks, in every order.

What goes wrong: one loss (a connection breaks, a worker dies, or it is taken for lost), and one
report that comes twice. `MASTERWORKER_EXHAUSTIVE=1` adds a hand-back by the courier (minutes).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from masterworker.data.items import single
from planting import planted
from simulation import bugs
from simulation.exploration import Exploration
from simulation.oracle import Violation
from simulation.small import System

if TYPE_CHECKING:
    from masterworker.core.scheduler import Scheduler

#: How much goes wrong, and how many states there are. A change of the scheduler may change them; it
#: should be known why.
BOUNDS = [
    ({"losses": 0, "copies": 0, "returns": 0}, 180),
    ({"losses": 0, "copies": 1, "returns": 1}, 1904),
    ({"losses": 1, "copies": 1, "returns": 0}, 27375),
    # Three tasks, which are one block, as long as nothing happens to one of them alone.
    ({"losses": 0, "copies": 0, "returns": 1, "tasks": 3}, 598),
    ({"losses": 0, "copies": 1, "returns": 1, "tasks": 3}, 2042),
    ({"losses": 1, "copies": 0, "returns": 0, "tasks": 3}, 4428),
]
if os.environ.get("MASTERWORKER_EXHAUSTIVE"):
    BOUNDS.append(({"losses": 1, "copies": 1, "returns": 1}, 93976))

PLANTED: list[type[Scheduler]] = [
    bugs.NoRequeueOnLoss,
    bugs.ClaimOfTheLostStays,
    bugs.LateResultWithoutWithdrawal,
    bugs.DeafToWhatComesBack,
]


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("bounds", "states"), BOUNDS, ids=str)
def test_every_state_is_sound_and_has_a_way_out(bounds: dict[str, int], states: int) -> None:
    """The invariants hold everywhere, and from everywhere all tasks can be delivered."""
    exploration = Exploration(bounds)
    exploration.run()
    assert exploration.states == states


@pytest.mark.parametrize("bug", PLANTED, ids=lambda bug: bug.__name__)
def test_planted_bug_is_found(bug: type) -> None:
    """A scheduler that decides wrongly has a state in which that shows."""

    class Planted(System):
        def make_core(self) -> Scheduler:
            return planted(bug, single)

    with pytest.raises(Violation):
        Exploration({"losses": 1, "copies": 0, "returns": 1}, Planted).run()


def test_worker_that_forgets_has_no_way_out() -> None:
    """A state from which nothing goes on is found as well."""

    class Forgetful(System):
        def _do_courier(self, number: int) -> None:
            super()._do_courier(number)
            self.up[-1] = (*self.up[-1][:4], [], *self.up[-1][5:])

        def _do_reply(self, number: int) -> None:
            super()._do_reply(number)
            self.workers[number].hand.outcomes.clear()

    with pytest.raises(Violation, match="no way out"):
        Exploration({"losses": 0, "copies": 0, "returns": 1}, Forgetful).run()
