"""The Pyro name server: a directory of labels, used where one runs and never relied upon.

It knows no authentication: whoever reaches it can enter anything. So it only says where a master
may be; whether it is one of ours, its gate has to prove.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import Pyro5
from Pyro5 import errors as pyro_errors

from masterworker.errors import TransportError, UsageError
from masterworker.transport.address import (
    NAME_PREFIX,
    Address,
    check_label,
    label_of,
    object_name,
    parse,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from Pyro5.client import Proxy

#: Seconds for a call to the name server.
TIMEOUT = 3.0
#: No name of a host has more characters.
LONGEST_HOST = 255


class NameServer:
    """The name server that Pyro is configured for: PYRO_NS_HOST and PYRO_NS_PORT, else local.

    No broadcasts: an answer from anywhere in the network would be believed.
    """

    def __init__(self) -> None:
        self.host, self.port = Pyro5.config.NS_HOST or "localhost", int(Pyro5.config.NS_PORT)
        self.where = str(Address(self.host, self.port))
        self._uri = f"PYRO:Pyro.NameServer@{self.where}"

    @contextlib.contextmanager
    def _proxy(self) -> Iterator[Proxy]:
        from Pyro5.client import Proxy  # the half of Pyro that nothing else here needs

        try:
            with Proxy(self._uri) as proxy:
                proxy._pyroTimeout = TIMEOUT
                proxy._pyroSerializer = "msgpack"  # an answer in another one is refused
                yield proxy
        except (pyro_errors.CommunicationError, OSError) as error:
            raise TransportError(f"no name server answers at {self.where}") from error
        except (Exception, SystemExit) as error:
            if isinstance(error, SystemExit) and not _is_from_there(error):
                raise
            raise TransportError(f"the name server at {self.where} answers nonsense") from error

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
            entries = proxy.list(prefix=NAME_PREFIX)
        found = {}
        for name, uri in entries.items() if isinstance(entries, dict) else ():
            label, address = label_of(str(name)), _address(str(uri))
            if label is not None and address is not None and _can_be_used(label):
                found[label] = address
        return found


def _is_from_there(error: BaseException) -> bool:
    """Tell whether the name server has raised it: Pyro does it again here, whatever it is."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    return place is not None and place.tb_frame.f_globals.get("__name__") == "Pyro5.client"


def _address(uri: str) -> Address | None:
    """Return an address that anybody may have entered; None: it is none."""
    from Pyro5.core import URI

    try:
        parsed = URI(uri)
        host = parsed.host or ""
        usable = 0 < len(host) <= LONGEST_HOST and host.isprintable()
        return parse(str(Address(host, parsed.port))) if usable else None
    except (pyro_errors.PyroError, UsageError, ValueError):
        return None


def _can_be_used(label: str) -> bool:
    try:
        return bool(check_label(label))
    except UsageError:
        return False


def serve(host: str, port: int | None, ready: Callable[[str], None]) -> None:
    """Be a name server until Ctrl-C. It answers no broadcasts.

    Args:
        host: The address to listen at.
        port: The port; None: Pyro's own (9090, or PYRO_NS_PORT).
        ready: Is told where it listens.

    Raises:
        OSError: It cannot listen there.
    """
    from Pyro5.nameserver import start_ns

    _, daemon, _ = start_ns(host, port, enableBroadcast=False)
    try:
        ready(daemon.locationStr)
        daemon.requestLoop()
    finally:
        daemon.close()
