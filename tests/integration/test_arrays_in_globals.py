"""Arrays in globals of the main program are in workers what they are in the program."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from support import HANG

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
    import numpy as np
    from masterworker import Master

    class Measured(np.ndarray):
        def __new__(cls, values, unit=None):
            made = np.asarray(values).view(cls)
            made.unit = unit
            return made

        def __array_finalize__(self, before):
            if before is not None:
                self.unit = getattr(before, "unit", None)
"""
TAIL = """
    if __name__ == "__main__":
        with Master(workers=1) as master:
            first = master.submit(work).result(60)
            change()
            second = master.submit(work).result(60)
        there = repr([first, second])
        print(repr(work()) == repr(second), second != first, there)
"""
#: What is defined, what a task does, and what the program changes afterwards.
PROGRAMS = {
    "row": (
        "DATA = np.zeros((100, 100)); ROW = DATA[7]",
        "ROW[3] = 5; return DATA.sum(), DATA[7, 3]",
        "DATA[0, 0] = 1",
    ),
    "whole is not referred to": (
        "DATA = np.zeros(1000); LEFT = DATA[:600]; RIGHT = DATA[400:]",
        "LEFT[500] = 5; return RIGHT.sum()",
        "DATA[999] = 1",
    ),
    "strides": (
        "DATA = np.arange(60_000.0).reshape(200, 300); BACK = DATA[::-1, ::2]; TURNED = DATA.T",
        "BACK[0, 0] = -1; return DATA[-1, 0], TURNED[0, -1], DATA.sum()",
        "DATA[5, 5] = 0",
    ),
    "columns first": (
        "DATA = np.asfortranarray(np.ones((40, 500))); PART = DATA[3:9, 7]",
        "PART[2] = 8; return DATA[5, 7], DATA.flags.f_contiguous, DATA.sum()",
        "DATA[0, 0] = 4",
    ),
    "fields": (
        "DATA = np.zeros(9, dtype=[('a', 'i4'), ('b', '>f8')]); FIELD = DATA['b']",
        "FIELD[1] = 4; return DATA['b'].tolist(), FIELD.dtype.str",
        "DATA['a'][3] = 2; DATA['b'][8] = 3",
    ),
    "other type": (
        "DATA = np.zeros(8); BYTES = DATA.view('u1')",
        "BYTES[7] = 64; return DATA[0]",
        "DATA[0] = 1e-9",
    ),
    "read only": (
        "DATA = np.zeros(50); FIXED = DATA[:10]; FIXED.flags.writeable = False",
        "DATA[2] = 7; return FIXED.tolist(), FIXED.flags.writeable",
        "DATA[3] = 1",
    ),
    "attributes": (
        "DATA = Measured(np.ones(10), 'km'); MORE = {'a': Measured(np.ones(50_000), 'm')}",
        "return type(DATA).__name__, DATA.unit, MORE['a'].unit, DATA[2:].unit, float(DATA.sum())",
        "DATA.unit = 'mile'",
    ),
    "masks": (
        "DATA = np.ma.array([1, 2, 3], mask=[0, 1, 0]); REST = DATA[1:]",
        "return DATA.tolist(), REST.tolist()",
        "DATA[0] = 9",
    ),
    "objects and nothing": (
        "DATA = np.array([1, None, 'x'], dtype=object); LAST = DATA[1:]; NONE = np.zeros((0, 3))",
        "return DATA.tolist(), LAST.tolist(), NONE.shape",
        "DATA[0] = 9",
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_as_in_the_program(tmp_path: Path, name: str) -> None:
    """Also after a change in place."""
    defined, task, change = PROGRAMS[name]
    program = f"{textwrap.dedent(HEAD)}\n{defined}\ndef work():\n    {task}\n"
    program += f"def change():\n    {change}\n{textwrap.dedent(TAIL)}"
    (tmp_path / "program.py").write_text(program)
    done = subprocess.run(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=4 * HANG,
        check=False,
    )
    assert done.stdout.startswith("True True"), done.stdout + done.stderr
