"""A program whose tasks go through an engine: what happens there, one thing after the other.

python through_program.py ENGINE DEED...
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pilot_program
import psutil
from pilot_program import here, numbered, until

import masterworker

MANY = pilot_program.MANY


class InPool:
    """A pool of processes."""

    def __init__(self):
        self.on = ProcessPoolExecutor(MANY)

    def processes(self):
        return [psutil.Process(each) for each in self.on._processes]

    def is_free(self):
        return [self.on.submit(here).result(60) for _ in range(MANY)]

    def close(self):
        self.on.shutdown()


class InPools:
    """Pools of processes: one that is broken is made anew."""

    def __init__(self):
        self._all = []

    def on(self):
        self._all.append(ProcessPoolExecutor(MANY))
        return self._all[-1]

    def processes(self):
        return [psutil.Process(each) for each in list(self._all[-1]._processes or [])]

    def close(self):
        pass


class InDask(pilot_program.InDask):
    #: Dask itself does not always start workers again that are killed at the same time.
    one_by_one = True

    def processes(self):
        """None until all run: a nanny whose worker is killed as it starts gives up."""
        states = [n.process and n.process.status.name for n in self.cluster.workers.values()]
        return super().processes() if states == ["running"] * MANY else []


class InSeparateProcesses(pilot_program.InSeparateProcesses):
    def address(self):
        return f"dask://127.0.0.1:{self.port}"


class InRay(pilot_program.InRay):
    def address(self):
        os.environ["RAY_ADDRESS"] = self.ray.get_runtime_context().gcs_address
        return "ray"

    def processes(self):
        return having("ray::masterworker_bundle", psutil.Process())


class OnRanks:
    """All ranks execute this program; those that are not the master serve it."""

    on = "mpi"

    def processes(self):
        return having("masterworker.engine.child", psutil.Process().parent())

    def close(self):
        pass


def having(text, process):
    """Return the descendants of a process that have a text in their command line."""
    found = []
    for each in process.children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if text in " ".join(each.cmdline()):
                found.append(each)
    return found


ENGINES = {
    **pilot_program.ENGINES,
    "pool": InPool,
    "pools": InPools,
    "dask": InDask,
    "separate": InSeparateProcesses,
    "ray": InRay,
    "mpi": OnRanks,
}


def adaptive(engine):
    """A cluster without workers starts one when tasks wait, also when it has had some before."""
    engine.cluster.scale(0)
    until(lambda: not engine.on.nthreads())
    engine.cluster.adapt(minimum=0, maximum=MANY, wait_count=2, interval="100ms")
    with masterworker.Master(engine=engine.on) as master:
        for _ in range(2):
            values = [master.submit(numbered, i, 0) for i in range(5)]
            assert [value.result(60) for value in values] == list(range(5))
            until(lambda: len(master.status().processes) == 1)  # the slots are gone as well


def noted(path, seconds):
    """Note that this has begun."""
    with open(path, "a") as file:  # noqa: PTH123
        file.write("x")
    return numbered(0, seconds)


def interrupted(engine):
    """Ctrl-C, also beside tasks that go on: what the engine has not begun, it never begins."""
    for longest in (0.05, 5.0):
        path = Path(tempfile.mkstemp()[1])
        seconds = [0.001] * 100 + [longest] * MANY + [0.01] * 500
        try:
            with masterworker.Master(engine=engine.on) as master:
                futures = [master.submit(noted, path, each) for each in seconds]
                until(lambda p=path: p.stat().st_size > 100)
                os.kill(os.getpid(), signal.SIGINT)
                [future.result(60) for future in futures]
        except KeyboardInterrupt:
            before = path.stat().st_size
        assert before < len(seconds)
        assert engine.is_free()
        assert path.stat().st_size == before
        path.unlink()
    left = getattr(engine.on, "futures", {})  # of Dask
    assert not any("masterworker" in key for key in left), left


def counted(number, folder):
    """Note if more tasks are executed at one time than there are slots."""
    with contextlib.ExitStack() as open_files:
        for slot in range(MANY):
            file = open_files.enter_context(open(f"{folder}/{slot}", "w"))  # noqa: PTH123
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return numbered(number, 0.05)
        raise RuntimeError("there are more workers than slots")


def rain(engine, tasks=1000, kills=20):
    """Processes of the engine are killed at random, sometimes all: nothing lost, nothing twice.

    Each time when the engine goes on: a task that is there when three processes end, as one that
    waits while they start, is lost.
    """
    chance, over = random.Random(tasks), threading.Event()

    def disturb():
        killed = done = 0
        while killed < kills and not over.wait(chance.uniform(0.1, 0.9)):
            if master.status().done < done + 5:
                continue
            with contextlib.suppress(psutil.Error, ValueError, OSError):
                found = engine.processes()
                are_all = chance.random() < 0.2 and not hasattr(engine, "one_by_one")
                pilot_program.kill(found if are_all else chance.sample(found, 1))
                killed, done = killed + bool(found), master.status().done
        return killed

    with (
        tempfile.TemporaryDirectory() as folder,
        masterworker.Master(engine=engine.on) as master,
        ThreadPoolExecutor(1) as pool,
    ):
        futures = [master.submit(counted, i, folder) for i in range(tasks)]
        disturbing = pool.submit(disturb)
        try:
            assert [future.result(100) for future in futures] == list(range(tasks))
        finally:
            over.set()
        status = master.status()
    assert (status.done, status.failed) == (tasks, 0), status
    return {"kills": disturbing.result(), "twice": status.duplicates}


def shower(engine):
    """A small rain."""
    return rain(engine, 150, 4)


def killed_nanny(engine):
    """A nanny of Dask is killed, and with it its worker; another one comes."""
    with masterworker.Master(engine=engine.on) as master:
        futures = [master.submit(numbered, i, 0.05) for i in range(150)]
        futures[20].result(60)
        engine.workers[0].kill()
        engine.workers[0].wait()
        engine.workers[0] = engine.worker()
        assert [future.result(60) for future in futures] == list(range(150))
        assert master.status().failed == 0


#: Programs that know nothing of engines; they print what their results depend on.
CLASSIC = """
import sys
from Scientific.DistributedComputing.MasterSlave import *

