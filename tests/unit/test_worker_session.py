"""The worker's half of the conversation, step by step: what it asks for, and makes of answers."""

from __future__ import annotations

from typing import Any

import pytest

from blocks import pack
from masterworker import wire
from masterworker.conversation.worker import effects
from masterworker.conversation.worker.lookout import (
    GLANCE,
    IDLE_LOOKS,
    LONGEST_BATCH,
    Look,
    Lookout,
)
from masterworker.conversation.worker.session import PAUSES, WorkerSession
from masterworker.conversation.worker.states import TRANSITIONS, Event, State
from masterworker.core.task import RESULT, Lease, Outcome
from masterworker.errors import (
    JobEndedError,
    MasterNotFoundError,
    NotRegisteredError,
    RejectedError,
    Terminated,
    TransportError,
)

WELCOME = wire.Welcome(7, "first run")
NOTHING = wire.Reply([], [], [], 0.0)
BROKEN = TransportError("reset")


class Play:
    """Carries out procedures by a list of answers, and notes what was asked for."""

    def __init__(self) -> None:
        self.session = WorkerSession(pack, heartbeat=5.0, reconnect=20.0, now=0.0)
        self.asked: list[Any] = []

    def perform(self, steps: Any, *answers: Any, seconds: float = 0.0) -> Any:
        """Give one answer after the other; exceptions are thrown. All must be used."""
        left = list(answers)
        try:
            effect = next(steps)
            while True:
                self.asked.append(effect)
                self.session.now += seconds
                answer = left.pop(0) if left else None
                if isinstance(answer, Exception):
                    effect = steps.throw(answer)
                else:
                    effect = steps.send(answer)
        except StopIteration as end:
            assert not left
            return end.value

    def asked_for(self) -> list[type]:
        """Return the kinds of what was asked for since this was called last."""
        kinds = [type(each) for each in self.asked]
        self.asked.clear()
        return kinds


@pytest.fixture
def play() -> Play:
    """A worker that has joined."""
    made = Play()
    assert made.perform(made.session.join_first(), WELCOME, None)
    made.asked.clear()
    return made


def test_first_join_is_tried_twice_where_the_connection_breaks() -> None:
    """It may be the end of the job, or an accident."""
    play = Play()
    assert play.perform(play.session.join_first(), BROKEN, WELCOME, None)
    assert play.asked_for() == [effects.Join, effects.Join, effects.Joined]
    assert (play.session.member_id, play.session.state) == (7, State.MEMBER)


@pytest.mark.parametrize("error", [RejectedError("no"), MasterNotFoundError("no")])
def test_first_join_that_is_refused_is_not_tried_again(error: Exception) -> None:
    """It would be refused again."""
    play = Play()
    with pytest.raises(type(error)):
        play.perform(play.session.join_first(), error)
    assert play.session.state is State.OUTSIDE


def test_job_that_is_over_at_the_first_join_is_no_failure() -> None:
    """There is nothing to do."""
    play = Play()
    assert not play.perform(play.session.join_first(), Terminated("over"))
    assert play.session.stopped


def test_exchange_delivers_and_takes(play: Play) -> None:
    """What was sent is not sent again, and leases are in the hand."""
    session = play.session
    session.hand.outcomes.append(Outcome(3, 1, RESULT, [b"3"]))
    lease = Lease(4, 1, "a", [b"4"])
    reply = wire.Reply([], [lease], [], 0.0)
    assert play.perform(session.exchange(5, 1.0, [2]), reply) is reply
    (asked,) = play.asked
    assert (asked.member_id, asked.returned, asked.want) == (7, [2], 5)
    assert [outcome.task_id for outcome in asked.outcomes] == [3]
    assert list(session.hand.leases) == [lease]
    assert session.hand.to_send() == []


def test_broken_exchange_is_made_again_after_joining(play: Play) -> None:
    """Outcomes are sent again; leases are gone, and what was to be given back with them."""
    session = play.session
    session.hand.outcomes.append(Outcome(3, 1, RESULT, [b"3"]))
    session.hand.leases.append(Lease(4, 1, "a", [b"4"]))
    again = wire.Welcome(8, "first run")
    play.perform(session.exchange(0, 0.0, [2]), BROKEN, None, again, None, NOTHING)
    first, cut_off, _, joined, second = play.asked
    assert (cut_off.error, joined) == (BROKEN, effects.Joined(8, another_run=False))
    assert (first.member_id, second.member_id, second.returned) == (7, 8, [])
    assert [outcome.task_id for outcome in second.outcomes] == [3]
    assert not session.hand.leases


