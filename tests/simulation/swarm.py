"""What one seed draws before anything happens: how big, how fast, and what goes wrong how often.

Each history has only some of the faults, so that none hides what another one would show.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from masterworker.conversation.worker.session import MAX_DEPTH
from masterworker.core.member import MISSED_HEARTBEATS
from masterworker.core.options import Options

if TYPE_CHECKING:
    from random import Random

TAGS = ("a", "b", "@f")
#: The tag of further tasks, which tasks ask for.
FURTHER = "further"
#: What one declares that can do everything.
ALL = frozenset(("a", "b", "@", FURTHER))


@dataclass(slots=True)
class Spec:
    """What is going to be asked for, and what executing it is like."""

    seconds: float
    #: So many attempts raise, and then no more; -1: all do.
    failures: int
    #: Whoever executes it dies of it.
    poison: bool
    #: It asks for so many further tasks, and waits for as many outcomes of such.
    further: int = 0
    #: It heeds neither its time limit nor an order to stop.
    stubborn: bool = False


@dataclass(slots=True)
class Batch:
    """Tasks of one request."""

    when: float
    #: Who asks: 0 is the master itself.
    who: int
    tag: str
    direct: bool
    options: Options | None
    specs: list[Spec]
    #: The master's program submits them one by one.
    singly: bool = False


@dataclass(slots=True)
class Swarm:
    """The parameters of one history. Rates are per second, the others probabilities."""

    heartbeat: float
    call_timeout: float
    reconnect: float
    comes_back: float
    #: What each worker can do, how many times slower than normal it is, and on which supervised
    #: host it is (-1: on none).
    workers: list[tuple[frozenset[str] | None, float, int]]
    batches: list[Batch]
    clients: int
    faults_end: float
    latency: float
    lose_request: float = 0.0
    lose_reply: float = 0.0
    duplicate: float = 0.0
    delay: float = 0.0
    half_open: float = 0.0
    kill_at_delivery: float = 0.0
    kill: float = 0.0
    pause: float = 0.0
    reset: float = 0.0
    partition: float = 0.0
    master_pause: float = 0.0
    cancel: float = 0.0
    kill_supervisor: float = 0.0
    kill_client: float = 0.0
    kinds: list[str] = field(default_factory=list)
    #: When the master dies (0: never), and for how long there is none.
    restart: float = 0.0
    down: float = 0.0
    #: So deep a worker executes whatever comes while it waits.
    depth: int = MAX_DEPTH
    #: Who waits inside a task, and is lent another one, may be cancelled in that instant.
    cancel_waiting: float = 0.0
    #: How often tasks that workers have are asked back.
    revoke: float = 0.0
    #: Workers that have promised no heartbeats.
    unwatched: frozenset[int] = frozenset()
    #: Results have so many bytes more than what they say, and so many together are too many.
    bulk: int = 0
    bound: int = 0
    #: The master's program drops no result before it has all that it waits for.
    hoards: bool = False

    @property
    def tags(self) -> tuple[str | None, ...]:
        """Of which tags outcomes are collected: those of further tasks are for who asked."""
        nested = any(spec.further for batch in self.batches for spec in batch.specs)
        return TAGS if nested else (None, None, *TAGS)

    @property
    def silence(self) -> float:
        """Seconds after which a silent worker counts as lost."""
        return MISSED_HEARTBEATS * self.heartbeat


#: What can be switched on, and between which bounds it is drawn.
STRENGTHS = {
    "lose_request": (0.01, 0.3),
    "lose_reply": (0.01, 0.3),
    "duplicate": (0.02, 0.5),
    "delay": (0.01, 0.2),
    "half_open": (0.1, 1.0),
    "kill_at_delivery": (0.01, 0.15),
    "kill": (0.02, 0.5),
    "pause": (0.02, 0.3),
    "reset": (0.02, 0.5),
    "partition": (0.02, 0.3),
    "master_pause": (0.01, 0.1),
    "cancel": (0.05, 1.0),
    "kill_supervisor": (0.01, 0.1),
    "kill_client": (0.01, 0.2),
}


def draw(random: Random) -> Swarm:
    """Draw the parameters of one history."""
    pick, chance = random.choice, random.random
    hosts = pick((0, 0, 1, 2))
    workers: list[tuple[frozenset[str] | None, float, int]] = []
    for number in range(random.randint(1, 5)):
        tags = pick((None, frozenset("a"), frozenset("b@"), ALL)) if number else ALL
        host = random.randrange(-1, hosts) if hosts else -1
        workers.append((tags, pick((1.0, 1.0, 1.0, 4.0)), host))
    clients = random.randrange(3)
    faults_end = pick((0.0, 5.0, 15.0, 40.0)) * chance()
    call_timeout = pick((6.0, 10.0, 25.0))
    swarm = Swarm(
        heartbeat=pick((1.0, 2.0, 5.0)),
        call_timeout=call_timeout,
        reconnect=pick((5.0, 20.0, 60.0)),
        comes_back=2.0 * (call_timeout + 5.0),
        workers=workers,
        batches=_draw_batches(random, clients, faults_end),
        clients=clients,
        faults_end=faults_end,
        latency=pick((0.0002, 0.002, 0.05)),
    )
    share = pick((0.0, 0.2, 0.5, 0.8))
    for kind, (low, high) in STRENGTHS.items():
        if chance() < share:
            setattr(swarm, kind, low + (high - low) * chance() ** 2)
            swarm.kinds.append(kind)
    return swarm


def draw_more(random: Random, swarm: Swarm) -> None:
    """Draw what has come later."""
    if random.random() < 0.15 and swarm.faults_end:
        swarm.restart = swarm.faults_end * random.random() + 0.01
        swarm.down = swarm.silence * random.random() ** 2
        swarm.kinds.append("restart")
    if random.random() < 0.2:
        swarm.depth = random.randrange(3)
    if random.random() < 0.2:
        swarm.kinds.append("stubborn")
        for batch in swarm.batches:
            for spec in batch.specs if batch.options is not None else ():
                spec.stubborn = random.random() < 0.5
                spec.seconds += random.choice((0.0, 3.0))
    if random.random() < 0.15:
        chosen = [i for i in range(len(swarm.workers)) if random.random() < 0.5]
        swarm.unwatched = frozenset(chosen)
    if random.random() < 0.3:
        swarm.kinds.append("rows")
        for _ in range(random.randint(1, 2)):
            swarm.batches.append(_draw_row(random, swarm.faults_end))
        swarm.batches.sort(key=lambda batch: batch.when)
    if random.random() < 0.3:
        swarm.cancel_waiting = 0.5 * random.random()
        swarm.kinds.append("cancel_waiting")


def draw_revoking(random: Random, swarm: Swarm) -> None:
    """Draw how often tasks are asked back."""
    if random.random() < 0.3:
        swarm.revoke = 20.0 * random.random() ** 2
        swarm.kinds.append("revoke")


def draw_submissions(random: Random, swarm: Swarm) -> None:
    """Draw how the master's program asks, and how much its results take."""
    for batch in swarm.batches:
        batch.singly = batch.direct and random.random() < 0.5
    if random.random() < 0.3:
        swarm.bulk = random.choice((2100, 5000))
        swarm.bound = swarm.bulk * random.choice((0, 1, 3, 10)) + 1
        swarm.hoards = random.random() < 0.5
        swarm.kinds.append("bulk")


