"""Every operation does the same, and answers in the same shape, over every transport."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import astuple

from masterworker import wire
from masterworker.core.audit import Census
from masterworker.core.task import FAILURE, RESULT, Finished, Outcome
from support import as_sent, fields

if TYPE_CHECKING:
    from contract.nets import Net


def test_processes_join_and_leave(net: Net) -> None:
    """Ids count up from 0 and are never used again; the census names who is here."""
    first, second = net.join(["a"]), net.join([])
    assert (first.id, second.id) == (0, 1)
    first.client.leave(first.id)
    third = net.join(None)

    assert third.id == 2
    assert [p[0] for p in third.client.census().processes] == [1, 2]
    assert [third.client.ping(number) for number in range(4)] == [False, True, True, False]


def test_a_task_goes_out_and_its_outcome_comes_back(net: Net) -> None:
    """The payloads arrive as they were sent, in the order of the requests."""
    worker, client = net.join(["a"]), net.join([])
    assert client.client.request("a", [b"1", b"\x00\xff"]) == 1
    leases = worker.fetch(5) + worker.fetch(5)
    assert [list(astuple(lease)) for lease in leases] == [
        [1, 1, "a", [b"1"], None, b""],
        [2, 1, "a", [b"\x00\xff"], None, b""],
    ]

    worker.report(leases[0], b"one")
    worker.report(leases[1], b"two", kind=FAILURE)

    assert client.collect(5) == [
        Finished(1, "a", RESULT, [b"one"], "somebody"),
        Finished(2, "a", FAILURE, [b"two"], "somebody"),
    ]
    assert client.collect(5) == []


def test_tasks_in_a_row_travel_together(net: Net) -> None:
    """Many small tasks are one lease, and their results one outcome."""
    worker = net.join(["a"])
    net.manager.request("a", [b"%d" % i for i in range(20)], direct=True)
    (lease,) = worker.fetch(4)
    assert list(astuple(lease)) == [1, 1, "a", [b"0", b"1", b"2", b"3"], None, b""]

    reply = worker.client.exchange(
        wire.Exchange(
            worker.id,
            [Outcome(1, 1, RESULT, [b"r", b"\x00"]), Outcome(9, 1, RESULT, [b"never mine", b""])],
            [3],
            want=9,
        )
    )

    assert reply.refused == [9, 10]
    assert [list(astuple(lease)) for lease in reply.leases] == [
        [3, 2, "a", [b"2"], None, b""],
        [5, 1, "a", [b"%d" % i for i in range(4, 12)], None, b""],
    ]
    census = net.manager.census()
    assert (census.done, census.running, census.waiting) == (2, {"a": 10}, {"a": 8})
    net.manager.check()


def test_one_exchange_does_all_at_once(net: Net) -> None:
    """Outcomes out, leases back, new ones in, in one call."""
    worker = net.join(["a"])
    worker.client.request("a", [b"%d" % i for i in range(20)])
    held = worker.fetch(4)
    assert len(held) > 2

    done, back = held[0], [lease.task_id for lease in held[1:]]
    reply = worker.client.exchange(
        wire.Exchange(
            worker.id,
            [Outcome(done.task_id, done.attempt, RESULT, [b"r"])],
            back,
            started=0,
            want=1,
        )
    )

    assert reply.refused == []
    assert [lease.task_id for lease in reply.leases] == back[:1]  # the very front
    assert reply.leases[0].attempt == 2  # its second attempt
    assert net.manager.census().finished == {"a": 1}


def test_tags_decide_who_gets_what(net: Net) -> None:
    """A worker gets tasks of its tags only, or of one tag if it says so."""
    both, one, none = net.join(["a", "b"]), net.join(["b"]), net.join([])
    for tag in ("a", "b", "a", "b"):
        none.client.request(tag, [tag.encode()])

    assert none.fetch() == []
    assert [lease.tag for lease in one.fetch()] == ["b"]
    assert [lease.tag for lease in both.fetch(tag="b")] == ["b"]
    assert [lease.tag for lease in both.fetch()] == ["a"]


def test_outcomes_are_collected_by_tag_and_in_order(net: Net) -> None:
    """Outcomes come in the order of their arrival; of one tag if it is named."""
    worker, client = net.join(None), net.join([])
    for tag in ("a", "b", "c"):
        client.client.request(tag, [b""])
    leases = [worker.fetch(1)[0] for _ in range(3)]
    for lease in reversed(leases):
        worker.report(lease, lease.tag.encode())

    assert [f.payload for f in client.collect(5, tag="b")] == [b"b"]
    assert [f.payload for f in client.collect(5)] == [b"c", b"a"]


def test_collecting_lends_work(net: Net) -> None:
    """Who waits for an outcome gets a task to execute meanwhile, if it offers to."""
    worker = net.join(["a"])
    worker.client.request("a", [b"x"])

    finished, leases = worker.client.collect(worker.id, None, 1, 5.0, 1)

    assert finished == []
    assert [astuple(lease) for lease in leases] == [(1, 1, "a", [b"x"], None, b"")]


def test_stored_data(net: Net) -> None:
    """Spaces are kept apart; a later value takes the place of an earlier one."""
    client = net.client()
    client.put("data", "x", b"1")
    client.put("other", "x", b"2")
    client.put("data", "x", b"3")

    assert client.get("data", "x") == b"3"
    assert client.get("other", "x") == b"2"
    assert client.get("data", "y") is None
    assert [client.drop("data", "x"), client.drop("data", "x")] == [True, False]
    assert client.get("data", "x") is None
    assert client.get("other", "x") == b"2"


def test_states(net: Net) -> None:
    """Ids count up from 1; a deleted state is gone, and every worker is told."""
    worker, client = net.join(["a"]), net.client()
    assert client.put_state({"x": b"1", "y/z": b"2"}) == 1
    assert client.put_state({}) == 2
    assert client.get(wire.STATES, "1/x") == b"1"
    assert client.get(wire.STATES, "1/y/z") == b"2"

    assert [client.drop_state(i) for i in (1, 1, 2, 3)] == [True, False, True, False]

    assert client.get(wire.STATES, "1/x") is None
    orders = worker.client.exchange(wire.Exchange(worker.id)).orders
    assert [list(order) for order in orders] == [[wire.FORGET, 1], [wire.FORGET, 2]]
    assert client.put_state({}) == 3


def test_settling_and_giving_back_by_id(net: Net) -> None:
    """What the classic interface needs: outcomes and returns by the task's id alone."""
    worker, client = net.join(["a"]), net.join([])
    client.client.request("a", [b"1", b"2"])
    worker.fetch(1)
    client.client.give_back(1)
    assert worker.ids() == [1]

    assert client.client.settle(1, RESULT, b"r")
    assert not client.client.settle(1, RESULT, b"again")

    assert [f.payload for f in client.collect(5)] == [b"r"]


