"""The scheduler with outcomes that are kept first, next to the same model: nothing else differs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis.stateful import run_state_machine_as_test

from masterworker.core.scheduler import Scheduler
from masterworker.data.items import single
from model.machine import SchedulerMachine
from model.test_scheduler_model import SETTINGS

if TYPE_CHECKING:
    from masterworker.core.effects import Effects


class KeptAtOnce(Scheduler):
    """A scheduler whose outcomes are kept in the event in which they come."""

    def _done(self) -> Effects:
        effects = super()._done()
        unkept = effects.unkept
        while unkept:
            # One by one, so that some are kept and others not.
            self.settlement.kept(1)
            more = super()._done()
            assert not list(self.settlement.check())
            effects.direct += more.direct
            effects.results += more.results
            effects.failed += more.failed
            effects.leases += more.leases
            effects.orders += more.orders
            unkept = unkept[1:]
        effects.unkept = []
        return effects


class KeptMachine(SchedulerMachine):
    def make_core(self) -> Scheduler:
        return KeptAtOnce(single=single, keeps=True)


def test_the_model_agrees() -> None:
    """What is kept first is told like all else."""
    run_state_machine_as_test(KeptMachine, settings=SETTINGS)


def test_told_before_kept_is_noticed() -> None:
    """A planted bug: an outcome is queued, and still waits to be kept."""

    class Hasty(KeptAtOnce):
        def _done(self) -> Effects:
            unkept = [done.task_id for done in self.out.effects.unkept]
            self.settlement.settled += [
                task for number in unkept if (task := self.tasks.get(number)) and not task.direct
            ]
            return super()._done()

    class HastyMachine(SchedulerMachine):
        def make_core(self) -> Scheduler:
            return Hasty(single=single, keeps=True)

    with pytest.raises(Exception):  # noqa: B017  an invariant, or the model
        run_state_machine_as_test(HastyMachine, settings=SETTINGS)
