"""The one request that there is for each task is decoded at once, into the same as any other."""

from __future__ import annotations

import msgspec
import pytest

from masterworker import wire
from masterworker.errors import UsageError
from masterworker.transport.pyro.messages import begin_of, read_request

GIVEN = (3, [(7, 1, 0, [b"x"])], [8], 0, 5, 1.5, None, 0.1, [(7, 1, 0.5, 0.25)])
FREQUENT = begin_of("tm", "call", "exchange")


def _body(operation: str, args: object) -> bytes:
    return msgspec.msgpack.encode(("tm", "call", (operation, args), {}))


def test_an_exchange_is_decoded_into_its_shape_at_once() -> None:
    quick = read_request(_body("exchange", GIVEN), FREQUENT)
    slow = read_request(_body("exchange", GIVEN))
    assert quick.args.__class__ is wire.Exchange
    assert isinstance(slow.args, msgspec.Raw)
    assert (quick.object, quick.method, quick.operation) == (
        slow.object,
        slow.method,
        slow.operation,
    )
    assert quick.named == slow.named
    assert wire.check("exchange", quick.args) == wire.check("exchange", slow.args)


@pytest.mark.parametrize("wrong", [(), (3, "no list"), {"member_id": 3}, (-1, [(1, 2)])])
def test_a_malformed_exchange_is_refused_as_any_other(wrong: object) -> None:
    told = []
    for frequent in (FREQUENT, None):
        with pytest.raises(UsageError, match="malformed 'exchange'") as refused:
            wire.check("exchange", read_request(_body("exchange", wrong), frequent).args)
        told.append(str(refused.value))
    assert told[0] == told[1]


def test_other_requests_are_taken_apart_first() -> None:
    assert isinstance(read_request(_body("ping", (3,)), FREQUENT).args, msgspec.Raw)


def test_what_is_decoded_for_an_exchange_is_no_argument_of_another_operation() -> None:
    exchange = read_request(_body("exchange", GIVEN), FREQUENT).args
    with pytest.raises(UsageError):
        wire.check("ping", exchange)
