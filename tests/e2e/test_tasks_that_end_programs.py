"""Tasks that raise what ends programs: it is their failure, and never the end of the master's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support import python_script, run_script

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
    import os, signal, sys
    from masterworker import Master

    def exits(x):
        sys.exit(0)

    def exits_in_another_way(x):
        exit()

    def interrupts(x):
        raise KeyboardInterrupt

    def sends(x):
        os.kill(os.getpid(), signal.SIGINT)
        while True:
            pass

    def stops(x):
        raise GeneratorExit

    with Master(workers=1, serial={serial}) as master:
        {use}
        print("after it")
    print("to the end")
"""

USES = {
    "submit": "master.submit({what}, 1).result()",
    "map": "list(master.map({what}, [1]))",
    "as they come": "list(master.map({what}, [1], ordered=False))",
    "completed": "[h.result() for h in master.as_completed([master.submit({what}, 1)])]",
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("what", ["exits", "exits_in_another_way", "interrupts", "sends", "stops"])
def test_the_program_fails_with_a_traceback(tmp_path: Path, use: str, what: str) -> None:
    """It does not end in silence, with status 0 or as if somebody had pressed Ctrl-C."""
    source = PROGRAM.format(use=USES[use].format(what=what), serial=False)
    told = run_script(python_script(tmp_path, "ends.py", source), status=1)
    assert "masterworker.errors.TaskFailed: task " in told.err
    assert f", in {what}\n" in told.err
    assert not told.out


@pytest.mark.parametrize("what", ["exits", "stops"])
def test_the_same_without_workers(tmp_path: Path, what: str) -> None:
    """With `serial=True`."""
    source = PROGRAM.format(use=USES["submit"].format(what=what), serial=True)
    told = run_script(python_script(tmp_path, "ends.py", source), status=1)
    assert "masterworker.errors.TaskFailed: task " in told.err


def test_whoever_expects_it_goes_on(tmp_path: Path) -> None:
    """The exception itself is the cause."""
    use = """
        try:
            master.submit(exits, 1).result()
        except Exception as error:
            print(repr(error.__cause__), error.exception is error.__cause__)
    """.strip()
    told = run_script(python_script(tmp_path, "ends.py", PROGRAM.format(use=use, serial=False)))
    assert told.out.splitlines() == ["SystemExit(0) True", "after it", "to the end"]
