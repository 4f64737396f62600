"""The memory that a worker and its supervisor share: the tag of what is being executed."""

from __future__ import annotations

import os

import pytest

from masterworker.launch import scoreboard
from masterworker.launch.process_context import ProcessContext

TAGS = ["a", "sqrt", "12345678", "@simulate", "x" * 7, "x" * 8, "x" * 9, "å" * 60, "x" * 200]


@pytest.mark.parametrize("before", ["", "sqrt", "y" * 255])
@pytest.mark.parametrize("tag", TAGS)
def test_a_tag_is_read_as_it_was_written(tag: str, before: str) -> None:
    """Whatever stood there; the supervisor's view is another mapping of the same memory."""
    fd, theirs = scoreboard.create("name of a supervisor")
    name, ours = scoreboard.attach(os.dup(fd))
    os.close(fd)
    assert scoreboard.read_tag(theirs) == ""
    scoreboard.write_tag(ours, before)
    ours[scoreboard.SHELF] = 77
    scoreboard.write_tag(ours, tag)
    assert scoreboard.read_tag(theirs) == tag
    assert (name, theirs[scoreboard.SHELF]) == ("name of a supervisor", 77)


def test_a_tag_that_is_too_long_is_cut() -> None:
    """In the middle of a character, if need be."""
    numbers = scoreboard.private()
    scoreboard.write_tag(numbers, "å" * 200)
    assert scoreboard.read_tag(numbers) == "å" * 127 + "\N{REPLACEMENT CHARACTER}"
    scoreboard.write_tag(numbers, "half \ud800")
    assert scoreboard.read_tag(numbers) == "half ?"


@pytest.mark.parametrize("tag", ["", "a tag", "å" * 200])
def test_a_verdict(tag: str) -> None:
    """Has a status and a reason, and room of its own."""
    numbers = scoreboard.private()
    scoreboard.write_tag(numbers, tag)
    shown = scoreboard.read_tag(numbers)
    assert scoreboard.read_verdict(numbers) == (None, "")
    scoreboard.write_verdict(numbers, 0)
    assert scoreboard.read_verdict(numbers) == (0, "")
    scoreboard.write_verdict(numbers, 4, "the master is gone")
    assert scoreboard.read_verdict(numbers) == (4, "the master is gone")
    scoreboard.write_verdict(numbers, 2, "x" * 1_000_000)
    assert scoreboard.read_verdict(numbers) == (2, "x" * 2047)
    assert scoreboard.read_tag(numbers) == shown


def test_it_is_written_where_it_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    """And again in a new scoreboard."""
    written = []
    context = ProcessContext()
    monkeypatch.setattr(scoreboard, "write_tag", lambda _, tag: written.append(tag))
    for tag in ("a", "a", "b", "b", "a"):
        context.show_tag(tag)
    assert written == ["a", "b", "a"]
    context.has_left()
    context.show_tag("a")
    assert written[3:] == ["a"]
