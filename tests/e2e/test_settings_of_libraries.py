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


#: The same of libraries that are perhaps not here.
LIBRARIES = {
    "sklearn": ("import sklearn", "sklearn.set_config(assume_finite=True)",
                "sklearn.get_config()['assume_finite']"),
    "scipy": ("import scipy.special", "scipy.special.seterr(all='raise')",
              "scipy.special.geterr()['singular']"),
    "dask": ("import dask", "dask.config.set({'array.chunk-size': '1MiB'})",
             "dask.config.get('array.chunk-size')"),
    "matplotlib": ("import matplotlib, cycler",
                   ("matplotlib.rcParams.update({'figure.figsize': (3, 2), "
                   "'axes.prop_cycle': cycler.cycler(color='rgb')})"),
                   ("[matplotlib.rcParams['figure.figsize'], "
                   "repr(matplotlib.rcParams['axes.prop_cycle'])]")),
}  # fmt: skip
#: Libraries that are too large to be here, in their own words.
STAND_INS = {
    "jax": """
        import threading

        class Config:
            def __init__(self):
                self._values = {"jax_enable_x64": False, "jax_platforms": None, "object": object()}
                self._here = threading.local()

            @property
            def values(self):
                return {**self._values, **vars(self._here)}

            def update(self, name, value):
                assert name in self._values
                vars(self._here)[name] = value

        config = Config()
    """,
    "torch": """
        float32, float64 = "torch.float32", "torch.float64"
        now = {"dtype": float32, "grad": True, "matmul": "highest", "algorithms": (False, False),
               "threads": 8, "device": "cpu"}
        def get_default_dtype(): return now["dtype"]
        def set_default_dtype(dtype): now["dtype"] = dtype
        def is_grad_enabled(): return now["grad"]
        def set_grad_enabled(mode): now["grad"] = mode
        def get_float32_matmul_precision(): return now["matmul"]
        def set_float32_matmul_precision(name): now["matmul"] = name
        def are_deterministic_algorithms_enabled(): return now["algorithms"][0]
        def is_deterministic_algorithms_warn_only_enabled(): return now["algorithms"][1]
        def use_deterministic_algorithms(mode, *, warn_only=False):
            now["algorithms"] = mode, warn_only
        def get_num_threads(): return now["threads"]
        def set_num_threads(number): now["threads"] = number
        def get_default_device(): return now["device"]
        def set_default_device(name): now["device"] = name
    """,
    "numba": """
        class config:
            NUMBA_NUM_THREADS = 8

        now = {"launched": False, "threads": 8}
        def threading_layer():
            if not now["launched"]:
                raise ValueError("Threading layer is not initialized.")
        def get_num_threads():
            now["launched"] = True
            return now["threads"]
        def set_num_threads(number): now.update(launched=True, threads=number)
    """,
}
OF_STAND_INS = {
    "numba": ("import numba", "numba.set_num_threads(1)", "[numba.now['threads']]"),
    "jax": ("import jax", "jax.config.update('jax_enable_x64', True)",
            "jax.config.values['jax_enable_x64']"),
    "torch": ("import torch",
              ("torch.set_default_dtype(torch.float64); torch.set_grad_enabled(False); "
              "torch.use_deterministic_algorithms(True, warn_only=True); torch.set_num_threads(1)"),
              "[torch.now[name] for name in ('dtype', 'grad', 'algorithms', 'threads')]"),
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
    _check(tmp_path, *SETTINGS[name])


@pytest.mark.parametrize("name", LIBRARIES)
def test_libraries_are_set_in_workers(tmp_path: Path, name: str) -> None:
    pytest.importorskip(name)
    _check(tmp_path, *LIBRARIES[name])


@pytest.mark.parametrize("name", STAND_INS)
def test_what_is_kept_for_a_thread_or_in_an_object_is_set(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.py").write_text(textwrap.dedent(STAND_INS[name]))
    _check(tmp_path, *OF_STAND_INS[name])


def test_no_threads_are_started_to_ask_for_their_number(tmp_path: Path) -> None:
    """NUMBA starts those of all processors then, after which its options cannot be set any more."""
    (tmp_path / "numba.py").write_text(textwrap.dedent(STAND_INS["numba"]))
    done = _run(
        tmp_path,
        """
        import numba
        from masterworker import Master

        def task():
            import numba
            return numba.now["launched"]

        with Master(workers=1) as master:
            print(master.submit(task).result(60), numba.now["launched"])
        """,
    )
    assert done.stdout == "False False\n", done.stderr


def _check(tmp_path: Path, imports: str, sets: str, asks: str) -> None:
    """Set something, and let a task look at it."""
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


def test_what_cannot_be_taken_over_is_named_once(tmp_path: Path) -> None:
    """An option that cannot be sent, and a call of a library of which nothing is known."""
    library = tmp_path / "lib" / "python3.11" / "site-packages"
    library.mkdir(parents=True)
    (library / "unheard_of.py").write_text("def set_mode(x): pass\ndef get_mode(): pass\n")
    done = _run(
        tmp_path,
        f"""
        import sys
        sys.path.insert(0, {str(library)!r})
        import numpy, unheard_of

        def ask():
            unheard_of.set_mode(1)

        def main():
            unheard_of.set_mode(5)
            unheard_of.get_mode()
            numpy.set_printoptions(formatter={{"float": lambda x: "x"}})
            from masterworker import Master
            for _ in range(2):
                with Master(workers=1) as master:
                    master.submit(ask).result(60)

        if __name__ == "__main__":
            main()
        """,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("the main program calls unheard_of.set_mode") == 1
    assert done.stderr.count("the option numpy formatter") == 1
    assert "get_mode" not in done.stderr


def test_a_library_that_tasks_set_themselves_is_not_named(tmp_path: Path) -> None:
    library = tmp_path / "lib" / "python3.11" / "site-packages"
    library.mkdir(parents=True)
    (library / "unheard_of.py").write_text("def set_mode(x): pass\n")
    done = _run(
        tmp_path,
        f"""
        import sys
        sys.path.insert(0, {str(library)!r})
        import unheard_of

        def ask():
            unheard_of.set_mode(1)

        if __name__ == "__main__":
            from masterworker import Master
            with Master(workers=1, initializer=ask) as master:
                master.submit(ask).result(60)
        """,
    )
    assert done.returncode == 0, done.stderr
    assert "set_mode" not in done.stderr
