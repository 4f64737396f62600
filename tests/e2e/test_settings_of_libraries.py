"""What a program has set by calls, in the standard library and in NumPy, holds in its tasks."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from support import HANG

if TYPE_CHECKING:
    from pathlib import Path

#: Sets something, and says what a task is to find.
SETTINGS = {
    "garbage": ("import gc", "gc.disable(); gc.set_threshold(1000, 5, 5)",
                "[gc.isenabled(), gc.get_threshold()]"),
    "thresholds": ("import gc", "gc.set_threshold(0)", "[gc.isenabled(), gc.get_threshold()]"),
    "timeout": ("import socket", "socket.setdefaulttimeout(30)", "socket.getdefaulttimeout()"),
    "stack": ("import threading", "threading.stack_size(1 << 20)",
              "max([size := threading.stack_size(), threading.stack_size(size)])"),
    "faults": ("import faulthandler", "faulthandler.enable()", "faulthandler.is_enabled()"),
    "memory": ("import tracemalloc", "tracemalloc.start(3)",
               "[tracemalloc.is_tracing(), tracemalloc.get_traceback_limit()]"),
    "start": ("import multiprocessing", "multiprocessing.set_start_method('spawn')",
              "multiprocessing.get_start_method(allow_none=True)"),
    "fields": ("import csv", "csv.field_size_limit(999)", "csv.field_size_limit()"),
    "printing": ("import numpy", "numpy.set_printoptions(precision=3, suppress=True)",
                 "str(numpy.array([1 / 3, 1e-9]))"),
    "zone": ("import os, time", "os.environ['TZ'] = 'Asia/Tokyo'; time.tzset()",
             "[time.tzname, time.localtime(0).tm_hour]"),
}  # fmt: skip


def _run(folder: Path, program: str) -> subprocess.CompletedProcess[str]:
    (folder / "program.py").write_text(textwrap.dedent(program))
    return subprocess.run(
        [sys.executable, "program.py"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=4 * HANG,
        check=False,
    )


@pytest.mark.parametrize("name", SETTINGS)
def test_it_is_set_in_workers(tmp_path: Path, name: str) -> None:
    imports, sets, asks = SETTINGS[name]
    done = _run(
        tmp_path,
        f"""
        import json
        {imports}

        def ask():
            return {asks}

        if __name__ == "__main__":
            from masterworker import Master
            before = ask()
            {sets}
            with Master(workers=1) as master:
                print(json.dumps([before, ask(), master.submit(ask).result(60)]))
        """,
    )
    assert done.returncode == 0, done.stderr
    before, here, there = json.loads(done.stdout)
    assert here == there != before


def test_what_is_loaded_later_is_set_then(tmp_path: Path) -> None:
    """No worker loads a library for its settings."""
    done = _run(
        tmp_path,
        """
        import sys

        def is_loaded():
            return "numpy" in sys.modules

        def text():
            import numpy
            return str(numpy.array([1 / 3]))

        if __name__ == "__main__":
            import numpy
            from masterworker import Master
            numpy.set_printoptions(precision=3)
            with Master(workers=1) as master:
                print([master.submit(each).result(60) for each in (is_loaded, text)])
        """,
    )
    assert done.stdout == "[False, '[0.333]']\n", done.stderr


def test_a_module_whose_class_is_its_own_is_imported(tmp_path: Path) -> None:
    """Libraries give themselves one, to load their parts when they are needed."""
    (tmp_path / "lazy.py").write_text(
        "import sys, types\n"
        "class Lazy(types.ModuleType):\n"
        "    @property\n"
        "    def answer(self): return 42\n"
        "sys.modules[__name__].__class__ = Lazy\n"
    )
    done = _run(
        tmp_path,
        """
        import lazy

        def work(given=lazy):
            return [lazy.answer, given.answer, lazy]

        if __name__ == "__main__":
            from masterworker import Master
            with Master(workers=1) as master:
                first, second, back = master.submit(work).result(60)
                print(first, second, back is lazy)
                print(master.submit(getattr, lazy, "answer").result(60))
        """,
    )
    assert done.stdout == "42 42 True\n42\n", done.stderr
