"""The Pyro name server: a directory of labels, used where one runs and never relied upon.

It knows no authentication: any client can enter anything, and any process may have taken its
place. So it only says where a master may be; whether it is one of ours, its gate has to prove. Of
what it answers, only declared shapes are understood. Nothing is rebuilt, inflated or waited for.
"""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import Pyro5
from Pyro5 import protocol

from masterworker.deadline import Deadline
from masterworker.errors import TransportError, UsageError
from masterworker.transport.address import (
    NAME_PREFIX,
    Address,
    check_label,
    label_of,
    object_name,
    parse,
)
from masterworker.transport.pyro import frames

if TYPE_CHECKING:
    from collections.abc import Iterator

    from masterworker.transport.pyro.header import Head

#: Seconds for all that is asked of the name server at a time.
TIMEOUT = 3.0
#: Bytes of the longest answer.
LARGEST: Final = 1 << 20
#: No name of a host has more characters.
LONGEST_HOST: Final = 255

_PYRO: Final = "PYRO"
#: Names of classes in messages; nothing else of them is ever shown.
_CLASS = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,79}")


class _Place(msgspec.Struct, tag_field="__class__", tag="Pyro5.core.URI"):
    """Where an object is: protocol, object or tags, path of a socket, host, port."""

    state: tuple[str, str | list[str], str | None, str | None, int | None]


class _Raised(msgspec.Struct):
    """An exception of the name server. It is not rebuilt: its class's name is all that counts."""

    kind: Annotated[str, msgspec.Meta(max_length=200)] = msgspec.field(name="__class__")


_place = msgspec.json.Decoder(_Place)
_raised = msgspec.json.Decoder(_Raised)
_entries = msgspec.json.Decoder(dict[str, str])  # hashes of texts cannot be made to collide
_number = msgspec.json.Decoder(int)
_nothing = msgspec.json.Decoder(None)


class _RefusedError(TransportError):
    """The name server has raised an exception."""

    def __init__(self, where: str, kind: str) -> None:
        known = kind if _CLASS.fullmatch(kind) else "something nameless"
        super().__init__(f"the name server at {where} refuses this ({known})")
        self.is_unknown = kind.rpartition(".")[2] == "NamingError"


class NameServer:
    """The name server that Pyro is configured for: PYRO_NS_HOST and PYRO_NS_PORT, else local.

    No broadcasts: an answer from anywhere in the network would be believed.
    All methods take 3 s at most and raise `TransportError` where it does not answer, or not as a
    name server does. Safe for several threads: each call has a connection of its own.
    """

    def __init__(self) -> None:
        self.host, self.port = Pyro5.config.NS_HOST or "localhost", int(Pyro5.config.NS_PORT)
        self._address = Address(self.host, self.port)
        self.where = str(self._address)

    def register(self, label: str, uri: str) -> None:
        """Enter a label, in place of an older entry."""
        with self._conversation() as talk:
            talk.call(_nothing, "register", object_name(label), uri, safe=False)

    def lookup(self, label: str) -> Address | None:
        """Return where a label's master is said to be; None: the name server does not know it."""
        with self._conversation() as talk:
            return _usable(*_lookup(talk, label)[-2:])

    def remove(self, label: str, uri: str) -> None:
        """Take a label out, unless another process has entered it meanwhile."""
        with self._conversation() as talk:
            kind, name, _, host, port = _lookup(talk, label)
            if f"{kind}:{name}@{Address(host or '', port or 0)}" == uri:
                talk.call(_number, "remove", object_name(label))

    def labels(self) -> dict[str, Address]:
        """Return all labels and where their masters are said to be."""
        with self._conversation() as talk:
            entries: dict[str, str] = talk.call(_entries, "list", prefix=NAME_PREFIX)
        found = {}
        for name, uri in entries.items():
            label, address = label_of(name), _address(uri)
            if label is not None and address is not None and _can_be_used(label):
                found[label] = address
        return found

    @contextlib.contextmanager
    def _conversation(self) -> Iterator[_Conversation]:
        try:
            with frames.connect(self._address, Deadline(TIMEOUT)) as line:
                talk = _Conversation(line, self.where)
                talk.begin()
                yield talk
        except (OSError, ValueError, OverflowError) as error:  # no host or port can be called so
            raise TransportError(f"no name server answers at {self.where}") from error
        except frames.NonsenseError as error:
            raise TransportError(
                f"the name server at {self.where} answers nonsense ({error})"
            ) from None


