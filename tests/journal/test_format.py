"""The file of a journal: each cut of it, each flipped bit, and what is not one at all."""

from __future__ import annotations

import pytest

from journal import files
from masterworker.errors import JournalError
from masterworker.journal import format as layout
from masterworker.journal.reading import read
from masterworker.journal.records import Behind

WHOLE = files.groups()


def contents(data: bytes, key: bytes) -> list[list[object]]:
    """All records that are read."""
    found = read(memoryview(data), key)
    return [list(layout.records_of(group)) for group in found.groups]


def test_what_is_written_is_read() -> None:
    data, _ = files.bytes_of(WHOLE)
    assert contents(data, files.key()) == WHOLE


def test_each_cut_leaves_the_whole_groups() -> None:
    data, ends = files.bytes_of(WHOLE)
    key = files.key()
    header = layout.read_header(memoryview(data), key)[1]
    for cut in range(header, len(data) + 1):
        number = sum(end <= cut for end in ends)
        found = read(memoryview(data[:cut]), key)
        assert len(found.groups) == number, cut
        assert found.end == ([header, *ends][number]), cut


def test_a_cut_header_is_no_journal() -> None:
    data, _ = files.bytes_of(WHOLE)
    key = files.key()
    for cut in range(layout.read_header(memoryview(data), key)[1]):
        with pytest.raises(JournalError):
            read(memoryview(data[:cut]), key)


@pytest.mark.parametrize("bit", range(8))
def test_each_flipped_bit_is_noticed(bit: int) -> None:
    """In the last group it looks as if that was torn; before that nothing is taken."""
    data, ends = files.bytes_of(WHOLE)
    key = files.key()
    for at in range(len(data)):
        bad = bytearray(data)
        bad[at] ^= 1 << bit
        if at < ends[-2]:
            with pytest.raises(JournalError):
                read(memoryview(bytes(bad)), key)
        else:
            assert contents(bytes(bad), key) == WHOLE[:-1]


@pytest.mark.parametrize("noise", [b"\0" * 5000, bytes(range(256)) * 20, layout.GROUP * 50])
def test_noise_at_the_end_is_torn(noise: bytes) -> None:
    data, ends = files.bytes_of(WHOLE)
    found = read(memoryview(data + noise), files.key())
    assert (len(found.groups), found.end) == (len(WHOLE), ends[-1])


def test_a_group_that_is_left_out_is_noticed() -> None:
    data, ends = files.bytes_of(WHOLE)
    without = data[: ends[0]] + data[ends[1] :]
    with pytest.raises(JournalError, match="group 2 is where group 1 is to be, at byte"):
        read(memoryview(without), files.key())


def test_groups_that_are_swapped_are_noticed() -> None:
    data, ends = files.bytes_of(WHOLE)
    swapped = data[: ends[0]] + data[ends[1] : ends[2]] + data[ends[0] : ends[1]] + data[ends[2] :]
    with pytest.raises(JournalError, match="left out, or put elsewhere"):
        read(memoryview(swapped), files.key())


def test_a_group_of_another_journal_is_no_group() -> None:
    data, ends = files.bytes_of(WHOLE)
    other = layout.Keyed(files.key(), "1" * 32)
    foreign = b"".join(layout.write_group(WHOLE[0], len(WHOLE), other))
    found = read(memoryview(data + foreign), files.key())
    assert (len(found.groups), found.end) == (len(WHOLE), ends[-1])


def test_another_key_is_said_to_be_one() -> None:
    data, _ = files.bytes_of(WHOLE, secret=b"of another user".ljust(32))
    with pytest.raises(JournalError, match="another key"):
        read(memoryview(data), files.key())


def test_a_later_format_is_said_to_be_one() -> None:
    data, _ = files.bytes_of(WHOLE)
    at = len(layout.MAGIC)
    later = data[:at] + (99).to_bytes(2, "little") + data[at + 2 :]
    with pytest.raises(JournalError, match=r"format 99.*newer"):
        read(memoryview(later), files.key())


@pytest.mark.parametrize("data", [b"", b"x", b"SQLite format 3\0" * 10, b"\0" * 200])
def test_another_file_is_no_journal(data: bytes) -> None:
    with pytest.raises(JournalError, match="not a journal"):
        read(memoryview(data), files.key())


def test_a_header_that_was_begun_is_begun_anew() -> None:
    """The first master of a journal was killed as it wrote, or the system crashed."""
    data, _ = files.bytes_of(WHOLE)
    end = layout.read_header(memoryview(data), files.key())[1]
    for cut in range(end):
        assert layout.is_unfinished(memoryview(data[:cut])), cut
    for cut in range(end - layout.CHECK):
        assert layout.is_unfinished(memoryview(data[:cut].ljust(end, b"\0"))), cut
    assert not layout.is_unfinished(memoryview(data[:end]))
    assert not layout.is_unfinished(memoryview(data))


@pytest.mark.parametrize("data", [b"x", b"#!/bin/sh\n", b"\x89PNG\r\n\x1a\n", b"\0" * 5000])
def test_another_file_was_not_begun_by_us(data: bytes) -> None:
    assert not layout.is_unfinished(memoryview(data))


def test_groups_that_were_ahead_of_others_are_torn_with_them() -> None:
    """In relaxed mode a crash of the system may cost a group and not the next one."""
    some = [WHOLE[0], *([Behind(1), *records] for records in WHOLE[1:])]
    data, ends = files.bytes_of(some)
    without = data[: ends[0]] + bytes(ends[1] - ends[0]) + data[ends[1] :]
    found = read(memoryview(without), files.key())
    assert (len(found.groups), found.end) == (1, ends[0])
    before = bytes(20) + data[20 : ends[0]]
    with pytest.raises(JournalError):
        read(memoryview(before + data[ends[0] :]), files.key())
    two = [WHOLE[0], [Behind(1), *WHOLE[1]], [Behind(2), *WHOLE[2]]]
    data, ends = files.bytes_of(two)
    without = data[: ends[0]] + bytes(ends[1] - ends[0]) + data[ends[1] :]
    with pytest.raises(JournalError, match="damaged at byte"):
        read(memoryview(without), files.key())
