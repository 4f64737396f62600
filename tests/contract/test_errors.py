"""Errors arrive as they were raised, and what is malformed changes nothing."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import asdict, astuple

from contract.nets import Background, make_net
from masterworker import errors, wire
from masterworker.core.chunks import MOST, MOST_BYTES
from masterworker.core.task import RESULT
from support import fields

if TYPE_CHECKING:
    from contract.nets import Net

#: Our errors that consist of a text.
OURS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type)
    and issubclass(kind, errors.MasterworkerError)
    and not issubclass(kind, (errors.TaskError, errors.RemoteError, errors.JobEndedError))
]


def exchange_of(payload: Any) -> tuple[str, list[Any]]:
    """One outcome is delivered."""
    return "exchange", [0, [[3, 1, RESULT, [payload]]], [], 0, 0, 0.0, None]


@pytest.mark.parametrize("kind", OURS, ids=lambda kind: kind.__name__)
def test_our_errors_arrive_with_class_and_text(
    net: Net, kind: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the manager raises, the client raises; and the connection goes on."""

    def refuse(_: int) -> bool:
        raise kind("why: ä\nsecond line")

    client = net.client()
    with monkeypatch.context() as patch:
        patch.setattr(net.manager, "ping", refuse)
        with pytest.raises(errors.MasterworkerError) as caught:
            client.ping(0)

    assert type(caught.value) is kind
    assert str(caught.value) == "why: ä\nsecond line"
    assert client.ping(0) is False