class _Conversation:
    """Requests and replies, one after the other, as a Pyro name server understands them."""

    def __init__(self, line: frames.Line, where: str) -> None:
        self._line = line
        self._where = where
        self._number = 0

    def begin(self) -> None:
        """Say hello. The answer, which describes what can be called, is not read."""
        hello = {"handshake": "hello", "object": frames.NAME_SERVER}
        self._line.send(protocol.MSG_CONNECT, self._number, hello)
        head = self._line.receive_head(LARGEST)
        if head.kind == protocol.MSG_CONNECTFAIL:  # one that is busy says so with marshal
            raise TransportError(f"the name server at {self._where} lets no client in: is it busy?")
        self._require(head, protocol.MSG_CONNECTOK)
        self._line.receive_body(head)

    def call(self, reply: msgspec.json.Decoder[Any], method: str, *args: Any, **more: Any) -> Any:
        """Call a method.

        Args:
            reply: Decodes what it returns.
            method: Its name.
            args: Its arguments, plain values.
            more: Its named arguments.
        """
        self._number += 1
        request = {
            "object": frames.NAME_SERVER,
            "method": method,
            "params": args,
            "kwargs": more,
        }
        self._line.send(protocol.MSG_INVOKE, self._number, request)
        head = self._line.receive_head(LARGEST)
        refused = head.flags & protocol.FLAGS_EXCEPTION
        self._require(head._replace(flags=head.flags & ~refused), protocol.MSG_RESULT)
        body = self._line.receive_body(head)
        if refused:
            raise _RefusedError(self._where, _decode(_raised, body).kind)
        return _decode(reply, body)

    def _require(self, head: Head, kind: int) -> None:
        if not frames.is_plain(head) or (head.kind, head.number) != (kind, self._number):
            raise frames.NonsenseError(
                f"message of type {head.kind}, number {head.number}, serializer "
                f"{head.serializer}, flags {head.flags:#x}"
            )


def _decode(decoder: msgspec.json.Decoder[Any], body: bytearray) -> Any:
    try:
        return decoder.decode(body)
    except (ValueError, RecursionError):  # their texts could hold what has come
        raise frames.NonsenseError("of another shape than it has to be") from None


_UNKNOWN: Final = ("", "", None, None, None)


def _lookup(
    talk: _Conversation, label: str
) -> tuple[str, str | list[str], str | None, str | None, int | None]:
    """Return the state of an entry; `_UNKNOWN` where there is none."""
    try:
        place: _Place = talk.call(_place, "lookup", object_name(label))
    except _RefusedError as error:
        if error.is_unknown:
            return _UNKNOWN
        raise
    return place.state if place.state[0] == _PYRO else _UNKNOWN


def split_uri(uri: str) -> tuple[str, Address] | None:
    """Return the object and the address of "PYRO:object@host:port"; None: it is no such text.

    Costs time in proportion to the text, also for a hostile one: Pyro's own pattern can take
    the square of that.
    """
    kind, _, rest = uri.partition(":")
    name, _, location = rest.partition("@")
    host, _, port = location.rpartition(":")
    if kind.upper() != _PYRO or not name or not port.isascii() or not port.isdigit():
        return None
    address = _usable(host.removeprefix("[").removesuffix("]"), int(port) if len(port) < 6 else 0)
    return (name, address) if address is not None else None


def _address(uri: str) -> Address | None:
    found = split_uri(uri)
    return found[1] if found is not None else None


def _usable(host: str | None, port: int | None) -> Address | None:
    """Return an address that any client may have entered; None: it is none."""
    if not host or not port or len(host) > LONGEST_HOST or not host.isprintable():
        return None
    try:
        return parse(str(Address(host, port)))
    except UsageError:
        return None


def _can_be_used(label: str) -> bool:
    try:
        return bool(check_label(label))
    except UsageError:
        return False
