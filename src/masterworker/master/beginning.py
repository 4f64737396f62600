"""What a program asks for when it makes its master: workers here and elsewhere, and a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from masterworker.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from masterworker.master.engine import MasterEngine
    from masterworker.master.launcher import WorkerOptions
    from masterworker.pools.pool import Pool


def begin(
    engine: MasterEngine,
    number: int,
    pools: Sequence[Pool],
    options: WorkerOptions,
    *,
    web: bool,
) -> None:
    """Start what is asked for; where that fails, the job ends.

    Args:
        engine: Of the job.
        number: Workers on this machine.
        pools: Workers on other machines.
        options: Of those on this machine.
        web: Show the job on a page.
    """
    try:
        if number:
            engine.execution.launch_workers(number, wait=False, **options)
        if pools:
            _scale(engine, pools)
        if web:
            from masterworker.launch.page import start_page

            start_page(engine.label)
    except BaseException:
        engine.end.shutdown(0.0)
        raise


def _scale(engine: MasterEngine, pools: Sequence[Pool]) -> None:
    """Start workers on other machines, by a process that ends with the job.

    Raises:
        UsageError: They cannot be started, or could not join; says why.
    """
    if engine.endpoint is None:
        return
    launcher = engine.execution.launcher
    if launcher is None or not launcher.can_be_found:
        raise UsageError(
            'workers of other machines find a job by its label: Master("name", workers=...)'
        )
    from masterworker.pools.child import Scaler

    engine.scaler = Scaler(engine.label, pools)