def test_an_error_that_is_not_ours_is_a_bug_and_says_so(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anything unexpected in the manager is an answer, too; the connection goes on."""

    def break_down(_: int) -> bool:
        raise ZeroDivisionError("impossible")

    client = net.client()
    with monkeypatch.context() as patch:
        patch.setattr(net.manager, "ping", break_down)
        with pytest.raises(errors.InternalError, match=r"ping.*ZeroDivisionError.*impossible"):
            client.ping(0)
    assert client.ping(0) is False


def _with_work(net: Net) -> dict[str, Any]:
    """A manager with a task in each state: 1 delivered, 2 settled, 3 leased, 4 waiting."""
    worker, client = net.join(["a"]), net.join([])
    client.client.request("a", [b"p"] * 4)
    for _ in range(2):
        worker.report(worker.fetch()[0])
    client.collect()
    worker.fetch()
    client.client.put("data", "kept", b"v")
    client.client.put_state({"x": b"1"})
    return _all_of(net)


def _all_of(net: Net) -> dict[str, Any]:
    """Everything that a call might have changed."""
    manager = net.manager
    manager.check()
    census, core = manager.census(), manager.core
    return {
        **asdict(census),
        "open": dict(core.open_tags),
        "claims": len(list(core.waiting.claims)) + len(list(core.results.claims)),
        "kept": manager.get("data", "kept"),
        "state": manager.get(wire.STATES, "1/x"),
        "filters": len(core.waiting.filters),
    }


HELLO = wire.introduce("info", ["a"], None, "client")
EXCHANGE = astuple(wire.Exchange(0, [], [], 0, 0, 0.0, None, 0.1, []))


def _hello(**changes: Any) -> list[Any]:
    return fields(HELLO, **changes)


#: Calls that no sane peer makes. Process 0 is a worker that holds task 3; 2 is settled.
BAD: dict[str, tuple[str, list[Any]]] = {
    # operations that are not
    "unknown operation": ("nonsense", []),
    "empty operation": ("", []),
    "private operation": ("_join", []),
    "dunder operation": ("__class__", []),
    "operation with NUL": ("ping\x00", [0]),
    "huge operation": ("x" * 1_000_000, []),
    "number as operation": (7, []),  # type: ignore[dict-item]
    "none as operation": (None, []),  # type: ignore[dict-item]
    "internal method": ("once", ["c", 1, None]),
    "what only the manager does": ("undelivered", [[[1, "a", 0, b"r", ""]]]),
    # numbers of arguments
    "ping of none": ("ping", []),
    "ping of two": ("ping", [0, 0]),
    "join of none": ("join", []),
    "join of three": ("join", [wire.PROTOCOL, "3.11", "1"]),
    "join with one more": ("join", [*fields(HELLO), 1]),
    "exchange of none": ("exchange", []),
    "exchange with one more": ("exchange", [*EXCHANGE, 1]),
    "exchange: spent is a number": ("exchange", [0, [], [], 0, 0, 0.0, None, 0.1, 1]),
    "exchange: spent of three": ("exchange", [0, [], [], 0, 0, 0.0, None, 0.1, [[1, 1, 0.1]]]),
    "exchange: work is text": ("exchange", [0, [], [], 0, 0, 0.0, None, "much"]),
    "request of three": ("request", ["c", 1, "a"]),
    "collect of two": ("collect", ["c", 1]),
    "census of one": ("census", [1]),
    "terminate of one": ("terminate", [1]),
    # joining
    "join: tags are text": ("join", _hello(tags="abc")),
    "join: tags are a number": ("join", _hello(tags=5)),
    "join: tags are numbers": ("join", _hello(tags=[1, 2])),
    "join: tags are lists": ("join", _hello(tags=[["a"]])),
    "join: info is a number": ("join", _hello(info=5)),
    "join: info is nothing": ("join", _hello(info=None)),
    "join: heartbeat is text": ("join", _hello(heartbeat="5")),
    "join: heartbeat is a list": ("join", _hello(heartbeat=[5])),
    "join: heartbeat is negative": ("join", _hello(heartbeat=-1.0)),
    "join: heartbeat is no number": ("join", _hello(heartbeat=math.nan)),
    "join: client is a list": ("join", _hello(client=["c"])),
    # asking for tasks
    "request: payloads are bytes": ("request", ["c", 1, "a", b"xyz", None]),
    "request: payloads are text": ("request", ["c", 1, "a", "xyz", None]),
    "request: payloads are a number": ("request", ["c", 1, "a", 5, None]),
    "request: payloads are nothing": ("request", ["c", 1, "a", None, None]),
    "request: payload is text": ("request", ["c", 1, "a", ["xyz"], None]),
    "request: payload is a number": ("request", ["c", 1, "a", [b"good", 5], None]),
    "request: payload is nothing": ("request", ["c", 1, "a", [None], None]),
    "request: tag is a number": ("request", ["c", 1, 5, [b"x"], None]),
    "request: tag is nothing": ("request", ["c", 1, None, [b"x"], None]),
    "request: tag is bytes": ("request", ["c", 1, b"a", [b"x"], None]),
    "request: tag is empty": ("request", ["c", 1, "", [b"x"], None]),
    "request: client is a list": ("request", [["c"], 1, "a", [b"x"], None]),
    # outcomes and leases
    "exchange: outcome of three": ("exchange", [0, [[3, 1, RESULT]], [], 0, 0, 0.0, None]),
    "exchange: outcome of five": ("exchange", [0, [[3, 1, RESULT, [b""], 1]], [], 0, 0, 0.0, None]),
    "exchange: outcome of none": ("exchange", [0, [[]], [], 0, 0, 0.0, None]),
    "exchange: second is bad": (
        "exchange",
        [0, [[3, 1, RESULT, [b"r"]], [4, 1, RESULT]], [], 0, 0, 0.0, None],
    ),
    "exchange: outcome is a number": ("exchange", [0, [3], [], 0, 0, 0.0, None]),
    "exchange: outcomes are a number": ("exchange", [0, 3, [], 0, 0, 0.0, None]),
    "exchange: payload is no list": ("exchange", [0, [[3, 1, RESULT, b"r"]], [], 0, 0, 0.0, None]),
    "exchange: payload is text": ("exchange", [0, [[3, 1, RESULT, ["r"]]], [], 0, 0, 0.0, None]),
    "exchange: payload is nothing": (
        "exchange",
        [0, [[3, 1, RESULT, [None]]], [], 0, 0, 0.0, None],
    ),
    "exchange: chunk of none": exchange_of({"data": b"", "at": 0, "number": 0}),
    "exchange: chunk of less": exchange_of({"data": b"", "at": 0, "number": -1}),
    "exchange: chunk of too many": exchange_of({"data": b"", "at": 0, "number": MOST + 1}),
    "exchange: chunk that ends too far": exchange_of({"data": b"", "at": 1, "number": MOST}),
    "exchange: chunk that begins before": exchange_of({"data": b"", "at": -1, "number": 2}),
    "exchange: chunk of too many bytes": exchange_of(
        {"data": bytes(MOST_BYTES + 1), "at": 0, "number": 2}
    ),
    "exchange: chunk of text": exchange_of({"data": "r", "at": 0, "number": 1}),
    "exchange: chunk without data": exchange_of({"at": 0, "number": 1}),
    "exchange: chunk of a text": exchange_of({"data": b"", "at": 0, "number": "1"}),
    "exchange: chunk of nothing": exchange_of({}),
    "exchange: chunks": exchange_of([{"data": b"", "at": 0, "number": 1}]),
    "exchange: task id is text": ("exchange", [0, [["3", 1, RESULT, b""]], [], 0, 0, 0.0, None]),
    "exchange: task id is a list": ("exchange", [0, [[[3], 1, RESULT, b""]], [], 0, 0, 0.0, None]),
    "exchange: attempt is text": ("exchange", [0, [[3, "1", RESULT, b""]], [], 0, 0, 0.0, None]),
    "exchange: attempt is no integer": (
        "exchange",
        [0, [[3, 1.0, RESULT, [b""]]], [], 0, 0, 0.0, None],
    ),
    "exchange: returned is a number": ("exchange", [0, [], 3, 0, 0, 0.0, None]),
    "exchange: returned are lists": ("exchange", [0, [], [[3]], 0, 0, 0.0, None]),
    "exchange: returned and bad": ("exchange", [0, [], [3, [1]], 0, 0, 0.0, None]),
    "exchange: started is a list": ("exchange", [0, [], [], [3], 0, 0.0, None]),
    "exchange: want is text": ("exchange", [0, [], [], 0, "1", 0.0, None]),
    "exchange: want is a list": ("exchange", [0, [], [], 0, [1], 0.0, None]),
    "exchange: wait is text": ("exchange", [0, [], [], 0, 1, "5", None]),
    "exchange: wait is nothing": ("exchange", [0, [], [], 0, 1, None, None]),
    "exchange: tag is a number": ("exchange", [0, [], [], 0, 1, 0.0, 5]),
    "exchange: tag is a list": ("exchange", [0, [], [], 0, 1, 0.0, ["a"]]),
    "exchange: member is a list": ("exchange", [[0], [], [], 0, 0, 0.0, None]),
    "collect: want is text": ("collect", ["c", 1, 1, None, "1", 0.0, 0]),
    "collect: wait is text": ("collect", ["c", 1, 1, "none", 1, "1", 0]),
    "collect: wait is nothing": ("collect", ["c", 1, 1, "none", 1, None, 0]),
    "collect: lend is text": ("collect", ["c", 1, 1, "none", 1, 0.0, "1"]),
    "collect: tag is a list": ("collect", ["c", 1, 1, ["a"], 1, 0.0, 0]),
    "collect: tag is a number": ("collect", ["c", 1, 1, 5, 1, 0.0, 0]),
    "collect: member is a list": ("collect", ["c", 1, [1], None, 1, 0.0, 0]),
    "settle: task is text": ("settle", ["a_3", RESULT, b"r"]),
    "settle: task is a list": ("settle", [[3], RESULT, b"r"]),
    "settle: payload is text": ("settle", [3, RESULT, "r"]),
    "settle: payload is nothing": ("settle", [3, RESULT, None]),
    "give back: a list": ("give_back", [[3]]),
    # data
    "put: value is text": ("put", ["data", "kept", "text"]),
    "put: value is nothing": ("put", ["data", "kept", None]),
    "put: value is a list": ("put", ["data", "kept", [1]]),
    "put: name is a list": ("put", ["data", ["kept"], b"v"]),
    "get: name is a list": ("get", ["data", ["kept"]]),
    "drop: name is a list": ("drop", ["data", ["kept"]]),
    "put state: a list": ("put_state", ["c", 1, [b"v"]]),
    "put state: nothing": ("put_state", ["c", 1, None]),
    "put state: value is text": ("put_state", ["c", 1, {"x": "text"}]),
    "put state: value is nothing": ("put_state", ["c", 1, {"x": b"1", "y": None}]),
    "drop state: text": ("drop_state", ["1/x"]),
    "drop state: a list": ("drop_state", [[1]]),
}

#: Wrong in what it says, not in how: judged and answered, whatever the answer.
FALSE: dict[str, tuple[str, list[Any]]] = {
    "report of a task that is not": (
        "exchange",
        [0, [[99, 1, RESULT, [b""]]], [], 0, 0, 0.0, None],
    ),
    "report of a negative task": ("exchange", [0, [[-3, 1, RESULT, b""]], [], 0, 0, 0.0, None]),
    "report of a huge task": ("exchange", [0, [[2**63, 1, RESULT, b""]], [], 0, 0, 0.0, None]),
    "report of a negative attempt": ("exchange", [0, [[3, -1, RESULT, b""]], [], 0, 0, 0.0, None]),
    "report of a future attempt": ("exchange", [0, [[3, 9, RESULT, [b""]]], [], 0, 0, 0.0, None]),
    "report of another kind": ("exchange", [0, [[3, 1, 7, b""]], [], 0, 0, 0.0, None]),
    "report that a task is lost": ("exchange", [0, [[3, 1, 2, b""]], [], 0, 0, 0.0, None]),
    "report of a waiting task": (
        "exchange",
        [0, [[4, 1, RESULT, [b""]]], [], 0, 0, 0.0, None],
    ),
    "return of what it has not": ("exchange", [0, [], [1, 2, 4, 99, -1], 0, 0, 0.0, None]),
    "start of what it has not": ("exchange", [0, [], [], 4, 0, 0.0, None]),
    "a negative wish": ("exchange", [0, [], [], 0, -1, 0.0, None]),
    "a wish of nobody": ("exchange", [99, [], [], 0, 1, 0.0, None]),
    "a wish of a negative process": ("exchange", [-1, [], [], 0, 1, 0.0, None]),
    "a wish of who executes nothing": ("exchange", [1, [], [], 0, 5, 0.0, None]),
    "collecting a negative number": ("collect", ["c", 1, 1, None, -1, 0.0, 0]),
    "settling what is not": ("settle", [99, RESULT, b""]),
    "settling in another kind": ("settle", [3, 7, b""]),
    "settling as lost": ("settle", [3, 2, b""]),
    "giving back what is not": ("give_back", [99]),
    "giving back what waits": ("give_back", [4]),
    "leaving of nobody": ("leave", [99]),
    "leaving of a negative process": ("leave", [-1]),
    "no tasks at all": ("request", ["c", 1, "a", [], None]),
    "a state that is not": ("drop_state", [99]),
    "a negative state": ("drop_state", [-1]),
    "a value that is not": ("drop", ["data", "nothing"]),
}


@pytest.mark.parametrize("what", BAD)
def test_malformed_calls_are_refused_and_change_nothing(net: Net, what: str) -> None:
    """A clear error comes back at once, everything is as it was, and the connection goes on."""
    before = _with_work(net)
    operation, args = BAD[what]
    wired = net.connect()

    good, reply = Background(lambda: wired.call(operation, *args)).result()

    assert not good, f"accepted, with the reply {reply!r}"
    assert reply[0] == "UsageError", reply
    assert len(reply[1]) > 15
    assert _all_of(net) == before
    assert wired.call("ping", 0) == [True, True]
    wired.close()
    assert net.join().client.put_state({}) == 2  # no id was used up


@pytest.mark.parametrize("what", FALSE)
def test_false_statements_change_nothing(net: Net, what: str) -> None:
    """What is well-formed and wrong is judged and answered."""
    before = _with_work(net)
    operation, args = FALSE[what]
    wired = net.connect()

    answer = Background(lambda: wired.call(operation, *args)).result()

    assert answer[0] in {True, False}
    assert {**_all_of(net), "duplicates": 0} == {**before, "duplicates": 0}
    assert wired.call("ping", 0) == [True, True]


@pytest.mark.parametrize("kind", ["memory", "tcp", "unix"])
@pytest.mark.parametrize(
    "value", [object(), 2**70, {1, 2}, "\ud800"], ids=["object", "number", "set", "surrogate"]
)
def test_what_cannot_travel_never_leaves(kind: str, value: Any) -> None:
    """An argument that no message can hold is the caller's error; the next call is good."""
    net = make_net(kind)
    client = net.client()
    try:
        client.put("data", "x", b"old")
        # Some transports make something else of it; then the manager has to refuse that.
        with pytest.raises((TypeError, ValueError, OverflowError)):
            client.put("data", "x", value)
        assert client.get("data", "x") == b"old"
    finally:
        net.close()
