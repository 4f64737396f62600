"""A program that may open next to nothing: it gets on, or is told so, and never waits in vain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support import HANG, python_script, start_script, unique_label

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("few", "has_label"), [*((few, False) for few in range(8, 27)), (14, True), (16, True)]
)
def test_a_job_with_hardly_any_descriptors(tmp_path: Path, few: int, has_label: bool) -> None:
    """From none for the first socket to enough for a worker: a result, or one error that says why.

    With a label, other workers could come, so it is waited with a bound.
    """
    script = python_script(
        tmp_path,
        "few.py",
        f"""
        import resource
        from masterworker import Master, WorkerStartError

        resource.setrlimit(resource.RLIMIT_NOFILE, ({few}, {few}))
        master = None
        try:
            master = Master({unique_label() if has_label else None!r}, workers=1)
            print("made")
            assert master.submit(abs, -1).result({3.0 if has_label else None}) == 1
        except WorkerStartError as error:
            print("told:", error)
        except TimeoutError:
            print("told:", master.status().troubles)
        except OSError as error:
            print("told:", error)
        else:
            print("told: done")
        if master is not None:
            master.shutdown(1)
        """,
    )
    running = start_script(script)
    assert running.wait(HANG) == 0, running.told
    assert "told:" in running.out
    if "made" not in running.out or "done" not in running.out:
        assert "Too many open files" in running.out + running.err
