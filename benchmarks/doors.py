"""What the doors cost: the same job through bare Pyro5, the private socket, and TLS on loopback.

Two workers with the same code each time; only their connection differs. "Bare Pyro5" is Pyro's own
daemon and proxy on a Unix-domain socket, without any check of who connects. Tiny tasks submitted
one by one, the round trip of one task, and the round trip of one call, in turn, medians of five.
"""

import contextlib
import math
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from masterworker import Master, Worker
from masterworker.manager import Service
from masterworker.master import engine_of
from masterworker.security.peer import OWNER
from masterworker.transport.address import Address
from masterworker.transport.pyro.connection import connect

LABEL = sys.argv[2] if len(sys.argv) > 2 else f"doors-{os.getpid()}"
TASKS, TRIPS, CALLS, REPEATS, WORKERS = 20_000, 1_000, 2_000, 5, 2


class Bare:
    """A connection through Pyro's own proxy."""

    def __init__(self, uri):
        import Pyro5.api

        self._proxy = Pyro5.api.Proxy(uri)
        self._proxy._pyroSerializer = "msgpack"

    def call(self, operation, *args):
        self._proxy._pyroClaimOwnership()
        return self._proxy.call(operation, *args)

    def close(self):
        self._proxy._pyroRelease()


@contextlib.contextmanager
def bare_daemon(manager, folder):
    """Serve a manager by Pyro's own daemon. Yields the address."""
    import Pyro5.api
    from Pyro5.callcontext import current_context

    sessions = {}

    @Pyro5.api.expose
    class Door:
        def call(self, operation, *args):
            client = current_context.client
            if client not in sessions:
                sessions[client] = Service(manager, OWNER)
            return sessions[client].call(operation, list(args))

    class Daemon(Pyro5.api.Daemon):
        def clientDisconnect(self, conn):
            if conn in sessions:
                sessions.pop(conn).closed()

    with Daemon(unixsocket=f"{folder}/bare") as daemon:
        uri = str(daemon.register(Door(), "door"))
        threading.Thread(target=daemon.requestLoop, daemon=True).start()
        yield uri
        daemon.shutdown()


def dial(door, where):
    """Return what makes connections through a door."""
    if door == "bare Pyro5":
        return lambda: Bare(where)
    if door == "private socket":
        return lambda: connect(Address(socket=where), LABEL)
    host, port = where.split(":")
    return lambda: connect(Address(host, int(port)), LABEL)


def measure(door, folder):
    """Return tasks/s, seconds of a task's round trip, and of a call's."""
    with Master(LABEL) as master, bare_daemon(engine_of(master).manager, folder) as uri:
        address = engine_of(master).server.address
        where = {
            "bare Pyro5": uri,
            "private socket": address.socket,
            "TLS on loopback": f"127.0.0.1:{address.port}",
        }[door]
        command = [sys.executable, __file__, "worker", LABEL, door, where]
        with contextlib.ExitStack() as stack:
            for _ in range(WORKERS):
                stack.enter_context(subprocess.Popen(command))
            while master.number_of_workers < WORKERS:
                time.sleep(0.01)
            found = rate(master.submit), trip(master.submit), call(dial(door, where)())
            master.shutdown()
        return found


def rate(submit):
    for future in [submit(math.sqrt, float(i)) for i in range(2_000)]:
        future.result()
    began = time.perf_counter()
    futures = [submit(math.sqrt, float(i)) for i in range(TASKS)]
    for future in futures:
        future.result()
    return TASKS / (time.perf_counter() - began)


def trip(submit):
    return median_of(TRIPS, lambda: submit(math.sqrt, 4.0).result())


def call(connection):
    took = median_of(CALLS, lambda: connection.call("ping", -1))
    connection.close()
    return took


def median_of(times, action):
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        action()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def main():
    doors = ["bare Pyro5", "private socket", "TLS on loopback"]
    found = {door: [] for door in doors}
    with tempfile.TemporaryDirectory(prefix="mw") as folder:
        for _ in range(REPEATS):
            for door in doors:
                found[door].append(measure(door, folder))
    base = [statistics.median(column) for column in zip(*found[doors[0]], strict=True)]
    heads = ("tasks/s", "ratio", "task, us", "ratio", "call, us", "ratio")
    print(" " * 16 + "".join(f"{head:>11}" for head in heads))
    for door, runs in found.items():
        speed, task, one = (statistics.median(column) for column in zip(*runs, strict=True))
        print(
            f"{door:16}{speed:11,.0f}{speed / base[0]:11.2f}{1e6 * task:11.0f}"
            f"{task / base[1]:11.2f}{1e6 * one:11.0f}{one / base[2]:11.2f}"
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["worker"]:
        _, _, label, name, place = sys.argv
        Worker(label, connect=dial(name, place)).run()
    else:
        main()
