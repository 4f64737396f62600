"""The memory that a worker and its supervisor share: the tag of what is being executed."""

from __future__ import annotations

import os

import pytest

from masterworker.launch import parent, slot

TAGS = ["a", "sqrt", "12345678", "@simulate", "x" * 7, "x" * 8, "x" * 9, "å" * 60, "x" * 200]


@pytest.mark.parametrize("before", ["", "sqrt", "y" * 255])
@pytest.mark.parametrize("tag", TAGS)
def test_a_tag_is_read_as_it_was_written(tag: str, before: str) -> None:
    """Whatever stood there; the supervisor's view is another mapping of the same memory."""
    fd, theirs = slot.create("name of a supervisor")
    name, ours = slot.attach(os.dup(fd))
    os.close(fd)
    assert slot.read_tag(theirs) == ""
    slot.write_tag(ours, before)
    ours[slot.SHELF] = 77
    slot.write_tag(ours, tag)
    assert slot.read_tag(theirs) == tag
    assert (name, theirs[slot.SHELF]) == ("name of a supervisor", 77)


def test_a_tag_that_is_too_long_is_cut() -> None:
    """In the middle of a character, if need be."""
    numbers = slot.private()
    slot.write_tag(numbers, "å" * 200)
    assert slot.read_tag(numbers) == "å" * 127 + "\N{REPLACEMENT CHARACTER}"
    slot.write_tag(numbers, "half \ud800")
    assert slot.read_tag(numbers) == "half ?"


def test_it_is_written_where_it_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    """And again in a new slot."""
    written = []
    monkeypatch.setattr(parent, "shared", slot.private())
    monkeypatch.setattr(parent, "shown_tag", "")
    monkeypatch.setattr(slot, "write_tag", lambda _, tag: written.append(tag))
    for tag in ("a", "a", "b", "b", "a"):
        parent.show_tag(tag)
    assert written == ["a", "b", "a"]
    parent.has_left()
    parent.show_tag("a")
    assert written[3:] == ["a"]
