"""What waits for a module is called when that has been imported, once."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

import pytest

from masterworker import imported
from masterworker.imported import watch_imports, when_imported

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import ModuleType

NAME = "masterworker_waits_for_this"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path / f"{NAME}.py"
    sys.modules.pop(NAME, None)


def _load() -> ModuleType:
    importlib.invalidate_caches()
    return importlib.import_module(NAME)


def test_it_is_called_after_the_import_and_before_what_follows(file: Path) -> None:
    file.write_text("VALUE = 1\n")
    seen = []
    when_imported(NAME, lambda module: seen.append(module.VALUE))
    assert not seen
    module = _load()
    assert seen == [1]
    importlib.reload(module)
    assert seen == [1]
    assert "exec_module" not in vars(module.__loader__)


def test_it_is_called_at_once_where_the_module_is_there(file: Path) -> None:
    file.write_text("VALUE = 2\n")
    _load()
    seen = []
    when_imported(NAME, lambda module: seen.append(module.VALUE))
    assert seen == [2]


def test_an_import_that_fails_is_no_import(file: Path) -> None:
    """A second one that works is: what is to be set counts then."""
    file.write_text("raise ValueError('not yet')\n")
    seen = []
    when_imported(NAME, lambda module: seen.append(module.VALUE))
    with pytest.raises(ValueError, match="not yet"):
        _load()
    file.write_text("VALUE = 'the second time'\n")
    _load()
    assert seen == ["the second time"]


def test_what_is_nowhere_is_no_trouble() -> None:
    when_imported("masterworker_is_not_there", lambda _: None)
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("masterworker_is_not_there")


def test_an_import_is_executed_by_what_watches(file: Path) -> None:
    """One of a module that is loaded again is not: it is there already."""
    file.write_text("SEEN = []\nSEEN.append(1)\n")
    around: list[str] = []

    def watch(name: str) -> Callable[[Callable[[], None]], None] | None:
        def execute(run: Callable[[], None]) -> None:
            around.append("begin")
            run()
            around.append("end")

        return execute if name == NAME else None

    watch_imports(watch)
    try:
        module = _load()
        assert around == ["begin", "end"]
        assert module.SEEN == [1]
        importlib.reload(module)
        assert around == ["begin", "end"]
    finally:
        imported._watching.remove(watch)
