"""Connections in virtual time: in order, and sure to break sooner or later when something is lost.

A message that is lost takes its connection with it, as on a network. Each end learns of that on
its own, or never: then the caller runs into its time limit, and the master has only heartbeats.
What was under way when a caller gave up may arrive long after it has connected anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from masterworker.errors import TransportError

if TYPE_CHECKING:
    from simulation.desk import Desk, Session
    from simulation.kernel import Kernel, Process, Run, Thread
    from simulation.swarm import Swarm

#: Seconds to get a connection.
CONNECT_TIMEOUT = 5.0
#: The system notices by itself that the other host has vanished, where it can (seconds).
KEEPALIVE = 20.0

UP, DOWN = 0, 1


class Network:
    """The ways between the master and each of the others."""

    def __init__(self, kernel: Kernel, swarm: Swarm, desk: Desk) -> None:
        self.kernel = kernel
        self.swarm = swarm
        self.desk = desk
        self.faulty = True
        #: There is no master now.
        self.down = False
        #: Until when nothing passes, by process name: up to the master, and down from it.
        self.blocked: dict[str, list[float]] = {}
        self.links: list[Link] = []

    def block(self, name: str, direction: int, seconds: float) -> None:
        """Let nothing pass in one direction for a while; it is sent again until it does."""
        until = self.blocked.setdefault(name, [0.0, 0.0])
        until[direction] = max(until[direction], self.kernel.now + seconds)

    def calm(self) -> float:
        """No more faults. Returns when the last of the old ones will have passed."""
        self.faulty = False
        return max((t for both in self.blocked.values() for t in both), default=0.0)

    def connect(self, process: Process) -> Run:
        """Get a connection for a process."""
        blocked = max(self.blocked.get(process.name, (0.0, 0.0))) - self.kernel.now
        if blocked > CONNECT_TIMEOUT:
            yield CONNECT_TIMEOUT
            raise TransportError("nobody answers")
        yield max(0.0, blocked) + 2.0 * self.swarm.latency
        if self.down:
            raise TransportError("nobody is there")
        link = Link(self, process)
        self.links.append(link)
        return link

    def delay(self, name: str, direction: int) -> float:
        """Seconds that a message takes now."""
        swarm, random = self.swarm, self.kernel.random.random
        seconds = swarm.latency * (0.5 + random())
        if self.faulty and swarm.delay and random() < swarm.delay:
            seconds += 10.0 * swarm.heartbeat * random() ** 3
        blocked = self.blocked.get(name)
        if blocked is not None and blocked[direction] > self.kernel.now:
            seconds += blocked[direction] - self.kernel.now
        return seconds

    def hit(self, probability: float) -> bool:
        """Tell whether something goes wrong now."""
        return probability > 0.0 and self.faulty and self.kernel.random.random() < probability

    def cut_all(self) -> None:
        """The master has died; each caller learns of it soon."""
        for link in self.links:
            link.lose_master()

    def process_died(self, process: Process) -> None:
        """The system closes what a process had open; unless its host died with it."""
        self.links = [link for link in self.links if link.open or link.served]
        host_died = self.hit(self.swarm.half_open)
        for link in self.links:
            if link.process is process and link.open:
                if host_died:
                    link.vanish()
                else:
                    link.close()


class Link:
    """One connection: the calling end, and what lies between it and the serving end."""

    def __init__(self, net: Network, process: Process) -> None:
        self.net = net
        self.process = process
        #: The master at its other end; perhaps there is another one by now.
        self.desk = net.desk
        self.session: Session = self.desk.accept(self)
        #: Whether the calling end is open, the serving end, and the way between them.
        self.open = True
        self.served = True
        self._passes = True
        self._waiter: Thread | None = None
        self._turn = 0
        self._last = [0.0, 0.0]
        self._number = 0

    def call(self, operation: str, args: tuple[Any, ...]) -> Run:
        """Carry out an operation. One at a time."""
        if not self.open:
            raise TransportError("the connection is closed")
        self._number += 1
        self._request(operation, args, self._number)
        good, reply = yield self._wait
        if not good:
            raise reply
        return reply

    def close(self) -> None:
        """Close the calling end; the other one learns of it after all that was sent before."""
        if self.open:
            self.open = False
            if self._passes:
                self._send(UP, self._end_served)

    def vanish(self) -> None:
        """The caller's host is gone; nobody tells the master."""
        self.open = self._passes = False
        self._learn_late()

    def lose_master(self) -> None:
        """The other end is gone."""
        self.served = self._passes = False
        self.net.kernel.after(self.net.kernel.random.random() ** 3, self._end_called)

    def break_down(self) -> None:
        """The way is broken. Who learns of it, and when, is a matter of luck."""
        if not self._passes:
            return
        self._passes = False
        kernel, net = self.net.kernel, self.net
        if not net.hit(net.swarm.half_open):
            kernel.after(kernel.random.random() ** 3, self._end_called)
        if net.hit(net.swarm.half_open):
            self._learn_late()
        else:
            kernel.after(3.0 * kernel.random.random() ** 3, self._end_served)

    # -- inside -----------------------------------------------------------------------------

    def _learn_late(self) -> None:
        if self.session.watched and self.net.kernel.random.random() < 0.5:
            return  # never: only heartbeats tell
        self.net.kernel.after(KEEPALIVE, self._end_served)

    def _wait(self, thread: Thread) -> None:
        self._waiter, self._turn = thread, thread.turn
        limit = self.net.swarm.call_timeout
        self.net.kernel.after(limit, self._timed_out, thread, thread.turn)

    def _timed_out(self, thread: Thread, turn: int) -> None:
        thread.wake(turn, None, TransportError("no answer in time"))

    def _end_called(self) -> None:
        if self.open:
            self.open = False
            if self._waiter is not None:
                self._waiter.wake(self._turn, None, TransportError("reset"))

    def _end_served(self) -> None:
        if self.served:
            self.served = self._passes = False
            self.desk.closed(self.session)

    def _send(self, direction: int, act: Any, *args: Any) -> None:
        """Let something arrive after all that went the same way before."""
        net = self.net
        now = net.kernel.now
        last = self._last
        last[direction] = max(last[direction], now + net.delay(self.process.name, direction))
        net.kernel.after(last[direction] - now, act, *args)

    def _request(self, operation: str, args: tuple[Any, ...], number: int) -> None:
        net, swarm = self.net, self.net.swarm
        if not self._passes:
            return
        if net.hit(swarm.duplicate):
            later = net.kernel.random.random() ** 2 * 2.0 * swarm.call_timeout
            net.kernel.after(later, self._ghost, operation, args)
        if net.hit(swarm.lose_request):
            self.break_down()
            return
        self._send(UP, self._arrive, operation, args, number)

    def _arrive(self, operation: str, args: tuple[Any, ...], number: int) -> None:
        if self._passes or self.served:
            self.desk.request(self.session, operation, args, (self, number))

    def _ghost(self, operation: str, args: tuple[Any, ...]) -> None:
        """A request arrives once more: late, after its connection has ended; or any repeatable."""
        repeatable = operation in ("request", "collect", "acknowledge", "forgo")
        if self.open and not repeatable:
            return
        self.desk.request(self.session, operation, args, None)
        if not self.served:
            self.desk.closed(self.session)

    def reply(self, number: int, good: bool, value: Any) -> None:
        """The serving end answers."""
        net = self.net
        if not self._passes or not self.served:
            return
        if net.hit(net.swarm.lose_reply):
            self.break_down()
            return
        self._send(DOWN, self._answer, number, good, value)

    def _answer(self, number: int, good: bool, value: Any) -> None:
        if self.open and self._passes and number == self._number and self._waiter is not None:
            self._waiter.wake(self._turn, (good, value))
