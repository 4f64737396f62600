"""Whole programs: functions and classes of the main program, as users write them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from support import python_script, run_script, unique_label

if TYPE_CHECKING:
    from pathlib import Path


def _run(tmp_path: Path, source: str, *arguments: str, status: int = 0) -> Any:
    script = run_script(python_script(tmp_path, "main.py", source), *arguments, status=status)
    return json.loads(script.out.splitlines()[-1]) if script.out.strip() else script.err


def test_functions_and_classes_of_the_main_program(tmp_path: Path) -> None:
    """They travel to the workers, and results of their classes are of the same class here."""
    found = _run(
        tmp_path,
        """
        import dataclasses, enum, json, os
        from masterworker import Master

        FACTOR = 3

        @dataclasses.dataclass
        class Point:
            x: float
            y: float
            def scaled(self):
                return Point(self.x * FACTOR, self.y * FACTOR)

        class Colour(enum.Enum):
            RED = 1

        class MyError(Exception):
            def __init__(self, code):
                super().__init__(code)
                self.code = code

        def scale(point):
            assert type(point) is Point
            return point.scaled()

        def colour(c):
            assert c is Colour.RED or c == Colour.RED
            return Colour.RED

        def fail(code):
            raise MyError(code)

        def main():
            with Master(workers=2) as master:
                assert master.map(scale, [])
                points = list(master.map(scale, [Point(i, 1) for i in range(20)]))
                one = master.submit(Point(1, 2).scaled).result(30)
                try:
                    master.submit(fail, 7).result(30)
                except MyError as error:
                    code = error.code
                    noted = "in fail" in "".join(error.__notes__)
                back = master.submit(colour, Colour.RED).result(30)
                doubled = master.submit(lambda v: FACTOR * v, 5).result(30)
            print(json.dumps([
                all(type(p) is Point and isinstance(p, Point) for p in points),
                points[19].x, one == Point(3, 6), code, noted, back is Colour.RED, doubled,
            ]))

        if __name__ == "__main__":
            main()
        """,
    )
    assert found == [True, 57, True, 7, True, True, 15]


def test_without_a_guard_for_the_main_program(tmp_path: Path) -> None:
    """A plain script from top to bottom; workers do not execute it."""
    found = _run(
        tmp_path,
        """
        import json, os
        from masterworker import Master

        def pid(_):
            return os.getpid()

        master = Master(workers=2)
        pids = set(master.map(pid, range(100)))
        print(json.dumps([os.getpid() in pids, len(pids) <= 2]))
        """,
    )
    assert found == [False, True]


def test_modules_beside_the_script(tmp_path: Path) -> None:
    """Workers import what the script can import."""
    (tmp_path / "beside.py").write_text("def double(x):\n    return 2 * x\n")
    found = _run(
        tmp_path,
        """
        import json
        from beside import double
        from masterworker import Master

        with Master(workers=1) as master:
            print(json.dumps(list(master.map(double, [1, 2, 3]))))
        """,
    )
    assert found == [2, 4, 6]


def test_one_script_for_both_roles(tmp_path: Path) -> None:
    """`run_job`: the script is stored, and the workers execute it as workers."""
    found = _run(
        tmp_path,
        """
        import json, sys
        from masterworker import Master, TaskFailed, Worker, run_job

        class Odd(Exception):
            pass

        class MyMaster(Master):
            def run(self):
                for x in range(10):
                    self.request_task("half", x)
                good, bad = [], 0
                results = self.results(return_errors=True)
                for _, _, value in results:
                    if isinstance(value, TaskFailed):
                        bad += isinstance(value.exception, Odd)
                    else:
                        good.append(value)
                print(json.dumps([sorted(good), bad]))

        class MyWorker(Worker):
            def do_half(self, x):
                if x % 2:
                    raise Odd(x)
                return x // 2

        run_job(sys.argv[1], MyMaster, MyWorker, workers=2, serial="serial" in sys.argv)
        """,
        unique_label(),
    )
    assert found == [[0, 1, 2, 3, 4], 5]


def test_the_same_serially(tmp_path: Path) -> None:
    """`serial=True` gives the same results in one process."""
    found = _run(
        tmp_path,
        """
        import json, os, sys
        from masterworker import Master, Worker, run_job

        class MyMaster(Master):
            def run(self):
                print(json.dumps([self.map("pid", range(3)).__next__() == os.getpid()]))

        class MyWorker(Worker):
            def do_pid(self, x):
                return os.getpid()

        run_job(sys.argv[1], MyMaster, MyWorker, serial=True)
        """,
        unique_label(),
    )
    assert found == [True]


@pytest.mark.parametrize("ending", ["pass", "raise SystemExit(3)", "1 / 0", "del master"])
def test_a_program_that_ends_without_shutdown_leaves_nobody(tmp_path: Path, ending: str) -> None:
    """However it ends, it ends soon, with its own status, and its workers with it."""
    expected = {"pass": 0, "raise SystemExit(3)": 3, "1 / 0": 1, "del master": 0}[ending]
    script = run_script(
        python_script(
            tmp_path,
            "main.py",
            f"""
            from masterworker import Master
            master = Master(workers=2)
            print(master.submit(len, "abc").result(30))
            {ending}
            """,
        ),
        status=expected,
    )
    assert script.out.split() == ["3"]
    assert ("ZeroDivisionError" in script.err) == (ending == "1 / 0")


def test_what_workers_print_is_seen(tmp_path: Path) -> None:
    """Output and warnings of tasks come out where the master's do."""
    script = run_script(
        python_script(
            tmp_path,
            "main.py",
            """
            import sys
            from masterworker import Master

            def speak():
                print("to stdout", flush=True)
                print("to stderr", file=sys.stderr, flush=True)

            with Master(workers=1) as master:
                master.submit(speak).result(30)
            """,
        )
    )
    assert "to stdout" in script.out
    assert "to stderr" in script.err
