"""Records as they travel: which fields may be left out, and what has more than one task."""

from __future__ import annotations

import msgspec
import pytest

from masterworker import wire
from masterworker.core.chunks import Chunk
from masterworker.core.task import RESULT, Lease, Outcome, ids_of, size_of
from masterworker.errors import UsageError

EXCHANGE = (3, [(7, 1, 0, [b"x"])], [8], 2, 5, 1.5, "a", 0.1, [(7, 1, 0.5, 0.25)])


def check(*fields: object) -> object:
    return wire.check("exchange", msgspec.Raw(msgspec.msgpack.encode(fields)))


@pytest.mark.parametrize("number", range(1, len(EXCHANGE) + 1))
def test_the_last_fields_of_an_exchange_may_be_left_out(number: int) -> None:
    """They mean nothing then: a caller says as much as it wants to say."""
    given = check(*EXCHANGE[:number])
    whole = msgspec.convert(EXCHANGE, wire.Exchange)
    names = wire.Exchange.__struct_fields__
    assert given == wire.Exchange(**{name: getattr(whole, name) for name in names[:number]})


@pytest.mark.parametrize("fields", [(), (*EXCHANGE, 1)])
def test_an_exchange_without_its_process_or_with_a_further_field_is_refused(
    fields: tuple[object, ...],
) -> None:
    with pytest.raises(UsageError, match="exchange"):
        check(*fields)


@pytest.mark.parametrize("fields", [(1, 1, 0), (1, 1, 0, [b""], 1), (1, 1, 0, b"")])
def test_an_outcome_has_all_its_fields(fields: tuple[object, ...]) -> None:
    with pytest.raises(UsageError, match="exchange"):
        check(3, [fields])


def test_one_task_is_a_range_of_one() -> None:
    lease, outcome = Lease(5, 1, "a", [b"p"]), Outcome(5, 1, RESULT, [b"r"])
    assert (list(ids_of(lease)), lease.payload) == ([5], b"p")
    assert (list(ids_of(outcome)), outcome.payload) == ([5], b"r")


@pytest.mark.parametrize("payloads", [[b"", b""], [], Chunk(b"", 0, 1), Chunk(b"", 1, 2)])
def test_several_tasks_have_no_payload_of_one(payloads: list[bytes] | Chunk) -> None:
    lease = Lease(5, 1, "a", payloads)
    assert list(ids_of(lease)) == list(range(5, 5 + len(payloads)))
    assert size_of([lease, lease]) == 2 * len(payloads)
    with pytest.raises(ValueError, match="in the place of one"):
        _ = lease.payload


@pytest.mark.parametrize("payloads", [[b"1"], [b"1", b"2"], Chunk(b"12", 0, 2)])
def test_a_lease_is_the_same_after_its_journey(payloads: list[bytes] | Chunk) -> None:
    lease = Lease(5, 2, "a", payloads, (1.0, None))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(lease), type=Lease) == lease
