"""Being a name server: a directory of names that a client of Pyro's can fill and ask.

Pyro's own can be ended by whoever reaches it, with a message of 53 bytes: it decodes marshal, which
is not made for strangers. It can be held by a regular expression, by slow connections, and filled
without bound. This one understands msgpack alone, only what a directory needs, and only so much.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import Pyro5
from Pyro5 import protocol

from masterworker.transport.address import Address
from masterworker.transport.pyro import frames
from masterworker.transport.pyro.header import MSGPACK
from masterworker.transport.pyro.names import LARGEST, split_uri

if TYPE_CHECKING:
    from collections.abc import Callable

#: Connections at a time. When there are more, the oldest is dropped: whoever is honest is
#: through within milliseconds.
CONNECTIONS: Final = 64
#: Seconds for a client to say the next thing, all of it.
PATIENCE: Final = 30.0
#: Bytes of the longest request.
LARGEST_REQUEST: Final = 1 << 14
#: Characters of the longest name and the longest address: a label has 200, each of which may be
#: quoted as four bytes.
LONGEST: Final = 3000
#: Bytes that all entries take in an answer together; it has to be one that can be read.
ROOM: Final = LARGEST - (1 << 12)
#: What msgpack adds to the two texts of an entry, at most.
_MARKS: Final = 8
#: Seconds until it is tried again to accept connections, where the system has no more of them.
_PAUSE: Final = 0.1

_JSON: Final = 3
#: Every client of Pyro's can read it, whatever it has tried to speak itself.
_ONLY_MSGPACK: Final = (
    b'"this name server understands msgpack only: set PYRO_SERIALIZER=msgpack, and install the '
    b'package msgpack"'
)

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST)]
_Scalar = str | bool | int | None
_encoded = msgspec.msgpack.Encoder().encode


class _Hello(msgspec.Struct):
    object: str


class _Ping(msgspec.Struct, forbid_unknown_fields=True):
    pass


class _Count(msgspec.Struct, forbid_unknown_fields=True):
    pass


class _Lookup(msgspec.Struct, forbid_unknown_fields=True):
    name: _Text
    return_metadata: bool = False


class _Register(msgspec.Struct, forbid_unknown_fields=True):
    name: _Text
    uri: _Text
    safe: bool = False
    metadata: None = None


class _Remove(msgspec.Struct, forbid_unknown_fields=True):
    name: _Text | None = None


class _List(msgspec.Struct, forbid_unknown_fields=True):
    prefix: str | None = None
    regex: None = None
    return_metadata: bool = False


_Request = tuple[str, str, list[_Scalar], dict[str, _Scalar]]
_read_hello = msgspec.msgpack.Decoder(_Hello).decode
_read_request = msgspec.msgpack.Decoder(_Request).decode
#: What can be called, and the arguments that it takes, which are those of Pyro's name server.
_METHODS: Final[dict[str, type[msgspec.Struct]]] = {
    "ping": _Ping,
    "count": _Count,
    "lookup": _Lookup,
    "register": _Register,
    "remove": _Remove,
    "list": _List,
}


class Refused(Exception):
    """What is told to a client as an exception.

    Args:
        kind: Its class over there.
        text: Says what is wrong.
    """

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class Directory:
    """Names and addresses. Safe for several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: dict[str, str] = {}
        self._taken = 0

    def call(self, method: str, args: list[_Scalar], more: dict[str, _Scalar]) -> Any:
        """Carry out what a client asks for.

        Raises:
            Refused: There is no such method, it takes other arguments, or it cannot be done.
        """
        shape = _METHODS.get(method)
        if shape is None:
            raise Refused("builtins.AttributeError", "this name server has no such method")
        fields = shape.__struct_fields__
        given = dict(zip(fields, args, strict=False))
        if len(args) > len(fields) or given.keys() & more.keys():
            raise Refused("builtins.TypeError", "these are too many arguments")
        try:
            asked = msgspec.convert(given | more, shape)
        except ValueError as error:
            raise Refused(
                "builtins.TypeError", f"this name server cannot do that: {error}"
            ) from None
        with self._lock:
            return getattr(self, f"_{method}")(asked)

    def _ping(self, _: _Ping) -> None:
        pass

    def _count(self, _: _Count) -> int:
        return len(self._entries)

    def _lookup(self, asked: _Lookup) -> Any:
        found = split_uri(self._entries.get(asked.name, ""))
        if found is None:
            raise Refused("Pyro5.errors.NamingError", "unknown name")
        name, address = found
        state = ("PYRO", name, None, address.host, address.port)
        place = {"__class__": "Pyro5.core.URI", "state": state}
        return (place, ()) if asked.return_metadata else place

    def _register(self, asked: _Register) -> None:
        if split_uri(asked.uri) is None:
            raise Refused("Pyro5.errors.PyroError", "an address is PYRO:object@host:port")
        if not (asked.name + asked.uri).isprintable():  # they are shown in terminals
            raise Refused("Pyro5.errors.PyroError", "no control characters, please")
        if asked.safe and asked.name in self._entries:
            raise Refused("Pyro5.errors.NamingError", "name already registered")
        old = self._entries.get(asked.name)
        taken = self._taken + _room(asked.name, asked.uri)
        taken -= _room(asked.name, old) if old is not None else 0
        if taken > ROOM:
            raise Refused("Pyro5.errors.NamingError", "this name server is full")
        self._entries[asked.name], self._taken = asked.uri, taken

    def _remove(self, asked: _Remove) -> int:
        uri = self._entries.pop(asked.name or "", None)
        if uri is None:
            return 0
        self._taken -= _room(asked.name or "", uri)
        return 1

    def _list(self, asked: _List) -> Any:
        prefix = asked.prefix or ""
        found = {name: uri for name, uri in self._entries.items() if name.startswith(prefix)}
        if asked.return_metadata:
            return {name: (uri, ()) for name, uri in found.items()}
        return found