class Squares(MasterProcess):
    def run(self):
        state = self.setGlobalState(offset=100)
        for i in range(8):
            self.requestTask("square", i, GlobalStateValue(state, "offset"))
        print(sorted(self.retrieveResult("square")[2] for _ in range(8)))

class Squaring(SlaveProcess):
    def do_square(self, i, offset):
        return i * i + offset

runJob(sys.argv[1], Squares, Squaring)
"""
MODERN = """
import math, sys
import masterworker

def walk(steps):
    generator = masterworker.task_rng("random")
    return math.fsum(generator.gauss() for _ in range(steps))

if __name__ == "__main__":
    with masterworker.Master(workers=2, seed=5) as master:
        print([value.hex() for value in master.map(walk, range(50))])
"""


def unchanged(engine):
    """A classic program, and one with random numbers: the same by environment variable only."""
    there = {"MASTERWORKER_ENGINE": engine.address()}
    with tempfile.TemporaryDirectory() as folder:
        assert said_by(CLASSIC, folder, there) == [str([i * i + 100 for i in range(8)])]
        assert said_by(MODERN, folder, there) == said_by(MODERN, folder, {})


def said_by(source, folder, more):
    """Return the results that a program prints."""
    path = Path(folder, "program.py")
    path.write_text(source)
    done = subprocess.run(
        [sys.executable, str(path), f"unchanged {os.getpid()}"],
        env={**os.environ, **more},
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=True,
    )
    return [line for line in done.stdout.splitlines() if line.startswith("[")]


def main():
    kind, *deeds = sys.argv[1:]
    engine = ENGINES[kind]()
    known = {f.__name__: f for f in [adaptive, interrupted, killed_nanny, rain, shower, unchanged]}
    print(json.dumps({"found": [known[deed](engine) for deed in deeds]}), flush=True)  # noqa: T201
    engine.close()


if __name__ == "__main__":
    main()
