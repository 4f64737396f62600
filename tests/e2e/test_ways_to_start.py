"""However a program is started, its workers execute the program, and not what started it."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import zipapp
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support import HANG

if TYPE_CHECKING:
    from collections.abc import Callable

#: Functions of the main program, results of its classes, and a module beside it.
CALLS = """
import json, sys
from masterworker import Master

class Point:
    def __init__(self, x):
        self.x = x

def double(point):
    from beside import shift
    assert type(point) is Point
    return Point(shift(2 * point.x))

with Master(workers=1) as master:
    found = [master.submit(double, Point(x)).result(60) for x in range(3)]
print(json.dumps([[type(p) is Point for p in found], [p.x for p in found]]), flush=True)
"""
CALLS_FOUND = [[True, True, True], [100, 102, 104]]

#: One script for both roles.
JOB = """
import json, sys
from masterworker import Master, Worker, run_job
from beside import shift

class Boss(Master):
    def run(self):
        for x in range(3):
            self.request_task("double", x)
        print(json.dumps(sorted(value for _, _, value in self.results("double"))), flush=True)

class Hand(Worker):
    def do_double(self, x):
        return shift(2 * x)

run_job(sys.argv[1], Boss, Hand, workers=1)
"""
JOB_FOUND = [100, 102, 104]

BESIDE = "def shift(x):\n    return x + 100\n"


def _plain(folder: Path, source: str) -> list[str]:
    (folder / "program.py").write_text(source)
    return ["program.py"]


def _tool(*words: str) -> Callable[[Path, str], list[str]]:
    def prepare(folder: Path, source: str) -> list[str]:
        return [*words, *_plain(folder, source)]

    return prepare


def _module(folder: Path, source: str) -> list[str]:
    package = folder / "package"
    package.mkdir()
    (package / "__init__.py").touch()
    (folder / "beside.py").rename(package / "beside.py")
    (package / "program.py").write_text(source.replace("from beside", "from .beside"))
    return ["-m", "package.program"]


def _package(folder: Path, source: str) -> list[str]:
    _module(folder, source)
    (folder / "package" / "program.py").rename(folder / "package" / "__main__.py")
    return ["-m", "package"]


def _folder(folder: Path, source: str) -> list[str]:
    app = folder / "app"
    app.mkdir()
    (folder / "beside.py").rename(app / "beside.py")
    (app / "__main__.py").write_text(source)
    return ["app"]


def _zip(folder: Path, source: str) -> list[str]:
    _folder(folder, source)
    zipapp.create_archive(folder / "app", folder / "app.pyz")
    (folder / "app" / "beside.py").unlink()
    return ["app.pyz"]


def _text(folder: Path, source: str) -> list[str]:
    return ["-c", source]


def _run_path(folder: Path, source: str) -> list[str]:
    _plain(folder, source)
    return ["-c", "import runpy; runpy.run_path('program.py', run_name='__main__')"]


def _run_module(folder: Path, source: str) -> list[str]:
    _plain(folder, source)
    return ["-c", "import runpy; runpy.run_module('program', run_name='__main__', alter_sys=True)"]


def _executed(folder: Path, source: str) -> list[str]:
    """As small tools do: `exec` in a namespace that nobody can find."""
    _plain(folder, source)
    tool = (
        "import sys\n"
        "def main():\n"
        "    text = open('program.py').read()\n"
        "    names = {'__name__': '__main__', '__file__': 'program.py'}\n"
        "    exec(compile(text, 'program.py', 'exec'), names)\n"
        "main()\n"
    )
    (folder / "tool.py").write_text(tool)
    return ["tool.py"]


def _input(folder: Path, source: str) -> list[str]:
    (folder / "input").write_text(source)
    return ["-"]


WAYS: dict[str, Callable[[Path, str], list[str]]] = {
    "script": _plain,
    "module of a package": _module,
    "package": _package,
    "folder": _folder,
    "zip application": _zip,
    "text": _text,
    "standard input": _input,
    "run_path": _run_path,
    "run_module": _run_module,
    "executed": _executed,
    "cProfile": _tool("-m", "cProfile", "-o", "profile"),
    "profile": _tool("-m", "profile", "-o", "profile"),
    "trace": _tool("-m", "trace", "-c", "-C", "counts", "--ignore-dir", sys.prefix),
    "coverage": _tool("-m", "coverage", "run"),
    "debugger": _tool("-m", "pdb", "-c", "continue"),
}


def _run(tmp_path: Path, way: str, source: str) -> Any:
    if way == "coverage":
        pytest.importorskip("coverage")
    (tmp_path / "beside.py").write_text(BESIDE)
    words = WAYS[way](tmp_path, source)
    stdin = tmp_path / "input"
    with (stdin if stdin.exists() else Path("/dev/null")).open() as given:
        done = subprocess.run(
            [sys.executable, *words, f"job {tmp_path.name}"],
            cwd=tmp_path, stdin=given, capture_output=True, text=True, timeout=4 * HANG,
            check=False,
        )  # fmt: skip
    assert done.returncode == 0 or way == "debugger", done.stderr  # it waits for a command then
    found = [line for line in done.stdout.splitlines() if line.startswith("[")]
    assert found, f"{done.stdout}\n{done.stderr}"
    return json.loads(found[0])


@pytest.mark.parametrize("way", WAYS)
def test_functions_and_classes_of_the_main_program(tmp_path: Path, way: str) -> None:
    assert _run(tmp_path, way, textwrap.dedent(CALLS)) == CALLS_FOUND


@pytest.mark.parametrize("way", WAYS)
def test_one_script_for_both_roles(tmp_path: Path, way: str) -> None:
    assert _run(tmp_path, way, textwrap.dedent(JOB)) == JOB_FOUND
