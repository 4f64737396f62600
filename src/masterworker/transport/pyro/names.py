"""The Pyro name server: a directory of labels, used where one runs and never relied upon."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import Pyro5
from Pyro5 import errors as pyro_errors
from Pyro5.client import Proxy
from Pyro5.core import NAMESERVER_NAME, URI

from masterworker.errors import TransportError
from masterworker.transport.address import NAME_PREFIX, Address, label_of, object_name

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Seconds for a call to the name server.
TIMEOUT = 3.0


class NameServer:
    """The name server that Pyro is configured for: PYRO_NS_HOST and PYRO_NS_PORT, else local.

    No broadcasts: an answer from anywhere in the network would be believed.
    """

    def __init__(self) -> None:
        host, port = Pyro5.config.NS_HOST or "localhost", Pyro5.config.NS_PORT
        self.where = f"{host}:{port}"
        self._uri = f"PYRO:{NAMESERVER_NAME}@{self.where}"

    @contextlib.contextmanager
    def _proxy(self) -> Iterator[Proxy]:
        try:
            with Proxy(self._uri) as proxy:
                proxy._pyroTimeout = TIMEOUT
                yield proxy
        except (pyro_errors.CommunicationError, OSError) as error:
            raise TransportError(f"no name server answers at {self.where}") from error

    def register(self, label: str, uri: str) -> None:
        """Enter a label, in place of an older entry."""
        with self._proxy() as proxy:
            proxy.register(object_name(label), uri, safe=False)

    def lookup(self, label: str) -> Address | None:
        """Return where a label's master is said to be; None: the name server does not know it."""
        with self._proxy() as proxy:
            try:
                return _address(str(proxy.lookup(object_name(label))))
            except pyro_errors.NamingError:
                return None

    def remove(self, label: str, uri: str) -> None:
        """Take a label out, unless somebody else has entered it meanwhile."""
        with self._proxy() as proxy:
            try:
                if str(proxy.lookup(object_name(label))) == uri:
                    proxy.remove(object_name(label))
            except pyro_errors.NamingError:
                pass

    def labels(self) -> dict[str, Address]:
        """Return all labels and where their masters are said to be."""
        with self._proxy() as proxy:
            entries: dict[str, str] = proxy.list(prefix=NAME_PREFIX)
        found = {}
        for name, uri in entries.items():
            label, address = label_of(name), _address(uri)
            if label is not None and address is not None:
                found[label] = address
        return found


def _address(uri: str) -> Address | None:
    try:
        parsed = URI(uri)
    except pyro_errors.PyroError:
        return None
    return Address(parsed.host, parsed.port) if parsed.host else None
