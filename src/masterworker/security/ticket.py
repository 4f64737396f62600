"""Portable tickets: one line of text with which a worker joins one job from anywhere.

A ticket holds where the master listens and a key of its own that is good for that job alone, for
a limited time. Any process with the line can join: it travels in private files and through pipes.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import os
import re
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, NoReturn

import msgspec

from masterworker.errors import CredentialError, UsageError
from masterworker.security import credentials, pem
from masterworker.security.credentials import Credential
from masterworker.security.peer import Role
from masterworker.security.private import LIMIT, read_private

TICKET_VARIABLE = "MASTERWORKER_TICKET"
LONGEST = dt.timedelta(days=366)
_PREFIX = "mw1."
_SOME_VERSION = re.compile(r"mw([0-9]{1,9})\.")
_CHECKSUM = 4  # bytes

_Hexadecimal = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]+\Z")]
_Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
_Time = Annotated[int, msgspec.Meta(ge=0, le=253402300799)]  # seconds; the end of the year 9999


class _Content(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """What is in the text, in this order. Changes need another prefix."""

    label: str
    job: _Hexadecimal
    role: Role
    addresses: Annotated[list[tuple[str, _Port]], msgspec.Meta(min_length=1)]
    expires: _Time
    key: bytes
    certificate: bytes
    authority: bytes


@dataclass(frozen=True, slots=True, repr=False)
class Ticket:
    """Leave to join one job from anywhere, for some time. It is a secret.

    Attributes:
        label: Label of the master.
        job: Random id of the job that it is good for.
        role: What its owner may be.
        addresses: Where the master listens: hosts and ports, the most promising first.
        expires: When it ends (seconds since 1970).
        credential: What its owner proves with that it has it.
    """

    label: str
    job: str
    role: Role
    addresses: tuple[tuple[str, int], ...]
    expires: float
    credential: Credential

    def __repr__(self) -> str:
        places = ", ".join(f"{host}:{port}" for host, port in self.addresses)
        return f"Ticket({self.label!r}, {self.role} at {places}, until {_date(self.expires)})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a ticket is a secret and cannot be pickled")

    def text(self) -> str:
        """Return the ticket as one line, about 1,400 characters. It is a secret."""
        key, certificate = pem.split(self.credential.chain)
        content = msgspec.msgpack.encode(
            _Content(
                self.label,
                self.job,
                self.role,
                list(self.addresses),
                int(self.expires),
                key,
                certificate,
                pem.certificate_of(self.credential.authority),
            )
        )
        encoded = base64.urlsafe_b64encode(content + _checksum(content))
        return _PREFIX + encoded.decode().rstrip("=")

    def require_valid(self, now: float) -> None:
        """Check that it has not expired.

        Args:
            now: The time of day (seconds since 1970).

        Raises:
            CredentialError: It has.
        """
        if now >= self.expires:
            raise CredentialError(
                f"this ticket for {self.label!r} was valid until {_date(self.expires)}, and the "
                f"clock here says {_date(now)}: ask for a new one: "
                f"task_manager ticket {self.label!r} --out FILE"
            )


def issue(
    label: str,
    job: str,
    addresses: list[tuple[str, int]] | tuple[tuple[str, int], ...],
    *,
    role: Role = Role.WORKER,
    valid: dt.timedelta,
) -> Ticket:
    """Make a ticket, signed by this user's authority.

    Args:
        label: Label of the master.
        job: Random id of the job that it is good for, hexadecimal.
        addresses: Where the master listens, as its users see them.
        role: What its owner may be: a worker or an observer.
        valid: How long it is valid from now on, 366 days at most.

    Raises:
        UsageError: Something of this cannot be in a ticket.
        CredentialError: The authority cannot be used.
    """
    if role is Role.MASTER:
        raise UsageError("a ticket is for workers and observers; a master needs authority.pem")
    if not dt.timedelta(0) < valid <= LONGEST:
        raise UsageError(f"a ticket is valid for a second to {LONGEST.days} days, not for {valid}")
    if not job:
        raise UsageError("a ticket is for one job, and needs its id")
    if not addresses:
        raise UsageError("a ticket needs an address at which the master listens")
    from masterworker.security import certificates

    signer = credentials.authority()
    chain = certificates.issue(signer, role, job, valid, credentials.now())
    trusted = pem.certificate_block(pem.certificate_of(signer))
    expires = certificates.expiry(chain).timestamp()
    credential = Credential(role, job, chain, trusted)
    ticket = Ticket(label, job, role, tuple(addresses), expires, credential)
    if not _survives(ticket):
        raise UsageError("the label or an address is not one that a ticket can hold")
    return ticket


def _survives(ticket: Ticket) -> bool:
    try:
        return parse(ticket.text()) == ticket
    except (CredentialError, UnicodeEncodeError, OverflowError):
        return False


def parse(text: str) -> Ticket:
    """Return the ticket that a text holds. Spaces and line breaks in it do no harm.

    Raises:
        CredentialError: It holds none, or only a part of one.
    """
    line = "".join(text[: LIMIT + 1].split())
    if len(text) > LIMIT or (found := _SOME_VERSION.match(line)) is None:
        raise CredentialError("not a ticket: one is a line that starts with mw1.")
    if int(found[1]) > 1:
        raise CredentialError("a ticket of a newer version: update masterworker here")
    content = _decoded(line.removeprefix(_PREFIX))
    try:
        known = msgspec.msgpack.decode(content, type=_Content)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise CredentialError("not a ticket: its content is not that of one") from None
    if known.role is Role.MASTER:
        raise CredentialError("not a ticket: tickets are for workers and observers")
    credential = Credential(
        known.role,
        known.job,
        pem.join(known.key, known.certificate),
        pem.certificate_block(known.authority),
    )
    addresses = tuple(known.addresses)
    return Ticket(known.label, known.job, known.role, addresses, float(known.expires), credential)


def _decoded(encoded: str) -> bytes:
    try:
        padded = encoded + "=" * (-len(encoded) % 4)
        whole = base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError):
        whole = b""
    content, checksum = whole[:-_CHECKSUM], whole[-_CHECKSUM:]
    if not content or checksum != _checksum(content):
        raise CredentialError("the ticket is incomplete or mistyped: copy the whole line")
    return content


def _checksum(content: bytes) -> bytes:
    """Return a checksum against bad copies. Protection is what the certificates are for."""
    return zlib.crc32(content).to_bytes(_CHECKSUM, "big")


def read(source: str) -> Ticket:
    """Read a ticket from a private file, or, as "-", from a line of standard input.

    Raises:
        CredentialError: There is none, others can read the file, or `source` is itself a ticket.
    """
    if _SOME_VERSION.match(source.lstrip()):
        raise CredentialError(
            "a ticket is a secret, and command lines can be read by all users of this machine: "
            "give it in a file, or on standard input with --ticket -"
        )
    if source != "-":
        return parse(_text_in(Path(source)))
    if sys.stdin is None:
        raise CredentialError("no ticket on standard input: it is closed")
    try:
        line = sys.stdin.readline(LIMIT + 1)
    except (OSError, UnicodeDecodeError):
        raise CredentialError("no ticket on standard input: it cannot be read") from None
    if not line.strip():
        raise CredentialError("no ticket on standard input: its first line is empty")
    return parse(line)


def _text_in(path: Path) -> str:
    return read_private(path).decode("utf-8", "replace")


class _OfProcess:
    """The ticket that this process was started with, if it was.

    There is one for each process, since its programs name the label of their job alone.
    """

    ticket: Ticket | None = None


_of_process: Final = _OfProcess()


def hold(ticket: Ticket | None) -> None:
    """Keep the ticket that this process was started with, for later connections. None: none."""
    _of_process.ticket = ticket


def held(label: str) -> Ticket | None:
    """Return the ticket that this process was started with, if it is for this label.

    The first call also reads the file that MASTERWORKER_TICKET names, unless one is held.

    Raises:
        CredentialError: That file cannot be used.
    """
    if _of_process.ticket is None and (named := os.environ.get(TICKET_VARIABLE)):
        if _SOME_VERSION.match(named.lstrip()):
            raise CredentialError(f"a ticket is a secret: {TICKET_VARIABLE} names a file with it")
        hold(parse(_text_in(Path(named))))
    ticket = _of_process.ticket
    return ticket if ticket is not None and ticket.label == label else None


def _date(time: float) -> str:
    return dt.datetime.fromtimestamp(time, dt.UTC).strftime("%Y-%m-%d %H:%M UTC")
