"""A program with workers in an engine: what happens there, one thing after the other.

python pilot_program.py ENGINE LABEL DEED...

Engines start slowly, so all have the same one; each has a job of its own.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psutil

import masterworker

MANY = 2


def here(seconds=0.0):
    if seconds:
        threading.Event().wait(seconds)
    return os.getpid()


def numbered(number, seconds):
    threading.Event().wait(seconds)
    return number


def worker_processes(label):
    """The worker processes that live, of jobs whose labels begin so."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            words = process.cmdline()
            is_of_job = words and words[-1].startswith(label)
            is_worker = is_of_job and any("--supervised=" in word for word in words)
            if is_worker and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def supervisors(label):
    """The supervisors of its workers."""
    found = {}
    for process in worker_processes(label):
        with contextlib.suppress(psutil.Error):
            parent = process.parent()
            while parent is not None and "masterworker.cli.pilot" not in " ".join(parent.cmdline()):
                parent = parent.parent()
            if parent is not None:
                found[parent.pid] = parent
    return list(found.values())


def kill(processes):
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()


class Engine:
    """What all have in common."""

    def processes(self):
        return []

    def mend(self):
        """Let it be as it was in the beginning."""


class InThreads(Engine):
    def __init__(self):
        self.on = ThreadPoolExecutor(MANY)

    def is_free(self):
        return [self.on.submit(here).result(60) for _ in range(MANY)]

    def close(self):
        self.on.shutdown()


class InLoky(Engine):
    def __init__(self):
        self.mend()

    def mend(self):
        from loky import get_reusable_executor

        self.on = get_reusable_executor(max_workers=MANY)

    def processes(self):
        me = psutil.Process()
        return [p for p in me.children() if "LokyProcess" in " ".join(p.cmdline())]

    def is_free(self):
        return [self.on.submit(here).result(60) for _ in range(MANY)]

    def close(self):
        self.on.shutdown()


class InDask(Engine):
    def __init__(self, workers=MANY):
        from distributed import Client, LocalCluster

        self.cluster = LocalCluster(
            n_workers=workers, threads_per_worker=1, dashboard_address=None, silence_logs=50
        )
        self._client = Client
        self.on = Client(self.cluster)

    def processes(self):
        return [psutil.Process(pid) for pid in self.on.run(os.getpid).values()]

    def mend(self):
        if self.on.status == "closed":
            self.on = self._client(self.cluster)
        until(lambda: len(self.on.nthreads()) == MANY)

    def is_free(self):
        futures = [self.on.submit(here, pure=False) for _ in range(MANY)]
        return self.on.gather(futures)

    def close(self):
        self.on.close()
        self.cluster.close()


class InSeparateProcesses(Engine):
    """A scheduler and two workers of Dask, each started by itself."""

    def __init__(self):
        from distributed import Client

        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.scheduler = self._start("scheduler", "--port", str(self.port), "--no-dashboard")
        self.workers = [self.worker() for _ in range(MANY)]
        self.on = Client(f"tcp://127.0.0.1:{self.port}", timeout=60)
        until(lambda: len(self.on.nthreads()) == MANY)

    def _start(self, *words):
        command = [sys.executable, "-m", "dask", *words, "--host", "127.0.0.1"]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def worker(self):
        options = ["--nthreads", "1", "--no-dashboard"]
        return self._start("worker", f"tcp://127.0.0.1:{self.port}", *options)

    def processes(self):
        return [psutil.Process(pid) for pid in self.on.run(os.getpid).values()]

    def is_free(self):
        futures = [self.on.submit(here, pure=False) for _ in range(MANY)]
        return self.on.gather(futures)

    def close(self):
        self.on.close(timeout=5)
        for process in [*self.workers, self.scheduler]:
            process.terminate()
        for process in [*self.workers, self.scheduler]:
            process.wait(30)


class InRay(Engine):
    on = "ray"

    def __init__(self):
        import ray

        self.ray = ray
        ray.init(
            num_cpus=MANY,
            include_dashboard=False,
            logging_level="error",
            object_store_memory=80 << 20,
        )

    def processes(self):
        found = []
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if "ray::masterworker_pilot" in " ".join(process.cmdline()):
                    found.append(process)
        return found

    def is_free(self):
        remote = self.ray.remote(here)
        return self.ray.get([remote.remote() for _ in range(MANY)], timeout=60)

    def close(self):
        self.ray.shutdown()


