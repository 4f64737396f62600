"""Equal calls have the same numbers in each run, however far a `map` has drawn ahead."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from journal.test_resuming import COUNTED, executed
from masterworker.journal.occurrences import Occurrences
from support import HANG, Script, python_script

if TYPE_CHECKING:
    from pathlib import Path

DIGESTS = [bytes([n]) * 16 for n in range(3)]

#: Draws few items or many, as the first argument says. Told of are all values, as a set where they
#: come in no order.
PROGRAM = f"""{COUNTED}
    import itertools, time

    pause = float(sys.argv[1])

    def items(x):
        while True:
            time.sleep(pause)
            yield x

    def pair(x):
        return list(itertools.islice(master.map(work, items(x)), 2))

    def several(x):
        for value, _ in zip(master.map(work, items(x)), range(3)):
            yield value

    with Master(MASTER, journal="job.journal") as master:
        WAY
"""
WAYS = {
    "closed": (
        "for _ in range(2):\n"
        "            it = master.map(work, items(1))\n"
        "            print([next(it) for _ in range(3)])\n"
        "            it.close()"
    ),
    "islice": (
        "for x in [1, 2, 1]:\n"
        "            print(list(itertools.islice(master.map(work, items(x)), 3)))"
    ),
    "left by break": "for x in [1, 1]:\n            print([*several(x)])",
    "nothing taken": (
        "master.map(work, items(1)).close()\n"
        "        print([master.submit(work, 1).result() for _ in range(3)])"
    ),
    "failed": (
        "def fail(x): note(x); raise ValueError(x)\n"
        "        for _ in range(2):\n"
        "            try: next(master.map(fail, items(1)))\n"
        "            except ValueError:\n"
        "                print(list(itertools.islice(master.map(work, items(1)), 2)))"
    ),
    "as they come": (
        "told = set()\n"
        "        for _ in range(3):\n"
        "            came = master.map(work, items(1), ordered=False)\n"
        "            told.update(itertools.islice(came, 3))\n"
        "            came.close()\n"
        "        print(sorted(told), len(told))"
    ),
    "keys": (
        "for _ in range(2):\n"
        "            texts = itertools.repeat('the same')\n"
        "            print(list(itertools.islice(master.map(work, items(1), keys=texts), 3)))"
    ),
    "a map of maps": (
        "print([pair(x) for x in [1, 1]])\n        print(master.submit(work, 1).result())"
    ),
}


def run(folder: Path, way: str, pause: float, how: str = "workers=2") -> str:
    """Run the program. Returns what it has printed."""
    source = PROGRAM.replace("WAY", WAYS[way]).replace("MASTER", how)
    script = Script(python_script(folder, "program.py", source), str(pause))
    assert script.wait(4 * HANG) == 0, script.told
    return script.out


@pytest.mark.parametrize("way", WAYS)
def test_maps_that_end_early(tmp_path: Path, way: str) -> None:
    """What was told of by the first run is told of by the others, though they draw otherwise."""
    told = run(tmp_path, way, 0.05)
    for pause in (0.0, 0.05):
        assert run(tmp_path, way, pause) == told


def test_what_was_not_told_of_is_not_told_of_by_the_next_run(tmp_path: Path) -> None:
    """The outcome of a call that was drawn ahead is kept; a later call of this run has its own."""
    source = f"""{COUNTED}
    with Master(serial=True, journal="job.journal") as master:
        it = master.map(work, [1, 1])
        print(next(it))
        future = master.submit(work, 2)
        print(future.result())  # the second item of the map is executed meanwhile
        it.close()
        print(master.submit(work, 1).result())
    """
    script = python_script(tmp_path, "program.py", source)
    told = []
    for _ in range(3):
        each = Script(script)
        assert each.wait(4 * HANG) == 0, each.told
        told.append(each.out)
        executed(tmp_path)
    assert told[0] == told[1] == told[2]


def test_numbers_that_are_given_back() -> None:
    """The keys of calls that count are those of a program that has made no others."""
    for seed in range(300):
        rng, drawn, plain = random.Random(seed), Occurrences(), Occurrences()
        for _ in range(rng.randint(1, 6)):
            digests = rng.choices(DIGESTS, k=rng.randint(1, 9))
            told = rng.randint(0, len(digests))
            keys = drawn.keys(digests)
            assert keys[:told] == plain.keys(digests[:told])
            drawn.give_back(keys[told:], digests[told:])


def test_calls_at_one_time_have_different_numbers() -> None:
    """Also where what was drawn before is given back after."""
    for seed in range(300):
        rng, occurrences = random.Random(seed), Occurrences()
        open_ones: list[tuple[list[bytes], list[bytes]]] = []
        counts: set[bytes] = set()
        for _ in range(20):
            if open_ones and rng.random() < 0.5:
                keys, digests = open_ones.pop(rng.randrange(len(open_ones)))
                told = rng.randint(0, len(digests))
                counts.update(keys[:told])
                occurrences.give_back(keys[told:], digests[told:])
                continue
            digests = rng.choices(DIGESTS, k=rng.randint(1, 9))
            keys = occurrences.keys(digests)
            others = [key for names, _ in open_ones for key in names]
            assert len({*keys}) == len(keys)
            assert counts.isdisjoint(keys)
            assert set(others).isdisjoint(keys)
            open_ones.append((keys, digests))
