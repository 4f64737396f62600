"""Options that come from a stored program are options, and nothing else."""

from __future__ import annotations

import pytest

from masterworker.surroundings import python


@pytest.mark.parametrize(
    ("given", "left"),
    [
        (["-OO", "-b", "-u", "-B", "-Wdefault::UserWarning", "-Xutf8=1"], None),
        (python.portable_options(), None),
        (["-c", "import os", "-m", "module", "script.py", "--", "-", "", "-Oc", "-i", "-I"], []),
    ],
)
def test_what_is_understood(given: list[str], left: list[str] | None) -> None:
    assert python.understood(given) == (given if left is None else left)


@pytest.mark.parametrize("text", ["0", "7", "4294967295", "", "random", "-1", "x"])
def test_a_seed_is_always_one_that_python_takes(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """The user's own, or one that the random name of the job determines."""
    monkeypatch.setenv("PYTHONHASHSEED", text)
    seed = python.hash_seed("f" * 32)
    assert seed == (text if text.isdecimal() else str(1 + 0xFFFFFFF))
    assert 0 <= int(seed) <= 4294967295
