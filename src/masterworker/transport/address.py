"""Where a master listens: a host and port, a Unix-domain socket, or both."""

from __future__ import annotations

import re

from masterworker.errors import UsageError
from masterworker.named import NamedTuple

#: Where a master without a name server listens, if it can; it goes up from here ...
DEFAULT_PORT = 7766
#: ... to this port.
LAST_PORT = 7866
#: What this system's masters are called in a Pyro name server: this, then the label.
NAME_PREFIX = "TaskManager."

#: What stands for itself in the name of an object; all else is quoted as in URLs.
_UNSAFE = re.compile(r"[^A-Za-z0-9:.\-_+,=~]")
_HOST_PORT = re.compile(r"(?:\[(?P<v6>[^\]]+)\]|(?P<host>[^:\[\]\s]+))(?::(?P<port>\d{1,5}))?")


class Address(NamedTuple):
    """One place to connect to.

    Attributes:
        host: Name or number of a host; "" where there is only the socket.
        port: TCP port.
        socket: Path of a Unix-domain socket on this machine; "" for none. Preferred.
    """

    host: str = ""
    port: int = 0
    socket: str = ""

    def __str__(self) -> str:
        if not self.host:
            return self.socket
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse(text: str, port: int = DEFAULT_PORT) -> Address:
    """Read "host" or "host:port"; an IPv6 number stands in brackets.

    Args:
        text: What to read.
        port: The port if the text names none.

    Raises:
        UsageError: It is neither.
    """
    found = _HOST_PORT.fullmatch(text.strip())
    port = int(found["port"] or port or DEFAULT_PORT) if found else 0
    if found is None or not 0 < port < 65536:
        raise UsageError(f"{text!r} is not an address: write HOST or HOST:PORT, as in lab3:7766")
    return Address(found["v6"] or found["host"], port)


def object_name(label: str) -> str:
    """Name of a label's Pyro object. Characters that Pyro's addresses cannot hold are quoted."""
    return NAME_PREFIX + _UNSAFE.sub(_quoted, label)


def label_of(name: str) -> str | None:
    """Return the label that an object's name stands for; None: it is none of ours."""
    if not name.startswith(NAME_PREFIX):
        return None
    from urllib.parse import unquote  # only needed to list labels

    return unquote(name[len(NAME_PREFIX) :])


def _quoted(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode())


def check_label(label: object) -> str:
    """Return a label that can be used.

    Raises:
        UsageError: It is not text, is empty, or holds line breaks or other control characters.
    """
    if not isinstance(label, str) or not label.strip():
        raise UsageError(f"a label must be a text that is not empty, not {label!r}")
    if any(not c.isprintable() for c in label) or len(label) > 200:
        raise UsageError(
            f"label {label[:50]!r} cannot be used: no line breaks or other control characters, "
            "and 200 characters at most"
        )
    return label
