"""The addresses of this machine: where a master listens, and what it is called from elsewhere."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import TYPE_CHECKING, Final

from masterworker.checking import whole_number
from masterworker.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LOOPBACK: Final = "127.0.0.1"
#: Not reached from outside this machine.
LOCAL: Final = frozenset({LOOPBACK, "::1", "localhost"})
#: These stand for all addresses of this machine.
ANY: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104  only when the user says so

#: Environment variables, for programs whose calls have no room for it.
HOST: Final = "MASTERWORKER_HOST"
PORTS: Final = "MASTERWORKER_PORTS"


def hosts_to_listen_at(host: str | None, directory: tuple[str, int] | None) -> tuple[str, ...]:
    """Choose where a master listens.

    Args:
        host: What the program says: one address or name of this machine, or several with commas
            in between; None: MASTERWORKER_HOST, if it is set.
        directory: Host and port of the name server that the label is entered in, if it is.

    Returns:
        What was said; else, where the name server is on another machine, the address from which
        this machine reaches it; else loopback.
    """
    chosen = os.environ.get(HOST, "") if host is None else host
    hosts = tuple(filter(None, (name.strip() for name in chosen.split(","))))
    if hosts:
        return hosts
    if host is not None:
        raise UsageError("host is empty: name an address of this machine, or leave it out")
    if directory is not None and directory[0] not in LOCAL:
        return (address_towards(*directory) or LOOPBACK,)
    return (LOOPBACK,)


def ports_to_try(ports: Sequence[int]) -> Sequence[int]:
    """Return the ports of MASTERWORKER_PORTS ("7800" or "7800-7900"), if it is set, else these.

    Raises:
        UsageError: It is set to something else.
    """
    text = os.environ.get(PORTS, "").strip()
    if not text:
        try:
            given = list(ports)
        except TypeError:
            raise UsageError(f"ports must be several, as in ports=[7800], not {ports!r}") from None
        what = "a port must be a number from 0 to 65,535"
        return [whole_number(port, what, 0, 65535) for port in given]
    first, _, last = text.partition("-")
    try:
        low, high = int(first), int(last or first)
    except ValueError:
        low, high = 0, -1
    if not 0 < low <= high < 65536:
        raise UsageError(f"{PORTS} is {text!r}: write one port or a range, as in 7800-7900")
    return range(low, high + 1)


def addresses(hosts: Iterable[str]) -> tuple[str, ...]:
    """Return what others can connect to, where a master listens at these hosts.

    For "0.0.0.0" and "::" these are all addresses of this machine's networks, loopback last.
    """
    found: dict[str, None] = {}
    for host in hosts:
        found.update(dict.fromkeys(_all_addresses(host) if host in ANY else [host]))
    return tuple(found)


def is_local(host: str) -> bool:
    """Return whether this address or name is out of reach from outside this machine.

    The own name of a machine may stand for 127.0.1.1, as Debian's does.
    """
    if host in LOCAL:
        return True
    import ipaddress  # only needed for tickets

    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    return all(ipaddress.ip_address(str(place[0])).is_loopback for *_, place in found)


def _all_addresses(wildcard: str) -> list[str]:
    try:
        import psutil
    except ImportError:
        raise UsageError(
            f"to listen at all addresses ({wildcard}) takes psutil, which finds them: "
            "pip install 'masterworker[network]', or name the addresses"
        ) from None
    families = {socket.AF_INET} if wildcard == "0.0.0.0" else {socket.AF_INET, socket.AF_INET6}  # noqa: S104
    found = [
        address.address
        for name in sorted(psutil.net_if_addrs())
        for address in psutil.net_if_addrs()[name]
        if address.family in families and "%" not in address.address  # not those of one cable only
    ]
    return sorted(found, key=lambda address: address in LOCAL)


def address_towards(host: str, port: int) -> str | None:
    """Return the address of this machine from which another one is reached. Sends nothing."""
    with contextlib.suppress(OSError):
        for family, kind, _, _, there in socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM):
            with contextlib.suppress(OSError), socket.socket(family, kind) as probe:
                probe.connect(there)
                return str(probe.getsockname()[0])
    return None