def test_a_process_that_is_not_known_has_to_join(net: Net) -> None:
    """An exchange of nobody is answered with an order, not with an error."""
    reply = net.client().exchange(wire.Exchange(77, want=1))

    assert [list(order) for order in reply.orders] == [[wire.REJOIN, 0]]
    assert (reply.refused, reply.leases) == ([], [])


def test_census_adds_up(net: Net) -> None:
    """Waiting, running, finished and delivered tasks are all that were submitted."""
    worker, client = net.join(["a"]), net.join([])
    client.client.request("a", [b""] * 4)
    client.client.request("nobody", [b""])
    for _ in range(2):
        worker.report(worker.fetch(1)[0])
    worker.fetch(1)
    client.collect(1)

    assert client.client.census() == Census(
        waiting={"a": 1, "nobody": 1},
        running={"a": 1},
        finished={"a": 1},
        submitted=5,
        delivered=1,
        stranded=["nobody"],
        processes=[(0, "somebody", 1), (1, "somebody", 0)],
        duplicates=0,
        done=2,
        failed=0,
        cancelled=0,
        paused=0,
        troubles=[],
    )


def test_a_story_can_be_told(net: Net) -> None:
    """What happened to a task beyond the ordinary is text."""
    worker = net.join(["a"])
    worker.client.request("a", [b""])
    worker.fetch()
    worker.client.give_back(1)

    told = worker.client.story(1)

    assert any("given back by worker 0" in line for line in told)
    assert "not known" in worker.client.story(2)[0]


