"""The calling end of a Pyro conversation."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from Pyro5 import errors as pyro_errors
from Pyro5.client import Proxy

from masterworker.errors import MasterNotFoundError, TransportError, UsageError
from masterworker.transport.address import object_name
from masterworker.transport.pyro.link import STALL, Link, tune
from masterworker.wire import LONGEST_WAIT

if TYPE_CHECKING:
    from masterworker.transport.address import Address

#: Seconds to get a connection.
CONNECT_TIMEOUT = 5.0


class _Proxy(Proxy):  # type: ignore[misc]  # Pyro5 has no types
    """A proxy that knows what it may call, and does not ask the other side for it."""

    def _pyroGetMetadata(self, *args: object, **kwargs: object) -> None:  # noqa: N802  Pyro's
        pass


class PyroConnection:
    """A connection to a master.

    Args:
        sock: A socket that is connected to it.
        label: Which of its task managers is meant.
    """

    def __init__(self, sock: socket.socket, label: str) -> None:
        self._link = Link(sock, LONGEST_WAIT + STALL, patient=False)
        self._link.objectId = object_name(label)
        self._label = label
        self._proxy = _Proxy(object_name(label), connected_socket=sock)
        self._proxy._pyroSerializer = "msgpack"
        self._proxy._pyroConnection = self._link

    def call(self, operation: str, *args: Any) -> Any:
        """See `Connection.call`."""
        proxy = self._proxy
        proxy._pyroClaimOwnership()
        try:
            return proxy._pyroInvoke("call", (operation, *args), {})
        except pyro_errors.SerializeError as error:
            raise UsageError(f"this cannot travel in a message: {error}") from None
        except pyro_errors.DaemonError as error:
            raise MasterNotFoundError(
                f"no task manager with label {self._label!r} is at this address ({error})"
            ) from None
        except pyro_errors.ProtocolError as error:
            raise MasterNotFoundError(
                f"what listens at this address is no master ({error})"
            ) from None
        except (pyro_errors.CommunicationError, OSError) as error:
            raise TransportError(f"the connection to the master broke: {error}") from None

    def close(self) -> None:
        """See `Connection.close`."""
        self._link.close()


def connect(address: Address, label: str, timeout: float = CONNECT_TIMEOUT) -> PyroConnection:
    """Connect to a master.

    Args:
        address: Where; its Unix-domain socket is used if it has one.
        label: The label of the task manager.
        timeout: Seconds to get a connection.

    Raises:
        MasterNotFoundError: Nobody answers there.
    """
    try:
        if address.socket:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            sock.settimeout(timeout)
            try:
                sock.connect(address.socket)
            except OSError:
                sock.close()
                raise
        else:
            sock = socket.create_connection((address.host, address.port), timeout)
            tune(sock)
    except OSError as error:
        reason = error.strerror or str(error)
        raise MasterNotFoundError(f"no master answers at {address}: {reason}") from None
    return PyroConnection(sock, label)