class OnRanks(Engine):
    on = "mpi"

    def is_free(self):
        return True

    def close(self):
        pass


ENGINES = {"thread": InThreads, "loky": InLoky, "dask": InDask, "ray": InRay, "mpi": OnRanks}
ENGINES["openmpi"] = OnRanks
ENGINES["separate"] = InSeparateProcesses


class Watch:
    """Counts workers all the time."""

    def __init__(self, label):
        self.most = 0
        self._label, self._over = label, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._over.wait(0.05):
            self.most = max(self.most, len(worker_processes(self._label)))

    def stop(self):
        self._over.set()
        self._thread.join()
        return self.most


def results(engine, label):
    """Workers join, are named, keep the ticket to themselves, and leave the engine its places."""
    with masterworker.Master(label, seed=1) as master:
        master.launch_workers(MANY, on=engine.on, wait=True)
        until(lambda: master.number_of_workers == MANY)
        infos = until(lambda: named(master))
        shown = [" ".join(p.cmdline()) + str(p.environ()) for p in worker_processes(label)]
        for supervisor in supervisors(label):
            shown.append(" ".join(supervisor.cmdline()) + str(supervisor.environ()))
        values = list(master.map(numbered, range(200), [0.005] * 200))
        pids = set(master.map(here, [0.05] * 20))
    until(lambda: not worker_processes(label))
    assert values == list(range(200))
    assert len(pids) == MANY
    assert len(shown) == 2 * MANY, shown
    assert not any("mw1." in text for text in shown)
    assert engine.is_free()
    return infos


def named(master):
    """What is said of the processes, once the engine of each worker is."""
    infos = [info for _, info, _ in master.status().processes]
    return infos if sum(" in " in info for info in infos) == MANY else []


def busy(engine, label, disturb, tasks=300, seconds=0.05):
    watch = Watch(label)
    with masterworker.Master(label) as master:
        master.launch_workers(MANY, on=engine.on, wait=True)
        until(lambda: master.number_of_workers == MANY)
        futures = [master.submit(numbered, i, seconds) for i in range(tasks)]
        ended = threading.Event()
        with ThreadPoolExecutor(1) as pool:
            disturbing = pool.submit(disturb, ended)
            try:
                values = [future.result(100) for future in futures]
            finally:
                ended.set()
            disturbing.result(60)
        census = master.status()
        until(lambda: master.number_of_workers == MANY, 60)
    until(lambda: not worker_processes(label))
    most = watch.stop()
    assert values == list(range(tasks))
    assert census.done == tasks, census
    assert census.failed == 0
    assert most <= MANY, most
    return {"most": most, "twice": census.duplicates}


def killed_engine(engine, label):
    """A process of the engine is killed: its worker ends at once, and comes back."""

    def disturb(ended):
        ended.wait(1.0)
        victim = engine.processes()[0]
        below = [p for p in worker_processes(label) if victim in p.parents()]
        assert below
        victim.kill()
        until(lambda: not any(p.is_running() and p.status() != "zombie" for p in below), 5)

    return busy(engine, label, disturb)


def killed_supervisor(engine, label):
    """A supervisor of ours is killed: another one takes its place."""

    def disturb(ended):
        ended.wait(1.0)
        kill(supervisors(label)[:1])

    return busy(engine, label, disturb)


def killed_workers(engine, label):
    """All workers are killed."""

    def disturb(ended):
        ended.wait(1.0)
        kill(worker_processes(label))

    return busy(engine, label, disturb)


def rain(engine, label):
    """20 processes of all kinds are killed at random, and sometimes all workers."""
    chance = random.Random(label)

    def disturb(ended):
        for _ in range(20):
            if ended.wait(chance.uniform(0.2, 1.5)):
                return
            with contextlib.suppress(psutil.Error, IndexError, OSError):
                kinds = [supervisors, worker_processes, lambda _: engine.processes()]
                kind = chance.choice(kinds if engine.processes() else kinds[:2])
                found = kind(label)
                if chance.random() < 0.2 and kind is worker_processes:
                    kill(found)
                else:
                    kill([chance.choice(found)])

    return busy(engine, label, disturb, tasks=1000)