#: One call of each operation, and the exact reply: plain values only.
SCRIPT: list[tuple[str, list[Any], Any]] = [
    ("request", ["me", 1, "a", [b"p", b"q"], None], 1),
    (
        "exchange",
        [0, [], [], 0, 1, 0.0, None],
        [[], [[1, 1, "a", [b"p"], None, b""]], [], 0.0, False, 0, 0],
    ),
    ("exchange", [0, [[1, 1, 0, [b"r"]]], [], 0, 0, 0.0, None], [[], [], [], 0.0, False, 0, 0]),
    ("exchange", [0, [[1, 1, 0, [b"r"]]], [], 0, 0, 0.0, None], [[1], [], [], 0.0, False, 0, 0]),
    ("exchange", [9, [], [], 0, 0, 0.0, None], [[], [], [["rejoin", 0]], 0.0, False, 0, 0]),
    ("collect", ["me", 2, 0, None, 1, 0.0, 0], [[[1, "a", 0, [b"r"], "info", 1]], []]),
    ("collect", ["me", 3, 0, None, 1, 0.0, 0], [[], []]),
    ("collect", ["me", 3, 0, None, 1, 0.0, 0], [[], []]),
    ("collect", ["me", 5, 0, "a", 9, 0.0, 1], [[], [[2, 1, "a", [b"q"], None, b""]]]),
    ("give_back", [2], None),
    ("settle", [2, 0, b"s"], True),
    ("settle", [2, 0, b"s"], False),
    ("put", ["data", "n", b"v"], None),
    ("get", ["data", "n"], b"v"),
    ("get", ["data", "m"], None),
    ("drop", ["data", "n"], True),
    ("drop", ["data", "n"], False),
    ("put_state", ["me", 6, {"x": b"1"}], 1),
    ("drop_state", [1], True),
    ("drop_state", [1], False),
    ("ping", [0], True),
    ("ping", [5], False),
    ("leave", [0], None),
    ("leave", [0], None),
    ("terminate", [], None),
    ("exchange", [0, [], [], 0, 1, 0.0, None], [[], [], [["stop", 0]], 0.0, False, 0, 0]),
]


def test_replies_have_one_shape(net: Net) -> None:
    """Word for word the same replies over every transport: integers, texts, bytes, lists, None."""
    wired = net.connect()
    good, welcome = wired.call("join", *fields(net.hello(), info="info"))
    assert good is True
    assert as_sent(welcome) == [0, net.manager.instance, "any", ""]
    for operation, args, expected in SCRIPT:
        assert as_sent(wired.call(operation, *args)) == [True, expected], (operation, args)
    good, census = wired.call("census")
    assert good is True
    assert set(as_sent(census)) == set(Census.__struct_fields__)
    good, story = wired.call("story", 2)
    assert good is True
    assert [type(line) for line in story] == [str] * len(story)


@pytest.mark.parametrize("text", ["", "a b", "ä€😀", "nul \x00 in it", "x" * 100_000, "\n\t"])
def test_any_text_travels(net: Net, text: str) -> None:
    """Names and tags are any text; none of it is interpreted."""
    client = net.join([])
    client.client.put("data", text, b"v")
    assert client.client.get("data", text) == b"v"
    if text:
        worker = net.join([text])
        client.client.request(text, [b"p"])
        lease = worker.fetch()[0]
        assert lease.tag == text
        worker.report(lease)
        assert [f.tag for f in client.collect(tag=text)] == [text]
