"""A task that is broken off while it imports: the next one imports everything anew."""

from __future__ import annotations

import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from masterworker import Master, TaskTimeout
from masterworker.worker import integrity
from support import HANG

if TYPE_CHECKING:
    from pathlib import Path


def use_slow_package(path: str) -> int:
    sys.path.insert(0, path)
    try:
        import slow_package_of_a_test

        return slow_package_of_a_test.VALUE
    finally:
        sys.path.remove(path)


def test_a_package_that_is_imported_again(tmp_path: Path) -> None:
    package = tmp_path / "slow_package_of_a_test"
    package.mkdir()
    (package / "part.py").write_text("from . import deeper\nVALUE = deeper.VALUE\n")
    (package / "deeper.py").write_text("VALUE = 42\n")
    (package / "__init__.py").write_text(
        textwrap.dedent(
            """
            from .part import *
            import pathlib, threading
            mark = pathlib.Path(__file__).with_name("mark")
            if not mark.exists():
                mark.touch()
                while True:
                    threading.Event().wait(0.01)
            assert part.VALUE == 42  # a name that the import of the module has set
            """
        )
    )
    with Master(workers=1) as master:
        with pytest.raises(TaskTimeout):
            master.options(timeout=1.0).submit(use_slow_package, str(tmp_path)).result(timeout=HANG)
        assert master.submit(use_slow_package, str(tmp_path)).result(timeout=HANG) == 42


def test_what_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    import json.decoder
    import xml.dom.minidom

    before = dict(sys.modules)
    monkeypatch.setitem(sys.modules, "made.by.hand", object())
    monkeypatch.delitem(sys.modules, "xml.dom")
    try:
        integrity.forget_half_imported()
        assert "xml.dom.minidom" not in sys.modules
        assert "made.by.hand" in sys.modules  # not by an import
        assert sys.modules["json.decoder"] is json.decoder
    finally:
        sys.modules.update({name: before[name] for name in before if name.startswith("xml.")})
    assert xml.dom.minidom is before["xml.dom.minidom"]
