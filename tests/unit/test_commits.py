"""The rule for commit messages."""

from __future__ import annotations

import pytest

from tools.commits import faults

SOURCE = ["src/masterworker/wire.py", "docs/security.md"]


@pytest.mark.parametrize(
    ("message", "files"),
    [
        ("Leases are ranges\n\nA single task is a range of one: ...\n", SOURCE),
        ("Docs: a word\n", ["docs/security.md"]),
        ("Rename: a slot is a place\n", SOURCE),
        ("# what git says\nLeases are ranges\n\nWhy.\n# more of it\n", SOURCE),
    ],
)
def test_good_messages(message: str, files: list[str]) -> None:
    assert list(faults(message, files)) == []


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("Leases are ranges\n", "no body"),
        ("Leases are ranges\n\n# only what git says\n", "no body"),
        ("Leases\nare ranges, since ...\n", "not empty"),
        ("x" * 101 + "\n\nWhy.\n", "100 characters"),
        ("\n\nWhy.\n", "missing"),
    ],
)
def test_bad_messages(message: str, said: str) -> None:
    (fault,) = faults(message, SOURCE)
    assert said in fault