def test_what_was_finished_for_another_run_is_not_delivered(play: Play) -> None:
    """Its numbers mean other tasks there."""
    session = play.session
    session.hand.outcomes.append(Outcome(3, 1, RESULT, [b"3"]))
    session.run, session.hand.executing = "first run", 4
    other = wire.Welcome(1, "second run")
    play.perform(session.exchange(0, 0.0, []), BROKEN, None, other, None, NOTHING)
    assert play.asked[3] == effects.Joined(1, another_run=True)
    assert (play.asked[4].outcomes, play.asked[4].started) == ([], 0)
    with pytest.raises(NotRegisteredError):
        session.require_same_run()


def test_master_that_stays_away_is_given_up_in_time(play: Play) -> None:
    """Pauses get longer; the last answer is where the time begins."""
    play.session.reconnect = 4.0
    steps = play.session.exchange(1, 1.0, [])
    answers: list[Any] = [BROKEN, None, BROKEN]
    for _ in range(4):
        answers += [True, BROKEN]
    with pytest.raises(MasterNotFoundError):
        play.perform(steps, *answers, seconds=0.4)
    pauses = [each.seconds for each in play.asked if isinstance(each, effects.Pause)]
    assert pauses[:3] == [PAUSES[0], 2 * PAUSES[0], 4 * PAUSES[0]]
    assert isinstance(play.asked[-1], effects.GaveUp)
    assert play.session.state is State.STRANDED


def test_shell_may_end_the_search(play: Play) -> None:
    """Its launcher has ended, or it leaves."""
    with pytest.raises(MasterNotFoundError):
        play.perform(play.session.exchange(1, 1.0, []), BROKEN, None, BROKEN, False)


@pytest.mark.parametrize("mine", [True, False])
def test_job_that_ended_meanwhile_is_not_looked_for_again(play: Play, mine: bool) -> None:
    """A worker that was cut off learns of the end from what the master has left behind."""
    ended = JobEndedError("label", 1.0)
    reply = play.perform(play.session.exchange(1, 1.0, []), BROKEN, None, ended)
    assert (reply.leases, play.session.stopped) == ([], True)
    asks = [] if not mine else [None]
    with pytest.raises(Terminated):
        play.perform(play.session.collect("a", 1.0, mine=mine), *asks, BROKEN, None, ended)


def test_terminated_manager_still_gets_what_is_finished(play: Play) -> None:
    """It is there, and says so."""
    session = play.session
    session.hand.outcomes.append(Outcome(3, 1, RESULT, [b"3"]))
    over = Terminated("over")
    play.perform(session.exchange(0, 0.0, []), BROKEN, None, over, NOTHING)
    assert [outcome.task_id for outcome in play.asked[-1].outcomes] == [3]
    assert session.stopped


def test_terminated_manager_of_another_run_is_asked_twice_at_most(play: Play) -> None:
    """What was finished means nothing to it, and it does not let this process in."""
    session = play.session
    session.hand.outcomes.append(Outcome(3, 1, RESULT, [b"3"]))
    other, over = NotRegisteredError("another one"), Terminated("over")
    answers = BROKEN, None, over, other, None, over
    assert play.perform(session.exchange(0, 0.0, []), *answers) == NOTHING
    assert session.stopped


def test_orders_are_obeyed_in_their_order(play: Play) -> None:
    """Also those that come after one that takes long."""
    session = play.session
    session.hand.leases.append(Lease(4, 1, "a", [b"4"]))
    session.hand.executing, session.inside[:] = 5, [6]
    orders = [
        (wire.FORGET, 1),
        (wire.RENEW, 2),
        *((wire.CANCEL, task_id) for task_id in (4, 5, 6, 99)),
        (wire.REJOIN, 0),
        (wire.STOP, 12),
    ]
    reply = wire.Reply([], [], orders, 0.0)
    play.perform(session.exchange(0, 0.0, []), reply, None, True, None, None, WELCOME, None, None)
    assert play.asked[1:] == [
        effects.Forget(1),
        effects.Renew(2),
        effects.BreakOff(5),
        effects.BreakOff(6),
        effects.Join(),
        effects.Joined(7, another_run=False),
        effects.TicketOver(12),
    ]
    assert (session.outdated, session.state) == (True, State.STOPPING)
    assert not session.hand.leases


def test_leases_that_come_with_an_outcome_are_given_back(play: Play) -> None:
    """The task that waited goes on."""
    leases = [Lease(4, 1, "a", [b"4"])]
    found = ["outcome"], leases
    steps = play.session.collect("a", 1.0, mine=True)
    assert play.perform(steps, None, found, NOTHING) == ("outcome", [])
    assert play.asked[-1].returned == [4]


