"""The conversation over Pyro5. Nothing outside this folder imports Pyro5.

Pyro5 does what it is good at: framing, dispatching and serialising calls (with msgpack). The
sockets are ours: its own servers refuse the 81st connection and listen in one place only, its
sending loop copies what is left of a message each time, and its handshake parses before anybody
has been checked.
"""

from masterworker.transport.pyro.connection import connect
from masterworker.transport.pyro.names import NameServer
from masterworker.transport.pyro.server import Server

__all__ = ["NameServer", "Server", "connect"]
