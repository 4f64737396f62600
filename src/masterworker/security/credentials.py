"""The user's own credentials: with these, all jobs of one user trust each other.

They are files in one private folder. `authority.pem` is made at first use and signs all others;
copied to another machine, it makes the jobs there and here trust each other. The others are
copies that save the 60 ms of making them, and are made anew when need be.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from masterworker.errors import CredentialError, TransportError
from masterworker.security import pem
from masterworker.security.private import (
    create_private,
    private_folder,
    read_private,
    write_private,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from masterworker.security.peer import Role

FOLDER_VARIABLE = "MASTERWORKER_CREDENTIALS"
LIFE = dt.timedelta(days=30)
#: A certificate that ends sooner is replaced, so that no job starts with one that ends soon.
RENEWED = dt.timedelta(days=15)
#: One that ends later was made while the clock was ahead, and is not valid yet.
LATEST = LIFE + dt.timedelta(days=1)
_HEADER = b"masterworker 1"

#: The time of day, for what is valid from when to when. Tests put another one here.
clock: Callable[[], float] = time.time


@dataclass(frozen=True, slots=True, repr=False)
class Credential:
    """What a process proves its identity with, and by which it knows its own side.

    It is a secret: it is shown without its content, and refuses to be pickled.

    Attributes:
        role: What its owner may be.
        job: Id of the one job that it is good for; "" means all of this user.
        chain: Key and certificate, as PEM.
        authority: Certificate of the authority that signs both sides', as PEM.
    """

    role: Role
    job: str
    chain: bytes
    authority: bytes

    def __repr__(self) -> str:
        return f"Credential(role={str(self.role)!r}, job={self.job!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a credential is a secret and cannot be pickled")


def credentials_folder() -> Path:
    """Return the private folder of this user's keys, made if need be.

    MASTERWORKER_CREDENTIALS names another one; else it is below XDG_CONFIG_HOME or ~/.config.

    Raises:
        CredentialError: It cannot be made, belongs to another user, or others can enter it.
    """
    chosen = os.environ.get(FOLDER_VARIABLE)
    try:
        if chosen:
            return private_folder(Path(chosen).absolute(), named=True)
        return private_folder(_usual_folder())
    except TransportError as error:
        raise CredentialError(f"{error} ({FOLDER_VARIABLE} can name another folder)") from None


def _usual_folder() -> Path:
    settings = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    if settings.is_absolute():  # others are to be ignored, says its specification
        return settings / "masterworker"
    try:
        return Path.home() / ".config" / "masterworker"
    except RuntimeError:
        raise CredentialError("this user has no home folder to keep keys in") from None


def authority() -> bytes:
    """Return the PEM of the user's authority, key and certificate, made at first use.

    Raises:
        CredentialError: It cannot be made, or what is there is unsafe.
    """
    path = credentials_folder() / "authority.pem"
    if os.path.lexists(path):
        kept = read_private(path)
        try:
            pem.split(kept)
        except CredentialError:
            raise _damaged() from None
        return kept
    from masterworker.security import certificates

    return create_private(path, certificates.make_authority(now()))


def user_credential(role: Role) -> Credential:
    """Return this user's own credential for a role, good for all jobs of the user.

    It costs 1 ms when the one that is kept is good for 15 days more, else 60 ms.

    Raises:
        CredentialError: A key is unsafe, damaged, or not valid by this machine's clock.
    """
    signer = authority()
    try:
        trusted = pem.certificate_of(signer)
    except CredentialError:
        raise _damaged() from None
    path = credentials_folder() / f"{role}.pem"
    chain = _kept(path, trusted)
    if chain is None:
        chain = _issued(signer, role)
        # where it cannot be kept, it is made anew each time
        with contextlib.suppress(CredentialError):
            write_private(path, _header(_expiry(chain), trusted, chain) + chain)
    return Credential(role, "", chain, pem.certificate_block(trusted))


def now() -> dt.datetime:
    """Return the time of day."""
    return dt.datetime.fromtimestamp(clock(), dt.UTC)


def _issued(signer: bytes, role: Role) -> bytes:
    from masterworker.security import certificates

    return certificates.issue(signer, role, "", LIFE, now())


def _expiry(chain: bytes) -> int:
    from masterworker.security import certificates

    return int(certificates.expiry(chain).timestamp())


def _kept(path: Path, trusted: bytes) -> bytes | None:
    """Return what is kept, if it is whole, of this authority, and good for long enough."""
    if not os.path.lexists(path):
        return None
    header, _, chain = read_private(path).partition(b"\n")
    words = header.split()
    if len(words) < 3 or not words[-2].isdigit():
        return None
    expires = int(words[-2][:20])
    if header + b"\n" != _header(expires, trusted, chain):
        return None
    left = expires - clock()
    return chain if RENEWED.total_seconds() < left <= LATEST.total_seconds() else None


def _header(expires: int, trusted: bytes, chain: bytes) -> bytes:
    """Say in front of a certificate what could else be read only with `cryptography`.

    The file is the user's alone, so the line is as good as the key below it. Readers of PEM skip
    what stands before the first block.
    """
    digest = hashlib.sha256(b"%d %b %b" % (expires, trusted, chain)).hexdigest()
    return b"%b %d %b\n" % (_HEADER, expires, digest.encode())


def _damaged() -> CredentialError:
    path = credentials_folder() / "authority.pem"
    return CredentialError(
        f"{path} is damaged: copy it from where it is whole, or remove it, and restart your jobs"
    )