def test_leases_for_a_task_that_is_to_be_broken_off_are_given_back(play: Play) -> None:
    """First what others need, and then the end."""
    steps = play.session.collect("a", 1.0, mine=True)
    leases = [Lease(4, 1, "a", [b"4"])]
    with pytest.raises(KeyError):
        play.perform(steps, None, ([], leases), True, NOTHING, KeyError("broken off"))
    assert play.asked[-2].returned == [4]


def test_collect_that_was_woken_asks_for_its_orders(play: Play) -> None:
    """Nothing came, long before the time was up."""
    play.perform(play.session.collect("a", 1.0, mine=True), None, ([], []), False, NOTHING)
    assert play.asked_for()[-1] is wire.Exchange


def test_collect_of_another_thread_borrows_nothing(play: Play) -> None:
    """It executes no tasks."""
    play.perform(play.session.collect("a", 1.0, mine=False), ([], []))
    (asked,) = play.asked
    assert (asked.lend, asked.mine) == (wire.NOTHING, False)


def test_goodbye_delivers_first(play: Play) -> None:
    """And nothing is said after it, by a courier that comes late."""
    session = play.session
    session.hand.outcomes.append(Outcome(3, 1, RESULT, [b"3"]))
    session.hand.leases.append(Lease(4, 1, "a", [b"4"]))
    play.perform(session.leave(), NOTHING, None)
    assert play.asked_for() == [wire.Exchange, effects.Leave]
    play.perform(session.deliver(give_back=True))
    assert (play.asked, session.state) == ([], State.LEFT)


def test_goodbye_over_a_broken_connection_is_none(play: Play) -> None:
    """The manager notices by itself."""
    play.perform(play.session.leave(), BROKEN)
    assert play.session.state is State.LEFT


def test_every_state_has_a_way_out_and_every_event_a_place() -> None:
    """The table has no dead ends but the end."""
    assert {event for _, event in TRANSITIONS} == set(Event)
    reachable = {State.OUTSIDE}
    for _ in State:
        reachable |= {after for (before, _), after in TRANSITIONS.items() if before in reachable}
    assert reachable == set(State)
    for state in set(State) - {State.LEFT}:
        assert (state, Event.SIGNED_OFF) in TRANSITIONS


def test_event_that_cannot_happen_is_an_error(play: Play) -> None:
    """A worker is let in once for each time that it asks."""
    with pytest.raises(KeyError):
        play.session.happens(Event.WELCOMED)


# -- the courier's looks --------------------------------------------------------------------------


def test_overrun_task_has_what_is_behind_it_given_back(play: Play) -> None:
    """At the second look at the same task, once; then it is only heard of."""
    session, lookout = play.session, Lookout(play.session)
    lookout.batch_began = 0.0
    session.hand.leases.append(Lease(5, 1, "a", [b"5"]))
    session.hand.executing = 4
    assert lookout.look(0.01) is Look.NOTHING
    assert lookout.look(0.2) is Look.GIVE_BACK
    session.hand.put_down()
    session.started = 4
    lookout.has_given_back()
    assert lookout.look(0.4) is Look.NOTHING
    assert lookout.pause() == session.heartbeat / 2
    assert lookout.look(session.heartbeat) is Look.BEAT


def test_batch_of_short_tasks_is_broken_up_when_it_takes_long(play: Play) -> None:
    """Each look finds another task."""
    lookout = Lookout(play.session)
    lookout.batch_began = 0.0
    play.session.hand.leases.append(Lease(50, 1, "a", [b""]))
    for task_id in range(1, 6):
        play.session.hand.executing = task_id
        assert lookout.look(0.01 * task_id) is Look.NOTHING
    assert lookout.look(LONGEST_BATCH + 0.1) is Look.GIVE_BACK


def test_task_that_goes_on_is_said_to_have_begun(play: Play) -> None:
    """Once, when two looks have found it; and again when it is executed again."""
    session, lookout = play.session, Lookout(play.session)
    assert lookout.begins(0.0, alone=True)  # nothing looks yet
    session.hand.executing = 4
    assert lookout.pause() == GLANCE
    assert not lookout.begins(0.0, alone=True)
    assert lookout.look(0.010) is Look.NOTHING
    assert lookout.look(0.025) is Look.BEGUN
    session.started = 4
    assert lookout.look(0.040) is Look.NOTHING
    assert lookout.pause() == session.heartbeat / 2
    assert lookout.begins(1.0, alone=True)
    assert lookout.look(1.010) is Look.NOTHING
    assert lookout.look(1.025) is Look.BEGUN


