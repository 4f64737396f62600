"""How TLS is used: both sides prove their identity, and only the user's authority counts."""

from __future__ import annotations

import contextlib
import os
import re
import ssl
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from masterworker.errors import CredentialError
from masterworker.security.peer import Peer, Role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from masterworker.security.credentials import Credential

_IDENTITY = re.compile(r"masterworker:(master|worker|observer):([0-9a-f]*)")


def server_context(credential: Credential) -> ssl.SSLContext:
    """Return the rules for the side that accepts connections. They may be shared by threads.

    Raises:
        CredentialError: The key or a certificate cannot be read.
    """
    context = _strict(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), credential)
    context.num_tickets = 0  # nothing is resumed: each connection is judged by certificates
    return context


def client_context(credential: Credential) -> ssl.SSLContext:
    """Return the rules for the side that connects. They may be shared by threads.

    A server that refuses our certificate says so only after the client's handshake: the first
    thing that a client does must be to receive.

    Raises:
        CredentialError: The key or a certificate cannot be read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Host names prove nothing here: masters move, and no authority vouches for names. What counts
    # is that our own authority signed the certificate, for a master.
    context.check_hostname = False
    return _strict(context, credential)


def peer_of(sock: ssl.SSLSocket, where: str) -> Peer:
    """Return the identity that the other side has proved.

    Args:
        sock: A connection right after its handshake: once it has failed, it knows no more.
        where: Where the other side is, for messages.

    Raises:
        CredentialError: Its certificate does not say what it may be.
    """
    try:
        shown: dict[str, Any] = dict(sock.getpeercert() or {})
    except ValueError:
        raise CredentialError(f"the handshake with {where} is not done, or has failed") from None
    names = shown.get("subjectAltName", ())
    if len(names) == 1 and (found := _IDENTITY.fullmatch(str(names[0][1]))) is not None:
        end = shown.get("notAfter")
        expires = float(ssl.cert_time_to_seconds(end)) if end else 0.0
        return Peer(Role(found[1]), found[2], where, shown.get("serialNumber", ""), expires)
    raise CredentialError(f"the certificate of {where} does not say which role it is for")


def _strict(context: ssl.SSLContext, credential: Credential) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_NO_TICKET
    try:
        context.load_verify_locations(cadata=credential.authority.decode("ascii"))
        with _as_file(credential.chain) as path:
            # without an answer here, OpenSSL would ask the terminal for a password
            context.load_cert_chain(path, password="")
    except (ssl.SSLError, ValueError):
        raise CredentialError(
            f"the {credential.role}'s key or certificate cannot be read: it is damaged"
        ) from None
    except OSError as error:
        raise CredentialError(f"the key cannot be handed to TLS: {error.strerror}") from None
    return context


@contextlib.contextmanager
def _as_file(secret: bytes) -> Iterator[str]:
    """Give bytes a path for as long as TLS reads them: in memory where the system can do that."""
    if hasattr(os, "memfd_create") and Path("/proc/self/fd").is_dir():
        file = os.memfd_create("masterworker")
        try:
            with os.fdopen(file, "wb", closefd=False) as writer:
                writer.write(secret)
            yield f"/proc/self/fd/{file}"
        finally:
            os.close(file)
    else:
        with tempfile.NamedTemporaryFile(prefix="masterworker-") as named:  # mode 0600
            named.write(secret)
            named.flush()
            yield named.name


def why(error: OSError) -> str:
    """Return, in a sentence for the user, why a handshake or the first receive failed.

    Works on both sides: the one that refused, and the one that was refused.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        message = f"the certificate of the other side is not valid ({error.verify_message})"
        return _WE_REFUSE.get(error.verify_code, message)
    if isinstance(error, TimeoutError):
        return "the other side did not answer in time: it is stopped, overloaded, or unreachable"
    if isinstance(error, ssl.SSLEOFError) or not isinstance(error, ssl.SSLError):
        return _CLOSED
    # newer versions of OpenSSL change the beginnings of these names, not their ends
    reason = (getattr(error, "reason", None) or str(error)).upper().replace(" ", "_")
    for part, sentence in _THEY_REFUSE.items():
        if part in reason:
            return sentence
    return f"no secure connection could be made ({reason.lower().replace('_', ' ')})"


_STRANGER = (
    "the other side belongs to another user or has another authority.pem: "
    "use a ticket, or copy authority.pem from there"
)
_CLOSED = (
    "the other side closed the connection before the two knew each other: "
    "it is ending, has too many callers, or is another program"
)
_NO_TLS = "the other side does not speak TLS: it is another program, or an older masterworker"

#: What we find wrong, by the numbers of OpenSSL's x509_vfy.h.
_WE_REFUSE = {
    7: _STRANGER,  # of the same name, signed by another key
    9: (
        "the certificate of the other side is not valid yet: "
        "the clock of one of the two machines is wrong"
    ),
    10: (
        "the certificate of the other side has expired: restart it, or give it a new ticket; "
        "if it is new, the clock of one of the two machines is wrong"
    ),
    18: _STRANGER,
    19: _STRANGER,
    20: _STRANGER,
    21: _STRANGER,
    26: (
        "the other side is not what it pretends to be: "
        "a worker's certificate cannot act as a master, nor a master's as a worker"
    ),
}

#: What the other side finds wrong, or what it is, by parts of OpenSSL's names for it.
_THEY_REFUSE = {
    "UNKNOWN_CA": _STRANGER,
    "CERTIFICATE_EXPIRED": (
        "the other side says that our certificate has expired: restart this process, or ask for "
        "a new ticket; if it is new, the clock of one of the two machines is wrong"
    ),
    "BAD_CERTIFICATE": (
        "the other side says that our certificate is not valid, or not yet: "
        "the clock of one of the two machines may be wrong"
    ),
    "UNSUPPORTED_CERTIFICATE": (
        "the other side says that our certificate is for another role: "
        "a worker's certificate cannot act as a master, nor a master's as a worker"
    ),
    "CERTIFICATE_REQUIRED": "the other side wants a certificate from us, and we have shown none",
    "DID_NOT_RETURN_A_CERTIFICATE": (
        "the other side has shown no certificate: it is not one of this user's processes"
    ),
    "PROTOCOL_VERSION": "one of the two sides cannot speak TLS 1.3: update its Python and OpenSSL",
    "UNSUPPORTED_PROTOCOL": (
        "one of the two sides cannot speak TLS 1.3: update its Python and OpenSSL"
    ),
    "WRONG_VERSION_NUMBER": _NO_TLS,
    "HTTP_REQUEST": _NO_TLS,
    "HTTPS_PROXY_REQUEST": _NO_TLS,
    "RECORD_LAYER_FAILURE": _NO_TLS,
    "UNEXPECTED_MESSAGE": _NO_TLS,
    "DECRYPT": "what arrived had been changed on its way: check the network, and try again",
    "BAD_RECORD_MAC": "what arrived had been changed on its way: check the network, and try again",
}
