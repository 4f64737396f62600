"""What tasks log goes where the main program has said, whole and once."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from support import HANG, python_script, run_script

if TYPE_CHECKING:
    from pathlib import Path


def _run(folder: Path, program: str, status: int = 0) -> tuple[str, str]:
    """Run a program. Returns what it has written."""
    (folder / "program.py").write_text(textwrap.dedent(program))
    done = subprocess.run(
        [sys.executable, "program.py"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=4 * HANG,
        check=False,
    )
    assert done.returncode == status, done.stderr
    return done.stdout, done.stderr


def _count(text: str, part: str) -> int:
    return sum(line.endswith(part) for line in text.splitlines())


def test_levels_formats_and_streams(tmp_path: Path) -> None:
    out, err = _run(
        tmp_path,
        """
        import logging, sys, warnings

        def work(number):
            logging.info("root %d", number)
            logging.getLogger("loud.part").debug("loud %d", number)
            logging.getLogger("quiet").info("quiet %d", number)
            logging.getLogger("apart").log(5, "apart %d", number)
            warnings.warn("a warning of a task")

        if __name__ == "__main__":
            logging.addLevelName(5, "TRACE")
            logging.basicConfig(level=logging.INFO, format="%(levelname)s|%(name)s|%(message)s")
            logging.getLogger("loud").setLevel(logging.DEBUG)
            logging.getLogger("quiet").setLevel(logging.ERROR)
            apart = logging.getLogger("apart")
            apart.setLevel(5)
            apart.propagate = False
            handler = logging.StreamHandler(sys.stdout)
            handler.setFormatter(logging.Formatter("{levelname}:{message}", style="{"))
            apart.addHandler(handler)
            logging.captureWarnings(True)
            from masterworker import Master
            with Master(workers=2) as master:
                list(master.map(work, range(10)))
        """,
    )
    for number in range(10):
        assert _count(err, f"INFO|root|root {number}") == 1, err
        assert _count(err, f"DEBUG|loud.part|loud {number}") == 1, err
        assert _count(out, f"TRACE:apart {number}") == 1, out
    assert "quiet" not in err
    assert "apart 1" not in err
    assert "WARNING|py.warnings|" in err


@pytest.mark.parametrize(
    "handler",
    [
        'logging.FileHandler("log.txt", "w")',
        'logging.FileHandler("log.txt", encoding="utf-8", delay=True)',
        'RotatingFileHandler("log.txt", maxBytes=10_000_000, backupCount=1)',
    ],
)
def test_a_file_has_each_record_once_and_whole(tmp_path: Path, handler: str) -> None:
    """Also those of the main program, which has begun it, and long ones."""
    _run(
        tmp_path,
        f"""
        import logging
        from logging.handlers import RotatingFileHandler

        logger = logging.getLogger("mine")

        def work(number):
            logger.info("task %d %s", number, "x" * 20_000)

        if __name__ == "__main__":
            handler = {handler}
            handler.setFormatter(logging.Formatter("%(message)s."))
            logging.getLogger().addHandler(handler)
            logging.getLogger().setLevel(logging.INFO)
            logging.getLogger("masterworker").setLevel(logging.ERROR)
            from masterworker import Master
            with Master(workers=2) as master:
                logger.info("begin")
                for number, _ in enumerate(master.map(work, range(50))):
                    logger.info("main %d %s", number, "y" * 100)
        """,
    )
    lines = (tmp_path / "log.txt").read_text().splitlines()
    expected = ["begin."]
    expected += [f"task {number} {'x' * 20_000}." for number in range(50)]
    expected += [f"main {number} {'y' * 100}." for number in range(50)]
    assert sorted(lines) == sorted(expected)


def test_what_a_module_sets_up_when_it_is_imported_is_not_there_twice(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "import logging, sys\n"
        "logger = logging.getLogger('own')\n"
        "handler = logging.StreamHandler(sys.stdout)\n"
        "handler.setFormatter(logging.Formatter('own %(message)s'))\n"
        "logger.addHandler(handler)\n"
    )
    out, _ = _run(
        tmp_path,
        """
        import own

        def work(number):
            own.logger.warning("%d", number)

        if __name__ == "__main__":
            from masterworker import Master
            with Master(workers=1) as master:
                list(master.map(work, range(3)))
        """,
    )
    assert [line.partition("] ")[2] for line in out.splitlines()] == ["own 0", "own 1", "own 2"]


def test_basic_config_of_an_initializer_counts(tmp_path: Path) -> None:
    """As it does in a fresh process: it may have a file for each worker."""
    _, err = _run(
        tmp_path,
        """
        import logging

        def begin():
            logging.basicConfig(filename="worker.txt", level=logging.INFO, format="%(message)s")

        def work():
            logging.info("in the file of the worker")

        if __name__ == "__main__":
            logging.basicConfig(level=logging.INFO)
            from masterworker import Master
            with Master(workers=1, initializer=begin) as master:
                master.submit(work).result(60)
        """,
    )
    assert "in the file of the worker" not in err
    assert (tmp_path / "worker.txt").read_text().count("in the file of the worker\n") == 1


def test_what_cannot_be_taken_over_is_named_once(tmp_path: Path) -> None:
    """Records are formatted in the usual way where a filter of the program's is missing."""
    _, err = _run(
        tmp_path,
        """
        import logging

        class Odd(logging.Handler):
            def emit(self, record):
                pass

        class Adds(logging.Filter):
            def filter(self, record):
                record.request = "r1"
                return True

        def work(number):
            logging.warning("number %d", number)

        if __name__ == "__main__":
            logging.basicConfig(format="%(request)s %(message)s")
            logging.getLogger().handlers[0].addFilter(Adds())
            logging.getLogger("mine").addHandler(Odd())
            from masterworker import Master
            with Master(workers=1) as master:
                list(master.map(work, range(2)))
                master.launch_workers(1)
                list(master.map(work, range(2)))
        """,
    )
    assert err.count("logs with Odd of the logger 'mine': workers do not have it") == 1, err
    assert err.count("logs with a filter of StreamHandler of the root logger") == 1, err
    assert _count(err, "WARNING:root:number 1") == 2, err
    assert "Logging error" not in err


def test_a_library_that_gives_its_logger_a_handler_is_not_named(tmp_path: Path) -> None:
    """It gives itself one in workers, too."""
    (tmp_path / "ownlib.py").write_text(
        "import logging\n"
        "class Quiet(logging.Handler):\n"
        "    def emit(self, record):\n"
        "        pass\n"
        "logging.getLogger('ownlib').addHandler(Quiet())\n"
    )
    source = """
import ownlib
from masterworker import Master

with Master(workers=1) as master:
    print(master.submit(abs, -3).result())
"""
    done = run_script(python_script(tmp_path, "program.py", source))
    assert done.out.split() == ["3"]
    assert "do not have it" not in done.err
