"""Which kind of link a socket becomes."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, cast

from masterworker.transport.pyro.link import PrivateLink

if TYPE_CHECKING:
    import ssl

    from masterworker.transport.pyro.link import Link


def link_over(sock: socket.socket, timeout: float, *, patient: bool) -> Link:
    """Make the link of a connected socket; arguments as of `Link`."""
    if sock.family == socket.AF_UNIX:
        return PrivateLink(sock, timeout, patient=patient)
    # Most jobs are of one machine, and never load TLS.
    from masterworker.transport.pyro.tls_link import TlsLink

    return TlsLink(cast("ssl.SSLSocket", sock), timeout, patient=patient)
