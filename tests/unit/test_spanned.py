"""Spans as they travel and are kept: all that was executed, or the latest of one worker."""

from __future__ import annotations

import math
from array import array

import pytest
from msgspec.structs import replace

from masterworker.errors import MalformedError
from masterworker.recorder import spanned, spans
from masterworker.recorder.recorder import Recorder
from masterworker.recorder.spanned import Copied, Span, decode, encode
from masterworker.recorder.spans import SEVERAL, Spans


def job(workers: int = 3, reports: int = 300) -> Recorder:
    recorder = Recorder()
    recorder.at(1000.0)
    for n in range(workers):
        recorder.joined(n, f"pid {n} on host{n % 2} (x)", 1000.0)
    for n in range(reports):
        recorder.at(1001.0 + n)
        recorder.spent("ab"[n % 2], n % workers, 2, 0.5, 0.125)
    return recorder


def test_they_come_back() -> None:
    """All of them, with the one that goes on; or the latest of a worker."""
    found = list(decode(encode(Copied(job()).table())))
    assert len(found) == 300
    assert found[0] == Span(0, "host0", "a", 0.5, 1.0, 2, 0.5)
    assert found[-1] == Span(2, "host0", "b", 299.5, 300.0, 2, 0.5)
    latest = list(decode(encode(Copied(job(3, 600)).table(1))))
    assert {each.worker for each in latest} == {1}
    assert len(latest) == spanned.LATEST
    assert latest[-1].end == 599.0
    assert list(decode(encode(Copied(job()).table(99)))) == []
    assert list(decode(b"")) == list(decode(encode(Copied(Recorder()).table()))) == []


def test_what_cannot_be_is_refused_or_left_out() -> None:
    table = Copied(job(1, 2)).table()
    columns = table.columns
    for bad in (
        replace(table, version=2),
        replace(table, tags=[]),
        replace(table, hosts=[]),
        replace(table, columns=columns[:3]),
        replace(table, columns=[columns[0][:3], *columns[1:]]),
        replace(table, columns=[columns[0][:4], *columns[1:]]),
    ):
        with pytest.raises(MalformedError):
            decode(encode(bad))
    for damaged in (b"\xc1", encode(table)[:-3], b"\x80", b"\x93" * 2000):
        with pytest.raises(MalformedError, match="cannot be read"):
            decode(damaged)
    odd = array("d", [math.nan, -math.inf]).tobytes()
    assert list(decode(encode(replace(table, columns=[*columns[:3], odd, *columns[4:]])))) == []


@pytest.mark.parametrize("workers", [10, 60_000])
def test_too_many_are_joined_and_cover_the_whole_job(
    workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one worker first, then of one host: tasks, seconds and hosts are as they were."""
    monkeypatch.setattr(spans, "SPANS", 1000)
    kept, number = Spans(), 5000
    for n in range(number):
        kept.add(n % workers, ("t", f"host{n % 7}"), float(n), n + 0.5, 3, 0.25)
        assert len(kept) < 1000
    assert sum(kept.number) == 3 * number
    assert sum(kept.busy) == pytest.approx(number / 4)
    assert (kept.begin[0], kept.end[-1]) == (0.0, number - 0.5)
    assert (SEVERAL in kept.worker) == (workers > 1000)
    by_host = [0] * 7
    for host, tasks in zip(kept.host, kept.number, strict=True):
        by_host[int(kept.hosts[host].removeprefix("host"))] += tasks
    assert workers < 1000 or by_host == [3 * len(range(n, number, 7)) for n in range(7)]


def test_numbers_that_are_too_large_are_the_largest() -> None:
    kept = Spans()
    kept.add(1 << 40, ("t", "h"), 0.0, 1.0, 1 << 40, 1.0)
    assert (kept.worker[0], kept.number[0]) == ((1 << 31) - 1, (1 << 32) - 1)