def idle(engine, label):
    """A worker without tasks gives its place back, and comes back."""
    with masterworker.Master(label) as master:
        master.launch_workers(MANY, on=engine.on, idle_timeout=0.5)
        first = set(master.map(here, [0.05] * 20))
        until(lambda: not worker_processes(label))
        until(lambda: master.number_of_workers == 0)
        assert engine.is_free()
        second = set(master.map(here, [0.05] * 100))
    assert not first & second
    return {"first": len(first), "second": len(second)}


def orphans(engine, label):
    """The master is killed with -9."""
    master = masterworker.Master(label)
    master.launch_workers(MANY, on=engine.on, wait=True)
    until(lambda: master.number_of_workers == MANY)
    master.submit(numbered, 1, 0.01).result(60)
    print("killed", flush=True)  # noqa: T201
    os.kill(os.getpid(), signal.SIGKILL)


def exit_without_end(engine, label):
    """The program ends without a word."""
    master = masterworker.Master(label)
    master.launch_workers(MANY, on=engine.on)
    assert master.submit(numbered, 1, 0.01).result(60) == 1
    globals()["kept"] = master, engine
    return "at the end"


def closed_client(engine, label):
    """The client of Dask is closed: who is there stays, and it is said."""
    said = []
    logger = logging.getLogger("masterworker")
    logger.addHandler(handler := logging.Handler())
    handler.emit = lambda record: said.append(record.getMessage())
    with masterworker.Master(label) as master:
        master.launch_workers(MANY, on=engine.on, wait=True)
        until(lambda: master.number_of_workers == MANY)
        futures = [master.submit(numbered, i, 0.05) for i in range(60)]
        engine.on.close()
        assert [future.result(60) for future in futures] == list(range(60))
        until(lambda: any("is gone: its client was closed" in line for line in said))
    until(lambda: not worker_processes(label))
    return said


def late_workers(engine, label):
    """A scheduler without workers is named after 10 s; the job goes on when some come."""
    said = []
    logging.getLogger("masterworker").addHandler(handler := logging.Handler())
    handler.emit = lambda record: said.append(record.getMessage())
    engine.cluster.scale(0)
    until(lambda: not engine.on.nthreads())
    with masterworker.Master(label) as master:
        master.launch_workers(MANY, on=engine.on)
        future = master.submit(numbered, 1, 0)
        until(lambda: any("has begun none of 2 workers" in line for line in said))
        assert any("begun none" in line for line in master.status().troubles)
        engine.cluster.scale(MANY)
        assert future.result(60) == 1
    return said


def restarted_scheduler(engine, label):
    """Dask's workers are restarted by the scheduler: all pilots are lost, and come back."""

    def disturb(ended):
        ended.wait(1.0)
        engine.on.restart(wait_for_workers=False)

    return busy(engine, label, disturb)


def killed_scheduler(engine, label):
    """The scheduler is killed, and begins again at its address, with new workers."""

    def disturb(ended):
        ended.wait(1.0)
        engine.scheduler.kill()
        engine.scheduler.wait()
        for worker in engine.workers:
            worker.terminate()
            worker.wait()
        engine.scheduler = engine._start("scheduler", "--port", str(engine.port), "--no-dashboard")
        engine.workers = [engine.worker() for _ in range(MANY)]

    return busy(engine, label, disturb)


def killed_nanny(engine, label):
    """A nanny is killed, and with it its worker: nothing replaces that."""

    def disturb(ended):
        ended.wait(1.0)
        engine.workers[0].kill()
        engine.workers[0].wait()
        engine.workers[0] = engine.worker()

    return busy(engine, label, disturb)


def until(holds, seconds=60):
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end, "not in time"
        threading.Event().wait(0.02)
    return found


def main():
    kind, label, *asked = sys.argv[1:]
    deeds = [results, killed_engine, killed_supervisor, killed_workers, rain, idle, orphans]
    deeds += [closed_client, late_workers, restarted_scheduler, exit_without_end]
    deeds += [killed_scheduler, killed_nanny]
    known = {function.__name__: function for function in deeds}
    engine, found = ENGINES[kind](), {}
    for deed in asked:
        print(f"-- {deed}", file=sys.stderr, flush=True)  # noqa: T201
        found[deed] = known[deed](engine, f"{label} {deed}")
        engine.mend()
    print(json.dumps({"found": found}), flush=True)  # noqa: T201
    if "exit_without_end" not in asked:
        engine.close()


if __name__ == "__main__":
    main()
