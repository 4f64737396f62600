"""From which size on a payload is better passed as a file in memory than copied into a message.

Two processes, connected by the private socket's link, send NumPy arrays of one size to and fro: as
bytes of the message, and as a segment. Both sides open what they get. Medians, in microseconds.
"""

import os
import socket
import statistics
import time

import msgspec
import numpy as np

from masterworker import wire
from masterworker.data.pickling import dumps, dumps_values, open_payload
from masterworker.transport.pyro import messages
from masterworker.transport.pyro.link import PrivateLink
from masterworker.transport.pyro.messages import REQUEST

SIZES = [1 << power for power in range(13, 25)]
TRIPS = 60


def copied(array):
    return dumps(array)


def passed(array):
    return dumps_values({"array": array}, fixed=True)["array"]


def receive(link):
    message = messages.receive(link, REQUEST)
    (value,) = msgspec.msgpack.decode(message.body)
    return open_payload(message.enclosed.attach(value) if message.enclosed else value)


def echo(sock):
    link = PrivateLink(sock, 60.0, patient=True)
    ways = {b"c": copied, b"p": passed}
    while True:
        way = ways[bytes(link.recv(1))]
        messages.send(link, REQUEST, 1, [way(receive(link))])


def trip(link, sign, way, array):
    began = time.perf_counter()
    link.send(sign)
    messages.send(link, REQUEST, 1, [way(array)])
    back = receive(link)
    seconds = time.perf_counter() - began
    assert back[-1] == array[-1]
    return seconds


def main():
    ours, theirs = socket.socketpair()
    if not os.fork():
        ours.close()
        try:
            echo(theirs)
        finally:
            os._exit(0)
    theirs.close()
    link = PrivateLink(ours, 60.0, patient=True)
    print(f"protocol {wire.PROTOCOL}; round trip of an array")
    print(f"{'bytes':>12}{'copied us':>12}{'passed us':>12}{'ratio':>8}")
    for size in SIZES:
        array = np.ones(size // 8)
        found = {b"c": [], b"p": []}
        for _ in range(TRIPS):
            for sign, way in ((b"c", copied), (b"p", passed)):
                found[sign].append(trip(link, sign, way, array))
        one, two = (1e6 * statistics.median(found[sign]) for sign in (b"c", b"p"))
        print(f"{size:12,}{one:12,.0f}{two:12,.0f}{one / two:8.2f}")
    link.close()


if __name__ == "__main__":
    main()
