"""A flood of strangers at the port: what honest workers notice of it.

A master in a process of its own; one honest worker over TLS and one over the private socket, each
in a process of its own, calling all the time; an attacker in another one. Beside each flood: the
same without it. It says how long one call takes, and how long somebody needs who is new.
"""

import contextlib
import multiprocessing
import os
import random
import shutil
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time

from masterworker.security.credentials import user_credential
from masterworker.security.peer import Role
from masterworker.transport import notice
from masterworker.transport.address import Address
from masterworker.transport.pyro.connection import connect

SECONDS = float(os.environ.get("SECONDS", "10"))
LABEL = "strangers"
MASTER = """
import sys
from masterworker import Master
with Master(sys.argv[1]) as master:
    print("ready", flush=True)
    sys.stdin.read()
"""
#: Seconds between two calls of an honest worker: it has something else to do, too.
PAUSE = 0.002
#: Seconds between two attempts of somebody new.
ARRIVAL = 0.2


# -- floods: each takes a port and a time to end, and says how many connections it made ----------


def silent(port, end):
    """500 that say nothing, kept open; one that is dropped comes again."""
    made, held = 0, []
    while time.monotonic() < end:
        while len(held) < 500:
            held.append(socket.socket())
            held[-1].setblocking(False)
            with contextlib.suppress(BlockingIOError):
                held[-1].connect(("127.0.0.1", port))
            made += 1
        alive = []
        for sock in held:
            if _is_open(sock):
                alive.append(sock)
            else:
                sock.close()
        held = alive
        time.sleep(0.005)
    for sock in held:
        sock.close()
    return made


def _is_open(sock):
    try:
        return sock.recv(1) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def comes_and_goes(port, end):
    """Connect, and close."""
    made = 0
    while time.monotonic() < end:
        _connected(port).close()
        made += 1
    return made


def noise(port, end):
    """Random bytes."""
    return _saying(port, end, random.randbytes(500))


def half_hello(port, end):
    """The first half of a hello, and the next one."""
    return _saying(port, end, _hello()[:100], held=100)


def noisy_hello(port, end):
    """What begins like TLS and is noise."""
    return _saying(port, end, b"\x16\x03\x01\x01\xf4" + random.randbytes(500))


def whole_hello(port, end):
    """A whole hello, and hang up: the master computes its answer for nothing."""
    return _saying(port, end, _hello(), held=20)


def handshakes(port, end):
    """TLS to its end, without a certificate."""
    made = 0
    context = _anybody()
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            sock = _connected(port)
            try:
                sock.settimeout(1.0)
                with context.wrap_socket(sock) as wrapped:
                    wrapped.recv(1)
            finally:
                sock.close()
        made += 1
    return made


FLOODS = {
    "none": None,
    "500 silent ones": silent,
    "connect, close": comes_and_goes,
    "random bytes": noise,
    "half hellos": half_hello,
    "noise like TLS": noisy_hello,
    "whole hellos": whole_hello,
    "TLS, no certificate": handshakes,
}


def _connected(port):
    sock = socket.socket()
    sock.settimeout(1.0)
    with contextlib.suppress(OSError):
        sock.connect(("127.0.0.1", port))
    return sock


def _anybody():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _hello():
    outgoing = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        _anybody().wrap_bio(ssl.MemoryBIO(), outgoing).do_handshake()
    return outgoing.read()


def _saying(port, end, text, held=1):
    """Connect and say something, at full speed; this many stay open at a time."""
    made, still_open = 0, []
    while time.monotonic() < end:
        sock = _connected(port)
        with contextlib.suppress(OSError):
            sock.sendall(text)
        still_open.append(sock)
        if len(still_open) >= held:
            still_open.pop(0).close()
        made += 1
    for sock in still_open:
        sock.close()
    return made


# -- the honest ----------------------------------------------------------------------------------


def calling(address, end, found):
    """Call again and again; report the seconds of each call."""
    connection = connect(address, LABEL)
    taken = []
    while time.monotonic() < end:
        began = time.perf_counter()
        connection.call("ping", 1)
        taken.append(time.perf_counter() - began)
        time.sleep(PAUSE)
    connection.close()
    found.put((bool(address.socket), taken))


def arriving(address, end, found):
    """Come as somebody new, again and again; report the seconds, and who was not let in."""
    own = user_credential(Role.WORKER)
    taken, failed = [], 0
    while time.monotonic() < end:
        began = time.perf_counter()
        try:
            connect(address, LABEL, credential=lambda: own).close()
        except OSError:
            raise
        except Exception:
            failed += 1
        taken.append(time.perf_counter() - began)
        time.sleep(ARRIVAL)
    found.put((None, (taken, failed)))


def measure(flood, tcp, private):
    """Return the calls over TLS, over the socket, arrivals, and connections/s of the flood."""
    context = multiprocessing.get_context("spawn")
    found, end = context.Queue(), time.monotonic() + SECONDS + 1.5
    others = [
        context.Process(target=calling, args=(tcp, end, found)),
        context.Process(target=calling, args=(private, end, found)),
        context.Process(target=arriving, args=(tcp, end, found)),
    ]
    made = context.Value("q", 0)
    if flood is not None:
        others.append(context.Process(target=_flood, args=(flood.__name__, tcp.port, end, made)))
    for process in others:
        process.start()
    results = dict(found.get(timeout=SECONDS + 60) for _ in range(3))
    for process in others:
        process.join()
    return results[False], results[True], results[None], made.value / SECONDS


def _flood(name, port, end, made):
    time.sleep(max(0.0, end - SECONDS - time.monotonic()))  # the others are there by now
    made.value = globals()[name](port, end)


def told(seconds):
    """Median, 99 % and maximum, in ms."""
    ordered = [1000 * s for s in sorted(seconds)]
    return (
        f"{statistics.median(ordered):8.2f}{ordered[int(len(ordered) * 0.99)]:8.2f}"
        f"{ordered[-1]:8.1f}"
    )


def main():
    folder = tempfile.mkdtemp(prefix="mw")
    for name in ("RUNTIME", "STATE", "CREDENTIALS"):
        os.environ[f"MASTERWORKER_{name}"] = tempfile.mkdtemp(dir=folder)
    user_credential(Role.WORKER), user_credential(Role.MASTER)
    chosen = sys.argv[1:] or list(FLOODS)
    command = [sys.executable, "-c", MASTER, LABEL]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as master:
        master.stdout.readline()
        where = notice.find(LABEL)
        tcp, private = Address(where.host, where.port), Address(socket=where.socket)
        print(
            f"{'':20}{'flood':>9}{'call over TLS, ms':>24}{'private socket, ms':>24}"
            f"{'newcomer, ms':>24}{'not':>5}"
        )
        print(f"{'':20}{'conn/s':>9}" + f"{'median':>8}{'99 %':>8}{'max':>8}" * 3 + f"{'in':>5}")
        for name in chosen:
            over_tls, over_socket, (arrivals, failed), rate = measure(FLOODS[name], tcp, private)
            print(
                f"{name:20}{rate:9,.0f}{told(over_tls)}{told(over_socket)}{told(arrivals)}"
                f"{failed:5}",
                flush=True,
            )
        master.stdin.close()
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
