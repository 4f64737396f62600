"""The conversation over Pyro5. Nothing outside this folder imports Pyro5.

Its frames and its name server are what we use. The sockets and the loops that serve them are ours:
Pyro's own listen in one place only and refuse the 81st connection, parse what strangers send, offer
far more than is needed (four serialisers, batches, streams, any method of any object), and copy
what is left of a message each time. `messages` says what is left of its protocol.
"""

from masterworker.transport.pyro.connection import connect
from masterworker.transport.pyro.server import Server

__all__ = ["Server", "connect"]
