"""What growth.py measures: the cost of a task when thousands are connected.

Each is a real connection through the private socket, with a thread that asks for one task at a
time and answers at once: it does what a worker does, except executing anything.
"""

import multiprocessing
import threading

from msgspec.structs import astuple

from benchmarks import tasks
from benchmarks.curves import Curves
from benchmarks.sweeps import median_of, timed, wait_until
from masterworker import Master, wire
from masterworker.client import Client
from masterworker.core.task import RESULT, Outcome
from masterworker.data.pickling import dumps
from masterworker.errors import MasterworkerError
from masterworker.master import engine_of
from masterworker.transport.address import Address
from masterworker.transport.pyro.connection import connect

NUMBERS = (10, 20, 50, 100, 200, 500, 1_000, 2_000)
#: So many processes share the clients.
PROCESSES = 4
TAG = "thin"
TASKS = 10_000
#: What the last of them would be, which is what is checked.
DONE = dumps(tasks.tiny(TASKS - 1))


def connections(most):
    """Cost of a task that is an exchange of its own, against the number of connections."""
    curves = Curves(
        "growth-connections",
        "Cost of a task that comes and goes alone",
        "connected clients",
        "us for each task",
    )
    context = multiprocessing.get_context("spawn")
    with Master() as master:
        where = engine_of(master).server.address.socket
        lines, processes = [], []
        for _ in range(PROCESSES):
            ours, theirs = context.Pipe()
            process = context.Process(target=serve, args=(where, master.label, theirs))
            process.start()
            lines.append(ours)
            processes.append(process)
        for number in (n for n in NUMBERS if n <= most):
            for i, line in enumerate(lines):
                line.send((number + i) // PROCESSES)
            wait_until(
                lambda n=number: master.number_of_workers == n, f"{number} clients are connected"
            )
            _mapped(master)
            whole, cpu = median_of(3, _mapped, master)
            curves.add(number, {"one by one": whole, "master's CPU": cpu})
        master.shutdown()
        for process in processes:
            process.join()
    return curves


def _mapped(master):
    return timed(lambda: list(master.map(TAG, range(TASKS)))[-1], TASKS)


def serve(where, label, line):
    """In a process of its own: have as many clients as the master says, until it ends the job."""
    threading.stack_size(256 * 1024)
    threads = []
    while any(thread.is_alive() for thread in threads) or not threads:
        if line.poll(0.2):
            try:
                number = line.recv()
            except EOFError:
                return
            for _ in range(number - len(threads)):
                thread = threading.Thread(target=client, args=(where, label), daemon=True)
                thread.start()
                threads.append(thread)


def client(where, label):
    """Ask for a task, and answer, until the job is over."""
    calls = Client(lambda: connect(Address(socket=where), label))
    try:
        hello = wire.introduce("a thin client", [TAG], None, calls.name)
        member = calls.join(hello).member_id
        outcomes = []
        while True:
            reply = calls.exchange(wire.Exchange(member, outcomes, want=1, wait=wire.LONGEST_WAIT))
            outcomes = [answer(*astuple(lease)) for lease in reply.leases]
            if any(order == wire.STOP for order, _ in reply.orders):
                calls.leave(member)
                return
    except MasterworkerError:
        return  # the master has gone
    finally:
        calls.disconnect()


def answer(task_id, attempt, _tag, payload, *_):
    """A lease has a list of payloads, and needs one of results."""
    return Outcome(task_id, attempt, RESULT, [DONE] * len(payload))
