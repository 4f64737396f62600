"""Whether a worker may look for its next task before it sleeps: see `Reply.may_look`."""

from __future__ import annotations

from typing import Any

import pytest

from masterworker import wire
from masterworker.testing import memory_manager


class _Later:
    """Keeps a deferred reply."""

    reply: Any = None

    def send(self, reply: Any) -> None:
        self.reply = reply

    def give_up(self) -> None:
        raise AssertionError


@pytest.mark.parametrize(
    ("most", "asleep", "may_look"), [(0, 3, False), (1, 3, True), (1, 2, False), (2, 2, True)]
)
def test_it_may_while_few_are_awake(most: int, asleep: int, may_look: bool) -> None:
    """Four workers, of which some wait; the reply says so, whether it comes at once or later.

    The master itself is registered, too, and is no worker.
    """
    manager, _ = memory_manager()
    manager.machine.most_awake = most
    manager.join(wire.introduce("the master", [], None, "m"))
    members = [manager.join(wire.introduce(f"w{i}", None, None, f"w{i}")) for i in range(4)]
    waiting = [_Later() for _ in range(asleep)]
    for later, member in zip(waiting, members, strict=False):
        asked = wire.Exchange(member.member_id, want=1, wait=5.0)
        assert manager.exchange_later(later, asked) is None
    reply = manager.exchange(wire.Exchange(members[-1].member_id))
    assert reply.may_look == may_look
    manager.request("a", [b"x"])
    manager.machine.flush(0.0)
    (served,) = [later.reply[1] for later in waiting if later.reply is not None]
    assert served.may_look == (4 - asleep + 1 <= most)
    manager.terminate()