def test_what_is_missed_is_done_at_the_next_look(play: Play) -> None:
    """The main thread was in a call; an order may have been left."""
    lookout = Lookout(play.session)
    play.session.hand.executing = 4
    lookout.pause()
    lookout.look(0.010)
    for now in (0.025, 0.040):
        assert lookout.look(now) is Look.BEGUN
        lookout.missed()
        assert lookout.pause() == GLANCE
    assert lookout.look(0.055, has_order=True) is Look.LISTEN
    lookout.missed()
    assert lookout.pause() == GLANCE
    assert lookout.look(0.070, has_order=True) is Look.LISTEN


def test_what_the_main_thread_has_said_is_no_news(play: Play) -> None:
    """It says what it executes when it begins to wait for another task."""
    session, lookout = play.session, Lookout(play.session)
    session.hand.executing = 4
    lookout.pause()
    assert lookout.look(0.010) is Look.NOTHING
    session.started = 4
    assert lookout.look(0.025) is Look.NOTHING
    assert lookout.pause() == session.heartbeat / 2


def test_short_tasks_are_not_said_to_have_begun(play: Play) -> None:
    """Each look finds another one."""
    lookout = Lookout(play.session)
    for task_id in range(1, 50):
        play.session.hand.executing = task_id
        assert lookout.pause() == GLANCE
        assert lookout.look(GLANCE * task_id) is Look.NOTHING


def test_courier_dozes_when_there_is_nothing_to_execute(play: Play) -> None:
    """Not at once, since the next task may be on its way."""
    lookout = Lookout(play.session)
    for _ in range(IDLE_LOOKS):
        assert lookout.pause() == GLANCE
        assert not lookout.is_dozing
    assert lookout.pause() == play.session.heartbeat / 2
    assert lookout.is_dozing
    play.session.hand.leases.append(Lease(4, 1, "a", [b"4"]))  # here, but not begun
    assert lookout.pause() == GLANCE


def test_short_tasks_ring_once(play: Play) -> None:
    """To wake the courier costs more than they do. It looks on until none has come for long."""
    lookout = Lookout(play.session)
    for _ in range(2 * IDLE_LOOKS):
        lookout.pause()
    assert lookout.begins(1.0, alone=True)  # done before the courier looks
    assert lookout.look(1.0) is Look.NOTHING
    assert lookout.pause() == GLANCE
    assert not lookout.begins(1.001, alone=True)


def test_order_that_is_left_is_asked_for(play: Play) -> None:
    """At the next look, whatever is executed."""
    lookout = Lookout(play.session)
    assert lookout.look(0.0, has_order=True) is Look.LISTEN
    play.session.hand.executing = 4
    assert lookout.look(0.01, has_order=True) is Look.LISTEN


def test_what_has_not_begun_is_given_back_when_it_is_asked_back(play: Play) -> None:
    """All of it, in one step that cannot race; and the same call says what has begun."""
    session = play.session
    session.hand.take([Lease(5, 1, "a", [b"5"]), Lease(6, 1, "a", [b"6", b"7", b"8"])])
    session.run, session.hand.executing = session.hand.instance, 4
    orders = [(wire.REVOKE, 4), (wire.REVOKE, 5), (wire.REVOKE, 8), (wire.REVOKE, 9)]
    play.perform(session.deliver(give_back=False), wire.Reply([], [], orders, 0.0), NOTHING)
    asked = play.asked[-1]
    assert (asked.returned, asked.started, asked.want) == ([5, 6, 7, 8], 4, 0)
    assert not session.hand.has_more


def test_idle_worker_is_left_alone(play: Play) -> None:
    """Its waiting call is its sign of life."""
    assert Lookout(play.session).look(1000.0) is Look.NOTHING


def test_who_waits_for_an_outcome_after_the_end_is_told_so(play: Play) -> None:
    """A thread that a task has left, say."""
    play.perform(play.session.leave(), None)
    assert play.session.state is State.LEFT
    with pytest.raises(Terminated, match="has left"):
        play.perform(play.session.collect("tag", 1.0, mine=False))


def test_old_modules_after_another_run_has_begun(play: Play) -> None:
    """A new process takes its place; what came with the next reply it gives back."""
    other = wire.Welcome(1, "second run")
    play.perform(play.session.exchange(0, 0.0, []), BROKEN, None, other, True, NOTHING)
    assert play.session.outdated
