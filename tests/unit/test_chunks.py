"""Small values of many tasks as one object, and how single ones leave it."""

from __future__ import annotations

import math
import pickle
from enum import IntEnum
from typing import Any

import numpy as np
import pytest

from blocks import each_finished, each_lease, plain, together
from masterworker.core import audit
from masterworker.core.blocks import PAGE_BITS
from masterworker.core.chunks import APART, MOST, MOST_BYTES, PICKLED, PLAIN, Chunk, weight
from masterworker.core.departure import Ended
from masterworker.core.options import Options
from masterworker.core.scheduler import Scheduler
from masterworker.core.task import FAILURE, RESULT, Lease, Outcome, Task, ids_of, size_of
from masterworker.core.task_queues import BYTES_PER_CLAIM
from masterworker.data import chunks
from masterworker.data.chunks import (
    FEW,
    LONGEST,
    WIDEST,
    Values,
    calls_together,
    coding_of,
    is_small,
    open_calls,
    put_together,
)
from masterworker.data.items import one_by_one, single
from masterworker.errors import InternalError
from unit.acting import worker

PAGE = 1 << PAGE_BITS


class Colour(IntEnum):
    RED = 1


class Name(str):
    """A text that may mean more."""

    __slots__ = ()


def test_a_chunk_is_a_sequence_of_payloads() -> None:
    chunk = together([b"%d" % i for i in range(10)])
    assert len(chunk) == 10
    assert [plain(payload) for payload in one_by_one(chunk)] == [b"%d" % i for i in range(10)]
    part = chunk[3:8][1:3]
    assert part == Chunk(chunk.data, 4, 2)
    assert part.data is chunk.data
    assert [plain(single(part, i)) for i in range(2)] == [b"4", b"5"]
    assert weight(part) == weight(chunk) == len(chunk.data)
    assert list(ids_of(Lease(7, 1, "a", part))) == [7, 8]
    assert size_of([Lease(7, 1, "a", part), Lease(9, 1, "a", [b""])]) == 3
    for beyond in (-1, 2):
        with pytest.raises(IndexError):
            single(part, beyond)


@pytest.mark.parametrize(("at", "number"), [(0, 0), (0, -1), (-1, 2), (1, MOST), (0, MOST + 1)])
def test_there_is_no_chunk_without_items_or_with_too_many(at: int, number: int) -> None:
    """Also not one that somebody sends: its size bounds what is done for it."""
    with pytest.raises(ValueError, match="has 1 to"):
        Chunk(b"", at, number)


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, 0, -1, 2**63 - 1, 1.5, math.inf, 1j, "", "x" * LONGEST, b"\x00" * LONGEST),
        *((), (1, 2.0, "x"), (None,) * WIDEST),
    ],
)
def test_what_nobody_can_change_is_small(value: object) -> None:
    assert is_small(value)
    assert coding_of([value])


@pytest.mark.parametrize(
    "value",
    [
        *([], {}, {1}, bytearray(b"x"), object(), np.float64(1.5), np.int64(1), np.ones(1)),
        *(Colour.RED, Name("x"), True.__class__, (1, []), ((1,),), frozenset((1,)), range(3)),
    ],
)
def test_what_could_have_a_state_is_not_small(value: object) -> None:
    """Also not in a tuple, nor an object of a subclass."""
    assert not is_small(value)
    assert not coding_of([value])


@pytest.mark.parametrize(
    "value", [2**63, -(2**63), "x" * (LONGEST + 1), b"x" * (LONGEST + 1), (0,) * (WIDEST + 1)]
)
def test_what_has_many_bytes_is_not_small(value: object) -> None:
    assert not is_small(value)


def test_parameters_of_calls() -> None:
    """All of them, some, and one alone."""
    chunk = calls_together(b"f", [[1, 2, 3], ["a", "b", "c"]])
    assert chunk is not None
    assert open_calls(chunk) == (b"f", [[1, 2, 3], ["a", "b", "c"]])
    assert open_calls(chunk[1:]) == (b"f", [[2, 3], ["b", "c"]])
    assert pickle.loads(single(chunk[1:], 1)) == (b"f", (3, "c"), {})


def test_parameters_of_a_tag() -> None:
    """There is no function, so they are nothing but the arguments."""
    chunk = calls_together(b"", [[1, 2, 3]])
    assert chunk is not None
    assert pickle.loads(single(chunk, 2)) == (3,)


PLAIN_VALUES = [1, True, 0, False, -(2**63), 2**63 - 1, 2.5, -0.0, 1e300, None, "tëxt", b"\0\xff"]


@pytest.mark.parametrize("coding", [PICKLED, PLAIN])
@pytest.mark.parametrize("odd", [7, 2**64, -(2**64), "\ud800", math.inf, ""])
def test_values_come_as_they_were_however_they_were_put_together(coding: int, odd: Any) -> None:
    """Also a number or a text that plain data has no place for: then it is a pickle after all."""
    values = [*PLAIN_VALUES, odd]
    chunk = put_together(values, coding)
    assert isinstance(chunk, Chunk)
    calls = calls_together(b"f", [values, values], coding)
    assert calls is not None
    _, (column, other) = open_calls(calls)
    for found in (Values(chunk).open(), list(column), list(other)):
        assert list(map(repr, found)) == list(map(repr, values))
    singles = [pickle.loads(single(chunk, at)) for at in range(len(values))]
    assert list(map(repr, singles)) == list(map(repr, values))
    assert pickle.loads(single(calls[2:], 1)) == (b"f", (False, False), {})


def test_what_can_be_plain() -> None:
    """Tuples and complex numbers would come back as something else."""
    assert coding_of(PLAIN_VALUES) == PLAIN
    assert {coding_of([value]) for value in (1j, (1, 2), ())} == {PICKLED}
    assert coding_of([(1, 2), 3]) == coding_of([[1]]) == coding_of([(1, [2])]) == APART


