"""When a job will be done: the range holds the truth, in jobs of many shapes in virtual time."""

from __future__ import annotations

import random
from heapq import heappop, heappush
from typing import TYPE_CHECKING, NamedTuple

import pytest

from masterworker.recorder import snapshot
from masterworker.recorder.forecast import LEAST
from masterworker.recorder.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from masterworker.recorder.shapes import Forecast

#: How many jobs there are, and at which parts of their tasks the forecast is looked at.
JOBS = 200
LOOKS = [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95]

#: How long tasks take, by the part of the job that they are at, times the mean.
SHAPES: dict[str, Callable[[random.Random, float], float]] = {
    "alike": lambda _r, _p: 1.0,
    "even": lambda r, _p: r.uniform(0.5, 1.5),
    "exponential": lambda r, _p: r.expovariate(1.0),
    "lognormal": lambda r, _p: r.lognormvariate(0.0, 0.5),
    "wide": lambda r, _p: r.lognormvariate(0.0, 1.0),
    "a few are long": lambda r, _p: 10.0 if r.random() < 0.05 else 0.5,
    "two kinds": lambda r, _p: r.choice((0.2, 2.0)),
    "ever longer": lambda r, p: (0.5 + p) * r.uniform(0.8, 1.2),
    "ever shorter": lambda r, p: (1.5 - p) * r.uniform(0.8, 1.2),
    "slow beginning": lambda r, p: (5.0 if p < 0.05 else 1.0) * r.uniform(0.8, 1.2),
}
#: How many workers there are, by time, as parts of all.
CREWS: dict[str, Callable[[float], float]] = {
    "all at once": lambda _t: 1.0,
    "more and more": lambda t: min(1.0, 0.25 + t / 4),
    "fewer later": lambda t: 1.0 if t < 4 else 0.7,
}


class Found(NamedTuple):
    """A forecast, how far the job was, and how long it really took from there on."""

    shape: str
    part: float
    forecast: Forecast
    truth: float


def execute(seed: int) -> Iterator[Found]:
    """Execute a job in virtual time; yield what was said on the way."""
    rng = random.Random(seed)
    shape, crew = rng.choice([*SHAPES]), rng.choice([*CREWS])
    number, workers = int(10 ** rng.uniform(2.0, 3.3)), int(2 ** rng.uniform(0, 6))
    mean = 10 ** rng.uniform(-2, 3)
    recorder = Recorder()
    recorder.at(0.0)
    recorder.of("a").asked += number
    for n in range(workers):
        recorder.joined(n, f"pid {n} on host (x)", 0.0)
    # The whole would take this long: the time in which workers come and go is measured by it.
    unit = number * mean / workers / 8
    free: list[tuple[float, int]] = [(0.0, n) for n in range(workers)]
    at_work: list[tuple[float, int, float]] = []
    begun = done = 0
    looks, said = [int(part * number) for part in LOOKS], []
    now = 0.0
    while done < number:
        here = max(1, round(workers * CREWS[crew](now / unit)))
        while free and begun < number and len(at_work) < here:
            _, worker = free.pop()
            seconds = mean * SHAPES[shape](rng, begun / number)
            heappush(at_work, (now + seconds * 1.02, worker, seconds))
            begun += 1
        now, worker, seconds = heappop(at_work)
        recorder.at(now)
        recorder.of("a").done += 1
        recorder.spent("a", worker, 1, seconds, seconds * seconds)
        free.append((now, worker))
        done += 1
        if looks and done >= looks[0]:
            part = looks.pop(0) / number
            said.append((part, now, look(recorder, number, done, here, now)))
    for part, when, forecast in said:
        yield Found(shape, part, forecast, now - when)


def look(recorder: Recorder, asked: int, done: int, workers: int, now: float) -> Forecast:
    stand = snapshot.Stand(
        *(asked, done, 0, 0, 0, 0, 0, 0, asked - done),
        ended=False,
        troubles=[],
        heard=dict,
        in_hand=dict,
        able=lambda _: workers,
    )
    return snapshot.whole(snapshot.take(recorder, stand, now), "", 0.0).forecast


@pytest.mark.search
def test_the_range_holds_the_truth() -> None:
    """From a fifth of the job on, in four of five looks at least. docs/snapshot.md has a table."""
    found = [each for seed in range(JOBS) for each in execute(seed)]
    held: list[bool] = []
    for _, _, said, truth in found:
        if said.seconds is not None and said.earliest is not None and said.latest is not None:
            assert 0.0 <= said.earliest <= said.seconds <= said.latest
            held.append(said.earliest <= truth <= said.latest)
    assert len(held) > 0.95 * len(found)
    assert sum(held) / len(held) >= 0.8


@pytest.mark.parametrize("number", [1, LEAST - 1, LEAST])
def test_nothing_is_said_of_what_is_not_known(number: int) -> None:
    recorder = Recorder()
    recorder.at(0.0)
    recorder.of("a").asked += 100
    for n in range(number):
        recorder.at(n + 1.0)
        recorder.of("a").done += 1
        recorder.spent("a", 0, 1, 1.0, 1.0)
    said = look(recorder, 100, number, 1, float(number))
    assert (said.seconds is not None) is (number >= LEAST)
    assert said.left == 100 - number
    assert look(recorder, 100, number, 0, float(number)).seconds is None, "there are no workers"
