"""One history from one seed: everybody, and what goes wrong."""

from __future__ import annotations

from collections import deque
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar

from masterworker.core import audit
from masterworker.core.crashes import COMES_BACK_WITHIN
from simulation import swarm as swarms
from simulation.kernel import Kernel
from simulation.network import DOWN, KEEPALIVE, UP
from simulation.oracle import Violation
from simulation.peers import SimClient
from simulation.restarts import Masters
from simulation.supervisor import SimSupervisor
from simulation.worker import SimWorker

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.core.task import Outcome
    from simulation.kernel import Process

#: So many events of a history are kept.
KEPT = 400
#: No history has so many events; one that does goes round in circles.
MOST_EVENTS = 60_000
#: A worker that has ended is started again within so many seconds, once all is calm.
RESTART = 1.0
#: What has been added since comes from dice of its own, so that no older seed lost its history.
MORE = 1 << 40
#: The faults that come at a rate.
RATES = (
    "kill",
    "pause",
    "reset",
    "partition",
    "master_pause",
    "cancel",
    "revoke",
    "kill_supervisor",
    "kill_client",
)


class World(Masters):
    """A history."""

    worker_class = SimWorker
    client_class = SimClient
    #: What is not drawn but given: values of the swarm.
    strengths: ClassVar[dict[str, float]] = {}
    tune: Callable[[swarms.Swarm], None] = staticmethod(lambda _: None)

    def __init__(self, seed: int, kept: int | None = KEPT) -> None:
        self.seed = seed
        self.kernel = Kernel(seed)
        self.swarm = swarms.draw(self.kernel.random)
        swarms.draw_more(Random(seed + MORE), self.swarm)
        swarms.draw_submissions(Random(seed + 2 * MORE), self.swarm)
        swarms.draw_revoking(Random(seed + 3 * MORE), self.swarm)
        for name, value in self.strengths.items():
            setattr(self.swarm, name, value)
        self.tune(self.swarm)
        self._trace: deque[tuple[float, str]] = deque(maxlen=kept)
        self._first_master()
        self.specs: list[swarms.Spec] = []
        self.tags = self.swarm.tags
        self.workers: list[SimWorker | None] = []
        self.clients: list[SimClient] = []
        self._serial = 0
        self.supervisors: list[SimSupervisor] = []
        self._calm = self._over = False
        self._deadline = 0.0
        self._people()

    def trace(self, text: str) -> None:
        self._trace.append((self.kernel.now, text))

    # -- who is there -----------------------------------------------------------------------

    def _people(self) -> None:
        swarm, kernel = self.swarm, self.kernel
        batches: list[list[Any]] = [[] for _ in range(1 + swarm.clients)]
        for batch in swarm.batches:
            first = len(self.specs)
            self.specs += batch.specs
            payloads = [b"%d" % i for i in range(first, len(self.specs))]
            if batch.who:
                batches[batch.who].append((batch.when, (batch.tag, payloads, batch.options)))
            else:
                self._own.append((batch, payloads))
                kernel.after(batch.when, self._request_here, self.desk, batch, payloads)
        hosts = 1 + max(host for _, _, host in swarm.workers)
        self.supervisors = [self._supervisor(host) for host in range(hosts)]
        for slot in range(len(swarm.workers)):
            self.workers.append(None)
            kernel.after(swarm.heartbeat * kernel.random.random(), self._start, slot)
        self._requesters += swarm.clients
        for who in range(1, 1 + swarm.clients):
            self.clients.append(self.client_class(self, who, 0, batches[who]))
        kernel.after(0.0, self._join_here, self.desk)
        kernel.after(swarm.batches[-1].when, self._requested_here, self.desk)
        if swarm.restart:
            kernel.after(swarm.restart, self._end_master)
        self._plan_faults()
        kernel.after(swarm.faults_end, self._be_calm)

    def _supervisor(self, host: int) -> SimSupervisor:
        self._serial += 1
        return SimSupervisor(self, host, self._serial)

    def supervisor_of(self, slot: int) -> str:
        """The name of the supervisor of a worker; "" for none."""
        host = self.swarm.workers[slot][2]
        return "" if host < 0 else self.supervisors[host].name

    def further_task(self) -> bytes:
        """Make up a task that another one asks for. Returns its parameters."""
        random = self.kernel.random
        further = 1 if random.random() < 0.2 else 0
        self.specs.append(swarms.Spec(random.random() ** 3, 0, False, further))
        return b"%d" % (len(self.specs) - 1)

    @property
    def finished(self) -> bool:
        """Everything has been asked for and has arrived."""
        if self.down:
            return False
        return not self._requesters and len(self.oracle.arrived) == self.oracle.asked

    def _start(self, slot: int) -> None:
        if self.workers[slot] is None and not self._over:
            self._serial += 1
            self.workers[slot] = self.worker_class(self, slot, self._serial)

    def ended(self, worker: SimWorker) -> None:
        """A worker has ended in good order."""
        self.trace(f"{worker.client} ended")
        worker.die()
        self._bury(worker)

    def kill(
        self,
        worker: SimWorker,
        why: str,
        *,
        asked: bool = False,
        outcome: tuple[int, bytes] | None = None,
    ) -> None:
        """A worker's process ends here and now: by itself, or because its supervisor ends it."""
        if worker.alive:
            if asked:
                self.trace(f"{worker.client} is ended ({why}), executing {worker.executing}")
            else:
                self.oracles[worker.run or self.desk.instance].died(worker, why)
            for supervisor in self.supervisors:
                if supervisor.name == worker.supervisor and supervisor.alive:
                    supervisor.ended(worker, why, not asked, outcome)
            worker.die()
            self.net.process_died(worker)
            self._bury(worker)

    def _bury(self, worker: SimWorker) -> None:
        self.workers[worker.slot] = None
        pause = RESTART if self._calm else 2.0 * self.swarm.silence
        self.kernel.after(pause * self.kernel.random.random(), self._start, worker.slot)

    def sends(self, worker: SimWorker, outcomes: list[Outcome]) -> None:
        """A worker is about to deliver."""
        if outcomes and self.net.hit(self.swarm.kill_at_delivery):
            pause = 3.0 * self.swarm.latency * self.kernel.random.random()
            self.kernel.after(pause, self.kill, worker, "while it delivered")

    # -- what goes wrong --------------------------------------------------------------------

    def _plan_faults(self) -> None:
        for kind in RATES:
            if rate := getattr(self.swarm, kind):
                self._plan(kind, rate)

    def _plan(self, kind: str, rate: float) -> None:
        self.kernel.after(self.kernel.random.expovariate(rate), self._fault, kind, rate)

    def _fault(self, kind: str, rate: float) -> None:
        if not self._calm:
            self._plan(kind, rate)
            getattr(self, f"_do_{kind}")()

    def _victim(self) -> SimWorker | None:
        victims = [worker for worker in self.workers if worker is not None]
        return self.kernel.random.choice(victims) if victims else None

    def _do_kill(self) -> None:
        if (worker := self._victim()) is not None:
            self.kill(worker, "killed")

    def _do_pause(self) -> None:
        worker = self._victim()
        if worker is not None and not worker.stopped:
            seconds = self.swarm.silence * self.kernel.random.choice((0.5, 1.1, 2.0, 10.0))
            self.trace(f"{worker.client} is stopped for {seconds:.1f} s")
            worker.stop()
            self.kernel.after(seconds, self._resume, worker)

    def _do_reset(self) -> None:
        if links := [link for link in self.net.links if link.open]:
            link = self.kernel.random.choice(links)
            self.trace(f"reset of {link.process.name}")
            link.break_down()

    def _do_partition(self) -> None:
        random = self.kernel.random
        everybody = [worker.name for worker in self.workers if worker is not None]
        everybody += [f"client{i + 1}" for i in range(self.swarm.clients)]
        everybody += [f"host{i}" for i in range(len(self.supervisors))]
        if everybody:
            name = random.choice(everybody)
            seconds = self.swarm.silence * random.choice((0.2, 1.0, 3.0)) * random.random()
            ways = random.choice(((UP,), (DOWN,), (UP, DOWN)))
            self.trace(f"partition {ways} of {name} for {seconds:.1f} s")
            for way in ways:
                self.net.block(name, way, seconds)

    def _do_master_pause(self) -> None:
        self.trace("the master stands still")
        self.desk.stop()
        seconds = self.swarm.silence * 2.0 * self.kernel.random.random()
        self.kernel.after(seconds, self.desk.resume)

    def _do_cancel(self) -> None:
        random = self.kernel.random
        some = [random.randint(1, self.oracle.asked + 1) for _ in range(random.randint(1, 3))]
        self.desk.cancel_here(some)

    def _do_revoke(self) -> None:
        """Ask tasks back: mostly some that are in a worker's hand."""
        random = self.kernel.random
        members = [member for member in self.core.members.values() if member.leases]
        if members and random.random() < 0.9:
            held = list(random.choice(members).leases)
            some = random.sample(held, random.randint(1, len(held)))
        else:
            some = [random.randint(1, self.oracle.asked + 1)]
        self.desk.revoke_here(some)

    def _do_kill_supervisor(self) -> None:
        if self.supervisors:
            self._kill_host(self.kernel.random.choice(self.supervisors))

    def _do_kill_client(self) -> None:
        if not self.clients:
            return
        client = self.kernel.random.choice(self.clients)
        self.trace(f"{client.client} dies")
        client.die()
        self.net.process_died(client)
        for _, batch in client.batches or ():
            self.oracle.unsure(batch[1])
        self._serial += 1
        heir = self.client_class(self, client.who, self._serial, client.batches)
        self.clients[client.who - 1] = heir

    def _kill_host(self, supervisor: SimSupervisor) -> None:
        """A supervisor ends, and its workers with it."""
        self.trace(f"{supervisor.name} dies")
        supervisor.die()
        for worker in list(self.workers):
            if worker is not None and worker.supervisor == supervisor.name:
                self.kill(worker, "its supervisor died")
        self.supervisors[supervisor.host] = self._supervisor(supervisor.host)

    def _resume(self, process: Process) -> None:
        if process.alive and process.stopped:
            process.resume()

    def _be_calm(self) -> None:
        """From now on nothing goes wrong, and everything must come to its end in time."""
        self.trace("calm")
        self._calm = True
        blocked = max(0.0, self.net.calm() - self.kernel.now)
        self.desk.resume()
        for slot, worker in enumerate(self.workers):
            if worker is None:
                self.kernel.after(RESTART * self.kernel.random.random(), self._start, slot)
            else:
                self._resume(worker)
        swarm = self.swarm
        poison = sum(spec.poison for spec in self.specs)
        work = sum(spec.seconds for spec in self.specs) * 4.0 * 4.0
        waits = 2.0 * swarm.call_timeout + 2.0 * swarm.silence + swarm.reconnect
        waits += 2.0 * swarm.comes_back + 10.0 * swarm.heartbeat + 20.0
        waits += COMES_BACK_WITHIN + swarm.down + KEEPALIVE * len(swarm.unwatched)
        stubborn = sum(spec.stubborn for spec in self.specs)
        deaths = (
            len(self.specs) * 10.0
            + poison * COMES_BACK_WITHIN
            + 4.0 * (poison + stubborn) * (RESTART + swarm.silence + 2.0)
        )
        self._deadline = self.kernel.now + blocked + waits + work + deaths

    # -- the history ------------------------------------------------------------------------

    def run(self) -> None:
        """Let everything happen. Raises: Violation, with the story."""
        try:
            self._run()
        except Exception as error:  # a bug can show itself in any way
            raise Violation(f"{type(error).__name__}: {error}\n{self.story()}") from error

    def _run(self) -> None:
        kernel = self.kernel
        quiet: float | None = None
        while kernel.step():
            if self._look() and quiet is None and self.finished:
                # What comes too late or twice must do no harm either.
                quiet = kernel.now + kernel.random.choice((0.0, 0.0, 0.0, 30.0))
            if quiet is not None and kernel.now >= quiet:
                break
            if self._deadline and quiet is None and kernel.now > self._deadline:
                raise Violation(f"calm for long, and not done: {audit.census(self.core)}")
        if self._calm and kernel.random.random() < 0.3:
            self._end()

    def _end(self) -> None:
        """The job is over: all workers end in time."""
        kernel, swarm = self.kernel, self.swarm
        self.trace("the end")
        self._over = True
        self.desk.terminate()
        longest = max(spec.seconds for spec in self.specs) * 4.0
        blocked = max(0.0, self.net.calm() - kernel.now)
        deadline = kernel.now + longest + 2.0 * swarm.call_timeout + swarm.reconnect + blocked
        while any(worker is not None for worker in self.workers) and kernel.step():
            self._look()
            if kernel.now > deadline:
                left = [worker.client for worker in self.workers if worker is not None]
                raise Violation(f"the job is over, and {left} are still there")

    def _look(self) -> bool:
        """After an event, see whether what must hold does. False: there is nothing new."""
        desk = self.desk
        if self.kernel.events > MOST_EVENTS:
            raise Violation("no end to it")
        if not desk.touched:
            return False
        desk.touched = False
        audit.check(self.core)
        if wrong := desk.wrong():
            raise Violation(wrong)
        self.oracle.check_strikes()
        return True

    def history(self) -> list[tuple[float, str]]:
        """What has happened, as far as it is kept."""
        return list(self._trace)

    def story(self) -> str:
        """What happened, and how to see it again."""
        lines = [f"{when:10.4f} {text}" for when, text in self._trace]
        lines += [f"seed {self.seed}, {self.kernel.now:.3f} s, {self.kernel.events} events"]
        lines += [str(self.swarm)]
        lines += [f"again: PYTHONPATH=tests python -m simulation --first {self.seed} --seeds 1"]
        return "\n".join(lines)


def simulate(seed: int) -> int:
    """Live through one history. Returns the number of its events."""
    world = World(seed)
    world.run()
    return world.kernel.events