def test_too_many_bytes_are_not_put_together() -> None:
    """The function does not count: it would be in each of them."""
    assert calls_together(b"", [[f"{i:64}" for i in range(MOST)]]) is None
    assert calls_together(bytes(MOST_BYTES - 100), [[1, 2]]) is not None
    assert calls_together(bytes(MOST_BYTES), [[1, 2]]) is None
    assert isinstance(put_together([f"{i:64}" for i in range(MOST)]), list)


def test_results_are_opened_once() -> None:
    found = put_together([1, "x", 2.5, None])
    assert isinstance(found, Chunk)
    values = Values(found[1:])
    assert values.open() == ["x", 2.5, None]
    assert values.open() is values.open()
    assert pickle.loads(single(found[1:], 0)) == "x"


def test_few_results_are_not_put_together() -> None:
    few = list(range(FEW - 1))
    assert put_together(few) == [pickle.dumps(i, 5) for i in few]
    assert put_together([1] * FEW, coding=0) == [pickle.dumps(1, 5)] * FEW


@pytest.mark.parametrize("sent", [[1, 2], {0: 1, 1: 2, 2: 3}, (1, 2, 3), None])
def test_results_that_are_not_so_many(sent: Any) -> None:
    with pytest.raises(ValueError, match="number of results"):
        Values(Chunk(pickle.dumps(sent), 0, 3)).open()


# -- in the scheduler -------------------------------------------------------------------------


@pytest.fixture
def core() -> Scheduler:
    return Scheduler(single=single)


def ask(core: Scheduler, number: int) -> None:
    core.on_requested("a", together([b"%d" % i for i in range(1, number + 1)]), direct=True)


def test_a_chunk_is_cut_without_a_look_into_it(core: Scheduler) -> None:
    """Workers get parts of the same bytes."""
    ask(core, 20)
    members = [worker(core), worker(core)]
    leases = [lease for m in members for lease in core.on_fetch(m, 9, 0.0)[0]]
    assert [(lease.task_id, len(lease.payloads)) for lease in leases] == [(1, 5), (6, 4)]
    assert len({id(lease.payloads.data) for lease in leases if lease.payloads}) == 1  # type: ignore[union-attr]
    assert [one.payload for one in each_lease(leases)] == [b"%d" % i for i in range(1, 10)]
    audit.check(core)


def test_a_page_ends_within_a_chunk(core: Scheduler) -> None:
    core.on_requested("a", [b"x"] * 3, direct=True)
    core.on_requested("a", together([b"%d" % i for i in range(PAGE)]), direct=True)
    assert [len(block.payloads) for block in core.table.blocks] == [3, PAGE - 4, 4]
    audit.check(core)


def test_a_chunk_with_many_bytes_is_not_cut_for_them(core: Scheduler) -> None:
    """A part has all its bytes; but no more parts come in one message than it can carry."""
    member = worker(core)
    for _ in range(1000):
        core.on_requested("a", Chunk(bytes(MOST_BYTES), 0, 5), direct=True)
    leases, _ = core.on_fetch(member, 5000, 0.0)
    assert len(leases) == BYTES_PER_CLAIM // MOST_BYTES
    audit.check(core)


def test_one_task_leaves_a_chunk(core: Scheduler) -> None:
    """It has a payload of its own, which anybody can open, and is told with its own parameters."""
    member = worker(core)
    ask(core, 20)
    core.on_fetch(member, 10, 0.0)
    done = [
        Outcome(1, 1, RESULT, together([b"r1", b"r2"])),
        Outcome(5, 1, FAILURE, [b"why"]),
        Outcome(6, 1, RESULT, together([b"r6", b"r7", b"r8"])[1:]),
    ]
    refused, effects = core.on_reported(member, done, 0.0)
    assert refused == []
    found = [(one.task_id, one.payload) for one in each_finished(effects.direct)]
    assert found == [(1, b"r1"), (2, b"r2"), (5, b"why"), (6, b"r7"), (7, b"r8")]
    ((task_id, _, parameters, *_),) = effects.failed
    assert (task_id, plain(parameters)) == (5, b"5")
    core.on_departed(member, Ended("signal 11", 9), 1.0)
    guilty = core.find(9)
    assert isinstance(guilty, Task)
    assert plain(guilty.payload) == b"9"
    audit.check(core)


def test_a_chunk_of_results_that_is_partly_refused(core: Scheduler) -> None:
    """What has been settled meanwhile is left out; the others have their own."""
    member = worker(core)
    ask(core, 20)
    core.on_fetch(member, 10, 0.0)
    core.on_cancelled([4], 0.0)
    done = Outcome(1, 1, RESULT, together([b"r%d" % i for i in range(1, 11)]))
    refused, effects = core.on_reported(member, [done], 0.0)
    assert refused == [4]
    found = {one.task_id: one.payload for one in each_finished(effects.direct)}
    assert found == {i: b"r%d" % i for i in range(1, 11) if i != 4}
    audit.check(core)


def test_core_without_a_way_to_open_chunks_says_so() -> None:
    """What one item of a chunk is, the core cannot know: the manager tells it."""
    with pytest.raises(InternalError, match="no way to make its payload"):
        Scheduler().on_requested("a", Chunk(b"", 0, 1), direct=True, options=Options(retries=1))


def test_item_of_a_chunk_names_what_opens_it() -> None:
    """The pickle is put together by hand, so nothing else notices when the function moves."""
    named = f"{chunks.item.__module__}\n{chunks.item.__name__}\n".encode()
    assert named in single(together([b"a", b"b"]), 1)
