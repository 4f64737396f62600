"""How long the race hunt is, for Hypothesis."""

from __future__ import annotations

from typing import Final

from hypothesis import HealthCheck, Phase, settings

#: Rounds in one example, at most.
STEPS: Final = 50


def search(rounds: int) -> settings:
    """As many examples as this number of rounds makes. What was found does not come again."""
    return settings(
        max_examples=max(1, rounds // STEPS),
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
