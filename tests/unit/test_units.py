"""Durations, sizes and times as people write them."""

from __future__ import annotations

import contextlib
import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from masterworker import units
from masterworker.errors import UsageError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("30m", 1800), ("12h", 43200), ("7d", 604800), (" 1d ", 86400)],
)
def test_durations(text: str, seconds: int) -> None:
    assert units.duration(text) == dt.timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "7", "d", "-7d", "1.5h", "7 d", "7w", "1" * 20 + "d", "٣d"])
def test_other_durations_are_told(text: str) -> None:
    with pytest.raises(UsageError, match="write one like 90s, 30m, 12h or 7d"):
        units.duration(text)


@given(st.text())
def test_any_text_is_a_duration_or_told(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert units.duration(text) >= dt.timedelta(0)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("500M", 500_000_000),
        ("500 MB", 500_000_000),
        ("1.5GiB", 1536 << 20),
        ("2g", 2 * 10**9),
        ("1000", 1000),
        (4096, 4096),
    ],
)
def test_sizes(text: int | str, size: int) -> None:
    """As people write them."""
    assert units.size(text) == size


@pytest.mark.parametrize("text", ["", "much", "-5M", "5X", "1e9", True, "M"])
def test_sizes_that_are_none(text: str) -> None:
    """Refused, and the error says how to write one."""
    with pytest.raises(UsageError, match="500M"):
        units.size(text)


NOON = dt.datetime(2026, 11, 23, 12, 0, 0, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("12:30", 1800),
        ("12:00:10", 10),
        ("9:00", 21 * 3600),
        ("12:00", 24 * 3600),
        ("2026-11-23T12:01+00:00", 60),
        ("2026-11-24 12:00:00+00:00", 24 * 3600),
    ],
)
def test_times(text: str, seconds: float) -> None:
    """A time of the day is the next one."""
    assert units.seconds_until(text, NOON) == seconds


@pytest.mark.parametrize("text", ["", "noon", "25:00", "12:60", "2026-11-23T11:59+00:00", "5"])
def test_times_that_are_none(text: str) -> None:
    """Refused, also what has passed."""
    with pytest.raises(UsageError, match="time"):
        units.seconds_until(text, NOON)
