"""A task that is broken off while it imports: the next one imports everything in a new process."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import xml.dom.minidom  # noqa: F401  it is looked at
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from masterworker import Master, TaskTimeout
from masterworker.worker import integrity
from support import HANG

if TYPE_CHECKING:
    from pathlib import Path

PACKAGE = "slow_package_of_a_test"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """One whose first import does not end, and one of whose modules can be loaded once only."""
    package = tmp_path / PACKAGE
    package.mkdir()
    (package / "part.py").write_text("from . import once\nVALUE = once.VALUE\n")
    (package / "once.py").write_text(
        "import sys\nassert not hasattr(sys, 'loaded_once')\nsys.loaded_once = VALUE = 42\n"
    )
    source = """
        from .part import *
        import pathlib, threading
        mark = pathlib.Path(__file__).with_name("mark")
        if not mark.exists():
            mark.touch()
            while True:
                threading.Event().wait(0.01)
        VALUE = part.VALUE  # a name that the import of the module has set
    """
    (package / "__init__.py").write_text(textwrap.dedent(source))
    return tmp_path


def use(path: str) -> tuple[int, int]:
    if path not in sys.path:
        sys.path.insert(0, path)
    import slow_package_of_a_test

    return slow_package_of_a_test.VALUE, os.getpid()


def pid(_: int = 0) -> int:
    return os.getpid()


def test_a_package_is_imported_in_a_new_process(package: Path) -> None:
    with Master(workers=1) as master:
        before = master.submit(pid).result(HANG)
        broken = master.options(timeout=2.0).submit(use, str(package))
        others = [master.submit(use, str(package)) for _ in range(20)]  # some are in its hand
        with pytest.raises(TaskTimeout):
            broken.result(HANG)
        found = {future.result(HANG) for future in others}
    assert {value for value, _ in found} == {42}
    assert before not in {process for _, process in found}


def test_one_that_imports_nothing_keeps_its_process() -> None:
    with Master(workers=1) as master:
        before = master.submit(pid).result(HANG)
        with pytest.raises(TaskTimeout):
            master.options(timeout=0.2).submit(wait_long).result(HANG)
        assert master.submit(pid).result(HANG) == before


def wait_long() -> None:
    import threading

    threading.Event().wait(HANG)


def test_what_is_half_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    modules = {name: sys.modules[name] for name in ("xml", "xml.dom", "xml.dom.minidom", "os.path")}
    monkeypatch.setattr(integrity, "_modules", modules)
    modules["by.hand"] = ModuleType("by.hand")
    assert not integrity.has_half_imported()  # nor is `os.path`, which has another name
    del modules["xml.dom"]
    assert integrity.has_half_imported()


MISSED_ON_THE_WAY = """
import subprocess
import sys
from types import SimpleNamespace

import masterworker.transport
from masterworker.cli import child

program = SimpleNamespace(surroundings=SimpleNamespace(owners=None))
child._follow(program, SimpleNamespace(is_private=True), "there-is-no-such-job")
for name in ("transport.notice", "transport.runtime"):
    sys.modules.pop(f"masterworker.{name}", None)
for name in ("pathlib", "ntpath"):
    sys.modules.pop(name, None)
vars(masterworker.transport).pop("notice", None)
from masterworker.transport import notice  # pathlib looks for what other systems have

print(notice.__name__)
"""


def test_what_asking_for_folders_needs_may_be_what_is_imported() -> None:
    """A module that is nowhere is looked for by asking the master: also in the middle of that."""
    command = [sys.executable, "-c", MISSED_ON_THE_WAY]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert done.stdout == "masterworker.transport.notice\n", done.stderr
