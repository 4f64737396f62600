"""The scheduler and a plain model of it are told the same things, and have to agree."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from model.machine import SchedulerMachine

#: More of them: MASTERWORKER_EXAMPLES=10000 pytest tests/model
EXAMPLES = os.environ.get("MASTERWORKER_EXAMPLES")

SETTINGS = settings(
    max_examples=int(EXAMPLES or 100),
    stateful_step_count=50,
    derandomize=EXAMPLES is None,
    database=None,
    deadline=None,
    print_blob=False,
    suppress_health_check=list(HealthCheck),
)


def test_scheduler_agrees_with_the_model() -> None:
    """Whatever happens in whatever order, the scheduler does what the plain model says."""
    run_state_machine_as_test(SchedulerMachine, settings=SETTINGS)