def _draw_row(random: Random, faults_end: float) -> Batch:
    """Draw many small tasks that the master's own program asks for, and that are nothing special.

    Now and then one of them is: it takes long, fails, or ends its worker.
    """
    chance = random.random
    special, poison = random.choice((0.0, 0.1, 0.3)), random.choice((0.0, 0.0, 0.05))
    short = random.choice((0.0005, 0.005, 0.02))
    specs = [
        Spec(
            2.0 * chance() if chance() < special / 3 else short * chance(),
            -1 if chance() < special else 0,
            chance() < poison,
        )
        for _ in range(random.randint(2, 60))
    ]
    return Batch(faults_end * chance() ** 2, 0, random.choice(TAGS), True, None, specs)


def _draw_batches(random: Random, clients: int, faults_end: float) -> list[Batch]:
    pick, chance = random.choice, random.random
    longest = pick((0.01, 0.2, 2.0, 8.0))
    poison, failing, direct, special = (pick((0.0, 0.0, p)) for p in (0.3, 0.4, 1.0, 1.0))
    nested = pick((0.0, 0.0, 0.0, 0.4))
    batches = []
    left = random.randint(1, 12)
    while left:
        size = min(left, pick((1, 2, 3, 12)))
        left -= size
        who = random.randint(0, clients)
        options = None
        if chance() < special:
            options = Options(
                timeout=pick((None, None, longest * chance())),
                retries=pick((0, 1, 3)),
                delay=pick((0.0, 0.1, 2.0)),
                priority=pick((0, 0, 1, -1)),
                pure=chance() < 0.5,
            )
        specs = [
            Spec(
                longest * chance() ** 3,
                pick((-1, 1, 2)) if chance() < failing else 0,
                chance() < poison,
                random.randint(1, 2) if options is None and chance() < nested else 0,
            )
            for _ in range(size)
        ]
        when = faults_end * chance() ** 2
        batches.append(Batch(when, who, pick(TAGS), not who and chance() < direct, options, specs))
    return sorted(batches, key=lambda batch: batch.when)
