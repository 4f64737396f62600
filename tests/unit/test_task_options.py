"""The options of tasks have the same names wherever they are written."""

from __future__ import annotations

import inspect
import re

import pytest

import masterworker
from masterworker.checking import SAID_OTHERWISE
from masterworker.core.options import Options
from masterworker.master.submission import OPTION_NAMES
from masterworker.master.task_options import make_options
from Scientific.DistributedComputing.MasterSlave import MasterProcess
from tools.house.source import ROOT

#: `seed` is the master's: what travels is the place in its stream.
NAMES = set(Options._fields)


def words(text: str | None) -> set[str]:
    """Return the words of a text."""
    return set(re.findall(r"\w+", text or ""))


def test_as_keywords() -> None:
    """What types say, what is accepted, and what is checked."""
    assert NAMES | {"seed", "key"} == OPTION_NAMES
    assert set(inspect.signature(make_options).parameters) == NAMES
    parameters = set(inspect.signature(masterworker.Master.options).parameters)
    assert parameters == NAMES | {"self", "seed", "key"}


def test_where_they_are_not_taken() -> None:
    """`map(..., retries=3)` says how it is written."""
    assert SAID_OTHERWISE.keys() >= NAMES


@pytest.mark.parametrize("described", [masterworker.Master.options, MasterProcess.options])
def test_in_docstrings(described: object) -> None:
    """Each is described, or named where another docstring describes it."""
    assert words(inspect.getdoc(described)) >= NAMES


def test_in_the_pages() -> None:
    """Those that tell of options."""
    assert words((ROOT / "docs" / "executor.md").read_text()) >= NAMES - {"retry_on", "delay"}
    assert words((ROOT / "README.md").read_text()) >= {"timeout", "retries", "priority"}