def _room(name: str, uri: str) -> int:
    return len(name.encode()) + len(uri.encode()) + _MARKS


class _Visitors:
    """The open connections, oldest first. Safe for several threads."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._open: dict[socket.socket, None] = {}

    def welcome(self, sock: socket.socket) -> None:
        """Serve a connection in a thread of its own."""
        with self._lock:
            if len(self._open) >= CONNECTIONS:
                oldest = next(iter(self._open))
                del self._open[oldest]
                with contextlib.suppress(OSError):  # it is gone already; its thread closes it
                    oldest.shutdown(socket.SHUT_RDWR)
            self._open[sock] = None
        thread = threading.Thread(
            target=self._serve, args=(sock,), name="masterworker-directory", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # the system has no more threads
            self._leave(sock)

    def _serve(self, sock: socket.socket) -> None:
        try:
            # Whatever a client does, it ends its own connection at most.
            with contextlib.suppress(OSError, frames.NonsenseError):
                _converse(frames.Line(sock, 0.0), self._directory)
        finally:
            self._leave(sock)

    def _leave(self, sock: socket.socket) -> None:
        with self._lock:
            self._open.pop(sock, None)
            sock.close()  # under the lock: nobody may shut down a number that is used again


def _converse(line: frames.Line, directory: Directory) -> None:
    """Let a client in, and answer it until it hangs up, falls silent, or says nonsense."""
    number, body = _next(line, protocol.MSG_CONNECT)
    try:
        known = _read_hello(body).object == frames.NAME_SERVER
    except (ValueError, RecursionError):
        known = False
    if not known:
        line.send(protocol.MSG_CONNECTFAIL, number, "there is a name server here, nothing else")
        return
    meta = {"methods": list(_METHODS), "oneway": [], "attrs": []}
    line.send(protocol.MSG_CONNECTOK, number, {"handshake": "hello", "meta": meta})
    while True:
        number, body = _next(line, protocol.MSG_INVOKE)
        flags, answer = _answer(directory, body)
        line.send_encoded(protocol.MSG_RESULT, number, answer, flags, MSGPACK)


def _next(line: frames.Line, kind: int) -> tuple[int, bytearray]:
    line.end = time.monotonic() + PATIENCE
    head = line.receive_head(LARGEST_REQUEST)
    if head.kind == protocol.MSG_CONNECT and head.serializer != MSGPACK:
        line.receive_body(head)  # what is left unread would reset the connection
        line.send_encoded(protocol.MSG_CONNECTFAIL, head.number, _ONLY_MSGPACK, 0, _JSON)
    if head.kind != kind or not head.is_plain:
        raise frames.NonsenseError(f"message of type {head.kind}")
    return head.number, line.receive_body(head)


def _answer(directory: Directory, body: bytearray) -> tuple[int, bytes]:
    """Return the flags and the body of the reply to a request."""
    try:
        return 0, _encoded(directory.call(*_understand(body)))
    except Refused as refused:
        told = {
            "__class__": refused.kind,
            "__exception__": True,
            "args": [str(refused)],
            "attributes": {},
        }
        return protocol.FLAGS_EXCEPTION, _encoded(told)


def _understand(body: bytearray) -> tuple[str, list[_Scalar], dict[str, _Scalar]]:
    try:
        request: _Request = _read_request(body)
    except (ValueError, RecursionError):
        raise Refused("builtins.TypeError", "arguments are texts here, and flags") from None
    if request[0] != frames.NAME_SERVER:
        raise Refused("Pyro5.errors.DaemonError", "unknown object")
    return request[1:]


def serve(host: str, port: int | None, ready: Callable[[str], None]) -> None:
    """Be a name server until Ctrl-C. It answers no broadcasts.

    Args:
        host: The address to listen at.
        port: The port; 0: any; None: Pyro's own (9090, or PYRO_NS_PORT).
        ready: Is told where it listens.

    Raises:
        OSError: It cannot listen there.
        ValueError: No host can have this name.
    """
    visitors = _Visitors(Directory())
    with _listen(host, int(Pyro5.config.NS_PORT) if port is None else port) as listener:
        ready(str(Address(host, listener.getsockname()[1])))
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                try:
                    sock, _ = listener.accept()
                except OSError:  # hung up already, or the system has no more of them
                    threading.Event().wait(_PAUSE)
                else:
                    visitors.welcome(sock)


def _listen(host: str, port: int) -> socket.socket:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # As Pyro does: where a name has addresses of both kinds, most clients try this one.
    family, _, _, _, place = min(found, key=lambda info: info[0] != socket.AF_INET)
    return socket.create_server(place[:2], family=family)
